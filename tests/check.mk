# SPDX-License-Identifier: GPL-2.0-or-later
#
# make check and its parts. Tests are found by wildcard; tests/README.md says
# where a new one goes. Each part builds what it needs, then prove runs it.
FUZZ_SECONDS ?= 5
JOBS         := $(shell nproc 2>/dev/null || echo 1)
PROVE_JOBS   := $(if $(filter 1 2 3,$(JOBS)),4,$(JOBS))
KERNELS      := 6.1 6.12
# Not of this Debian: a download of their own, so not in `make check`.
NEW_KERNELS  := 7.3

# Paced guests take one processor each while they are not idle, and mind no company.
PACED := 1
PROVE = CMOCKA_MESSAGE_OUTPUT=TAP QKD_VM_PACED=$(PACED) \
	BUILD=$(abspath $(BUILD)) FUZZ_SECONDS=$(FUZZ_SECONDS) \
	prove -j$(PROVE_JOBS) --timer --exec tests/limit
SUBMAKE = $(MAKE) --no-print-directory -s CI=1 \
	  $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))
VARIANT = +@$(SUBMAKE)

TEST_UNIT      := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
TEST_ASAN      := $(TEST_UNIT:$(BUILD)/%=$(BUILD)/asan/%)
TEST_LINT      := $(wildcard tests/lint/*.t)
TEST_FUZZ      := tests/fuzz/fuzz.t
TEST_VM        := $(wildcard tests/vm/kmod-*.t)
TEST_KERNELS   := $(TEST_VM) $(wildcard tests/vm/kernels/*.t)
TEST_SCENARIOS := $(filter-out $(TEST_VM),$(wildcard tests/vm/*.t))

build-unit:
	$(VARIANT) unit
build-asan:
	$(VARIANT) SANITIZE=1 unit
build-lint: build-kmod
	$(VARIANT) man
build-fuzz:
	$(VARIANT) SANITIZE=fuzzer fuzzers
build-kmod:
	+@for k in $(KERNELS); do $(SUBMAKE) kmod KERNEL=$$k || exit; done
build-vm: build-kmod
	$(VARIANT) helpers
build-kernels: build-vm
	+@for k in $(NEW_KERNELS); do $(SUBMAKE) kmod KERNEL=$$k || exit; done
build-scenarios: build-kmod
	$(VARIANT) user helpers
	$(VARIANT) SANITIZE=1 user helpers

PARTS := unit asan lint fuzz vm scenarios
# In turn, also under make -j: two makes in one build directory would collide.
build-all:
	+@for p in $(PARTS); do $(SUBMAKE) build-$$p || exit; done

#: make check               all tests; parts: check-unit check-asan check-lint
#:                          check-fuzz check-vm check-scenarios
check: deps
	@$(MAKE) --no-print-directory check-run
check-run: build-all
	@$(PROVE) $(TEST_VM) $(TEST_SCENARIOS) $(TEST_ASAN) $(TEST_LINT) $(TEST_FUZZ) $(TEST_UNIT)
check-unit: build-unit
	@$(PROVE) $(TEST_UNIT)
check-asan: build-asan
	@$(PROVE) $(TEST_ASAN)
check-lint: build-lint
	@$(PROVE) $(TEST_LINT)
check-fuzz: build-fuzz
	@$(PROVE) $(TEST_FUZZ)
check-vm: build-vm
	@$(PROVE) $(TEST_VM)
check-scenarios: build-scenarios
	@$(PROVE) $(TEST_SCENARIOS)
#: make check-kernels       the module on every kernel it is for: 6.1, 6.12 and
#:                          7.3, which check leaves out; and Debian's dkms on each
check-kernels: deps
	@$(MAKE) --no-print-directory check-kernels-run
check-kernels-run: build-kernels
	@$(PROVE) $(TEST_KERNELS)
.PHONY: check-kernels check-kernels-run build-kernels

.PHONY: check check-run $(PARTS:%=check-%) $(PARTS:%=build-%) build-all build-kmod

#: make check-debug         the module's tests, and more of it, on a kernel with
#:                          KASAN, lockdep, kmemleak, failing allocations, KUnit;
#:                          builds that kernel once (a quarter of an hour, or more)
check-debug:
	@$(MAKE) --no-print-directory deps \
		PACKAGES="debian/build-packages debian/debug-packages"
	@$(MAKE) --no-print-directory check-debug-run
# In real time, on two processors: what it looks for includes races.
check-debug-run: PACED :=
check-debug-run:
	+@$(SUBMAKE) kmod KERNEL=debug
	$(VARIANT) helpers
	@QKD_FUZZ_SECONDS=$${QKD_FUZZ_SECONDS:-60} $(PROVE) tests/vm/debug/kmod.t
.PHONY: check-debug check-debug-run

#: make fuzz FUZZ_SECONDS=n each fuzz target for n seconds
fuzz: build-fuzz
	@$(PROVE) -v $(TEST_FUZZ)
.PHONY: fuzz

#: make bench [SUITE=...]   benchmarks: Markdown, and build/bench.json
# tests/bench/run-SUITE prints a Markdown table and writes a flat JSON object to
# $BENCH_JSON; the objects of all suites become $(BUILD)/bench.json.
SUITE ?= $(patsubst tests/bench/run-%,%,$(wildcard tests/bench/run-*))
bench: build-bench
	@mkdir -p $(BUILD)/bench; \
	for s in $(SUITE); do \
		BENCH_JSON=$(abspath $(BUILD))/bench/$$s.json tests/bench/run-$$s || exit 1; \
	done; \
	jq -s add $(SUITE:%=$(BUILD)/bench/%.json) >$(BUILD)/bench.json
build-bench: build-kmod
	$(VARIANT) user helpers
.PHONY: bench build-bench
