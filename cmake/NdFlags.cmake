# One set of flags for every target of ours, and what each configuration adds to it.

add_library(nd_flags INTERFACE)
target_compile_features(nd_flags INTERFACE c_std_11)
target_compile_definitions(nd_flags INTERFACE _GNU_SOURCE)
target_compile_options(nd_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef
  -Wpointer-arith -Wwrite-strings -fno-common -fno-strict-aliasing -ffunction-sections -fdata-sections)
target_link_options(nd_flags INTERFACE -Wl,--gc-sections)

option(ND_WERROR "Treat warnings as errors" ON)
option(ND_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(ND_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)
option(ND_HARDEN "Build with hardening options" OFF)
option(ND_FAULTS "Compile named fault points in" OFF)

if(ND_WERROR)
  target_compile_options(nd_flags INTERFACE -Werror)
endif()
if(ND_SANITIZE)
  target_compile_options(nd_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
                         -fno-omit-frame-pointer)
  target_link_options(nd_flags INTERFACE -fsanitize=address,undefined)
endif()
if(ND_FUZZ)
  target_compile_options(nd_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(ND_HARDEN)
  target_compile_options(nd_flags INTERFACE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
                         -fstack-clash-protection -fcf-protection=full)
  target_link_options(nd_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
if(ND_FAULTS)
  target_compile_definitions(nd_flags INTERFACE ND_FAULTS=1)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
