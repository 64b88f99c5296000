# The front door. `make help` lists what there is; Meson does the building.

BUILD   ?= build
ASAN    ?= build-asan
TSAN    ?= build-tsan
PYTEST  := /usr/bin/python3 -m pytest
PREFIX  ?= /usr/local
FUZZ_SECONDS ?= 10
# Warnings are errors for us and CI, not for users with other compilers.
WERROR  ?= $(if $(CI),true,false)

.DEFAULT_GOAL := all
.PHONY: help all demo check unit e2e fuzz bench fmt lint asan tsan install dist clean \
	deps deps-test kernel configure

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

all: kernel configure ## build everything; build/msb runs without installing
	@ninja -C $(BUILD) $(NINJAFLAGS)

demo: deps ## install what is missing, build, run a first machine
	@$(MAKE) --no-print-directory all
	@tools/demo.sh $(BUILD)

check: deps-test ## everything CI runs: lint, unit, ASan+UBSan, TSan, fuzz, e2e
	@$(MAKE) --no-print-directory all
	@/usr/bin/python3 tools/check.py --build $(BUILD) --asan $(ASAN) \
		--tsan $(TSAN) --fuzz-seconds $(FUZZ_SECONDS)

unit: all ## unit tests
	@/usr/bin/python3 tools/check.py --build $(BUILD) --only unit

asan: all ## unit tests under AddressSanitizer and UBSan
	@/usr/bin/python3 tools/check.py --build $(BUILD) --asan $(ASAN) --only asan

tsan: all ## the thread rules of the library under ThreadSanitizer
	@/usr/bin/python3 tools/check.py --build $(BUILD) --tsan $(TSAN) --only tsan

e2e: all deps-test ## end to end: real machines, a real registry
	@/usr/bin/python3 tools/check.py --build $(BUILD) --only e2e

fuzz: ## replay the corpora, then fuzz each target FUZZ_SECONDS (10)
	@tests/fuzz/run.sh $(FUZZ_SECONDS)

bench: all deps-test ## measure against peers; also build/bench.json
	@/usr/bin/python3 tests/bench/run.py --build $(BUILD)

fmt: ## format the C sources
	@git ls-files -co --exclude-standard '*.c' '*.h' ':!kernel' | xargs clang-format -i

lint: ## layers, sizes, format
	@/usr/bin/python3 tools/check.py --build $(BUILD) --only lint

install: all ## into PREFIX (/usr/local), DESTDIR honoured
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@meson install -C $(BUILD) --quiet
	@tools/install-kernel.sh $(BUILD) "$(DESTDIR)$(PREFIX)"
	@tools/install-list.py $(BUILD) "$(DESTDIR)$(PREFIX)"

dist: deps-test ## packages of the SDKs and an archive of it all, into dist/
	@$(MAKE) --no-print-directory all
	@tools/dist.py --build $(BUILD) dist

clean: ## remove the build folders; the caches stay
	@rm -rf $(BUILD) $(ASAN) build-*

deps:
	@tools/deps.sh build run

deps-test:
	@tools/deps.sh build run test

kernel: configure
	@tools/kernel-link.sh $(BUILD)

configure:
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) . -Dwerror=$(WERROR) >/dev/null
