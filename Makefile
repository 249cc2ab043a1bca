# The front door for people; CMake does the building. `make help` tells what there is.

BUILD      := build
ASAN       := build-asan
FUZZ       := build-fuzz
PYTHON     := /usr/bin/python3
PREFIX     ?= /usr/local
DESTDIR    ?=
JOBS       ?= $(shell nproc)
N          ?= 1000
SEED       ?= 1
SOAK_SECONDS ?= 3600
SOAK_MIB   ?= 10240
SOAK_KILLS ?= 60
FUZZ_SECONDS ?= 30
PYTEST_ARGS ?=
PARTS      ?=
VERSIONS   ?=
BENCH_ARGS ?=
STREAMS_ARGS ?=
TRANSPORT_ARGS ?=

export DESTDIR

.DEFAULT_GOAL := build
.PHONY: build packages run check check-unit check-integration bench lint lint-fast format fuzz soak \
        install install-lib clean help conformance check-matrix

build: $(BUILD)/build.ninja ## Build the three programs into build/ (the default)
	@ninja -C $(BUILD) -j $(JOBS)

# CMake is told again only when it has to be: ninja follows changed CMakeLists by itself.
$(BUILD)/build.ninja: CMakePresets.json
	@scripts/install-packages build
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX)

$(ASAN)/build.ninja: CMakePresets.json
	@scripts/install-packages build
	@cmake --preset asan

$(FUZZ)/build.ninja: CMakePresets.json
	@scripts/install-packages build lint
	@cmake --preset fuzz

packages: ## Install the Debian packages that are missing
	@scripts/install-packages

run: ## Start a private containerd and the daemon, run a demo container, serve until Ctrl-C (ONCE=1: then stop)
	@scripts/run

check: ## All tests: unit tests under sanitizers, then end-to-end tests with a real containerd
	@$(MAKE) --no-print-directory check-unit
	@$(MAKE) --no-print-directory check-integration

check-unit: $(ASAN)/build.ninja ## Unit tests, built with AddressSanitizer and UBSan
	@scripts/install-packages build run test
	@ninja -C $(ASAN) -j $(JOBS) all nd_unit_tests
	@ctest --test-dir $(ASAN) -j $(JOBS) --output-on-failure

check-integration: build ## End-to-end tests (PYTEST_ARGS="-k name" chooses)
	@scripts/install-packages run test
	@$(PYTHON) -m pytest tests/integration $(PYTEST_ARGS)

bench: build ## Measure against floors and peers in the same run; prints ratios
	@scripts/install-packages run test bench
	@$(PYTHON) bench/run --build $(BUILD) $(BENCH_ARGS)
	@$(PYTHON) bench/streams/run --build $(BUILD) $(STREAMS_ARGS)
	@$(PYTHON) bench/transport/run --build $(BUILD) $(TRANSPORT_ARGS)

lint: lint-fast $(BUILD)/build.ninja ## Formatting, banned calls, allowed headers, clang-tidy, buf
	@scripts/lint tidy

lint-fast: ## The part of lint that takes seconds (no clang-tidy)
	@scripts/install-packages build lint
	@scripts/lint fast

format: ## Let clang-format rewrite our C files
	@scripts/lint format

fuzz: $(FUZZ)/build.ninja ## Each fuzz target for FUZZ_SECONDS seconds
	@ninja -C $(FUZZ) -j $(JOBS)
	@scripts/fuzz $(FUZZ) $(FUZZ_SECONDS)

soak: build $(ASAN)/build.ninja ## Long tests in full: N runs and their output, SOAK_SECONDS of mixed calls (SEED=)
	@scripts/install-packages run test
	@$(PYTHON) tests/soak/logs_exact.py --build $(BUILD) -n $(N) --seed $(SEED)
	@$(PYTHON) tests/soak/attached_exact.py --build $(BUILD) -n $(N) --seed $(SEED)
	@$(PYTHON) tests/soak/exec_pipe.py --build $(BUILD) --mib $(SOAK_MIB) --seed $(SEED)
	@$(PYTHON) tests/soak/cut_stream.py --build $(BUILD) --mib 1024 --seed $(SEED)
	@$(PYTHON) tests/soak/long_running.py --build $(BUILD)
	@$(PYTHON) tests/soak/kill_daemon.py --build $(BUILD) -n $(SOAK_KILLS) --seed $(SEED)
	@$(PYTHON) tests/soak/model.py --build $(BUILD) --seed $(SEED)
	@$(PYTHON) tests/soak/failed_calls.py --build $(BUILD) --seed $(SEED)
	@ninja -C $(ASAN) -j $(JOBS) nerdctl-grpcd
	@$(PYTHON) tests/soak/crash_steps.py --build $(ASAN) --helper $(BUILD)/nerdctl-grpc-helper
	@$(PYTHON) tests/soak/transport_flat.py --build $(BUILD) --seconds $(SOAK_SECONDS) --seed $(SEED) --tls
	@ND_ALLOCATIONS=all $(PYTHON) -m pytest -s tests/integration/test_no_memory.py
	@ND_LOG_GIB=10 $(PYTHON) -m pytest -s tests/integration/test_log_files.py
	@ND_IDLE_CONNECTIONS=10000 $(PYTHON) -m pytest -s tests/integration/test_hostile_peers.py

conformance: $(BUILD)/build.ninja ## The gRPC transport against other people's clients, servers and tests (PARTS="interop")
	@scripts/install-packages build run test conformance
	@ninja -C $(BUILD) -j $(JOBS) conformance_programs
	@scripts/conformance --build $(BUILD) $(PARTS)

check-matrix: build ## End-to-end tests with containerd 1.6, 1.7 and 2.x (VERSIONS="1.7 2")
	@scripts/install-packages run test
	@scripts/check-matrix --build $(BUILD) $(VERSIONS) -- $(PYTEST_ARGS)

install: build ## Install below DESTDIR/PREFIX (PREFIX=/usr/local)
	@cmake --install $(BUILD) --prefix $(PREFIX)

install-lib: $(BUILD)/build.ninja ## Install only the gRPC library below DESTDIR/PREFIX
	@ninja -C $(BUILD) -j $(JOBS) library
	@cmake --install $(BUILD) --prefix $(PREFIX) --component ndgrpc

clean: ## Remove what was built
	@rm -rf $(BUILD) $(ASAN) $(FUZZ) build-debug build-conformance build-matrix

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
