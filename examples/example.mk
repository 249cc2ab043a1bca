# A server and a client of one .proto file, built with nothing but the installed library.
#
#   make              with the shared library
#   make LINK=static  with libndgrpc itself in the programs
#
# The Makefile that includes this sets NAME (of the .proto file) and PACKAGE (what C names begin with).

CFLAGS ?= -O2 -g -Wall -Wextra
LINK   ?= shared

PC     := pkg-config
GEN    := $(shell $(PC) --variable=generator ndgrpc)
CFLAGS += -std=gnu11 $(shell $(PC) --cflags ndgrpc)
ifeq ($(LINK),static)
LDLIBS := $(patsubst -lndgrpc,-l:libndgrpc.a,$(shell $(PC) --libs --static ndgrpc))
else
LDLIBS := $(shell $(PC) --libs ndgrpc)
endif

MADE := $(NAME).pb-c $(NAME)_methods

all: server client

server client: %: %.o $(MADE:=.o)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

server.o client.o $(MADE:=.o): $(NAME)_methods.h
$(MADE:=.c): $(NAME)_methods.h
$(NAME)_methods.h: $(NAME).proto
	$(GEN) --package $(PACKAGE) --descriptors $<

clean:
	rm -f server client *.o $(MADE:=.c) $(MADE:=.h)

.PHONY: all clean
