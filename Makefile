# SPDX-License-Identifier: GPL-2.0-or-later
#
# qkdkeyd: QKD keys into the kernel's IPsec and MACsec. `make help` lists the
# targets. Every C file under daemon/ but main.c goes into one static library;
# a new file needs no line here.

BUILD    ?= build
SANITIZE ?=

CC       ?= cc
PKGS     := liburing libmnl libnl-3.0 libnl-route-3.0 libnl-genl-3.0 \
	    openssl jansson libcyaml sqlite3 yaml-0.1
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	    -Wvla -Wformat=2 -Wno-unused-parameter $(if $(CI),-Werror)
CPPFLAGS += -D_GNU_SOURCE -Iinclude/uapi -Idaemon -Ikmod \
	    -isystem /usr/share/include/llhttp $(PKG_CFLAGS)
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 $(WARN) -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDLIBS   += $(PKG_LIBS) -lpthread -lm

# Asked once, and only when something is compiled: `make deps` must work before.
pkg_config = $(or $(shell pkg-config $(1) $(PKGS) 2>/dev/null),$(error \
	    libraries are missing: `make deps` (as root) installs them))
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(call pkg_config,--cflags))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(call pkg_config,--libs))$(PKG_LIBS)

SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	    -fno-omit-frame-pointer
ifeq ($(SANITIZE),)
O        := $(BUILD)
else ifeq ($(SANITIZE),fuzzer)
O        := $(BUILD)/fuzz
CC       := clang-14
CFLAGS   := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS)) -O1 $(SANFLAGS) \
	    -fsanitize=fuzzer-no-link -Wno-error -Wno-format-nonliteral
LDFLAGS  += $(SANFLAGS)
else
O        := $(BUILD)/asan
CFLAGS   := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS)) -O1 $(SANFLAGS)
LDFLAGS  += $(SANFLAGS)
endif

# Pure logic that the module and the netlink backend share.
SHARED   := kmod/spi.c kmod/epochs.c kmod/record.c
LIB_SRC  := $(filter-out daemon/main.c,$(wildcard daemon/*.c daemon/*/*.c daemon/*/*/*.c)) \
	    $(wildcard $(SHARED))
LLHTTP   := /usr/share/llhttp/llhttp.c /usr/share/llhttp/api.c \
	    /usr/share/llhttp/http.c
LIB_OBJ  := $(LIB_SRC:%.c=$(O)/obj/%.o) $(LLHTTP:/usr/share/%.c=$(O)/obj/%.o)
LIB      := $(O)/libqkd.a
UNIT     := $(patsubst tests/unit/%.c,$(O)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ     := $(patsubst tests/fuzz/%.c,$(O)/%,$(wildcard tests/fuzz/fuzz_*.c))
BINS     := $(O)/qkdkeyd $(O)/qkdctl $(O)/qkdsim

#: make                     the programs, and the module for the running kernel
#: make user                the programs: qkdkeyd, qkdctl, qkdsim
#: make kmod KERNEL=6.1     the module for a stock Debian kernel (6.1, 6.12, 7.3)
#:                          or any installed one: KERNEL=$(uname -r)
#: make man                 the manual pages
#: make install             below $(DESTDIR)$(PREFIX); PREFIX is /usr/local
#: make deps                install the Debian packages that all this needs (root)
#: make demo [HOST=1]       two sites under load in a guest, or on this host
all: user kmod-here
user: $(BINS)
.PHONY: all user

$(O)/obj/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -Wmissing-prototypes -Wshadow,$(CFLAGS)) -w -c -o $@ $<

$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(O)/qkdkeyd: $(O)/obj/daemon/main.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

define tool
$(O)/$(1): $(patsubst %.c,$(O)/obj/%.o,$(wildcard tools/$(1)/*.c)) $(LIB)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(LDLIBS)
endef
$(foreach t,qkdctl qkdsim,$(eval $(call tool,$(t))))

# Helper programs of tests: tests/{scenarios,bench,vm}/NAME.c is $(O)/NAME. Those
# of the module's tests are static: in a guest they start in half the time. What
# the benchmarks share is in tests/bench/lib.
HELPERS  := $(wildcard tests/scenarios/*.c tests/bench/*.c tests/vm/*.c)
BENCH_LIB := $(patsubst %.c,$(O)/obj/%.o,$(wildcard tests/bench/lib/*.c))
define helper
$(O)/$(basename $(notdir $(1))): $(O)/obj/$(1:.c=.o) $(if $(filter tests/bench/%,$(1)),$(BENCH_LIB)) $(LIB)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$^ \
		$$(if $(SANITIZE)$(filter-out tests/vm/%,$(1)),$$(LDLIBS),-static -luring)
endef
$(foreach h,$(HELPERS),$(eval $(call helper,$(h))))
helpers: $(patsubst %.c,$(O)/%,$(notdir $(HELPERS)))
.PHONY: helpers

unit: $(UNIT)
.PHONY: unit
$(O)/unit/%: $(O)/obj/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

fuzzers: $(FUZZ)
.PHONY: fuzzers
$(O)/fuzz_%: $(O)/obj/tests/fuzz/fuzz_%.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

# The module is built in a copy of its sources, so that builds for several
# kernels stand side by side. KERNEL is a release whose headers are installed
# (default: the running kernel), or a series of stock Debian kernels, 6.1, 6.12 or
# 7.3, or debug, see tests/vm/kernel-debug.
KERNEL   ?= $(shell uname -r)
KDIR     ?= $(or $(wildcard /lib/modules/$(KERNEL)/build),$(shell \
	    tests/vm/kernel $(KERNEL))/headers)
K        := $(BUILD)/kmod-$(KERNEL)
KMOD_SRC := $(wildcard Kbuild kmod/Kbuild kmod/*.[ch] include/uapi/linux/*.h)
K_SRC     = $(KMOD_SRC) $(if $(filter debug,$(KERNEL)),$(wildcard kmod/kunit/*))
KMAKE     = flock $(K).lock $(MAKE) -C $(KDIR) M=$(abspath $(K)) \
	    CONFIG_DEBUG_INFO_BTF_MODULES= $(if $(CI),KCFLAGS=-Werror) \
	    $(if $(filter debug,$(KERNEL)),UBSAN_SANITIZE=y QKD_KUNIT=m)

kmod: $(K)/qkd.ko
$(K)/qkd.ko: $(K_SRC)
	@mkdir -p $(K)
	@for f in $(K_SRC); do cmp -s $$f $(K)/$$f || cp --parents $$f $(K)/ || exit; done
	+@$(KMAKE) W=1 modules
	@touch $@
kmod-here:
	@if [ -e /lib/modules/$(KERNEL)/build/Makefile ]; then \
		$(MAKE) --no-print-directory kmod; \
	else \
		echo "qkd.ko: not built, no headers for Linux $(KERNEL) here" \
			"(a stock Debian kernel: make kmod KERNEL=6.1, 6.12 or 7.3)"; \
	fi
sparse: $(K)/qkd.ko
	+@$(KMAKE) C=2 modules
.PHONY: kmod kmod-here sparse

# What to install from Debian to build, test and demonstrate.
PACKAGES  = debian/build-packages
DEPS      = $(shell sed 's/\#.*//' $(PACKAGES))
deps:
	@missing=; for p in $(DEPS); do \
		dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | \
			grep -qx installed || missing="$$missing $$p"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ]; then \
		echo "make deps: these Debian packages are missing:$$missing"; \
		echo "make deps: run it as root to install them: sudo make deps"; \
		exit 1; \
	fi >&2; \
	echo "make deps: installing:$$missing"; \
	mkdir -p $(BUILD); \
	{ apt-get -o Acquire::Retries=3 update && \
	DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 \
		install -y --no-install-recommends $$missing; } >$(BUILD)/deps.log 2>&1 || \
	{ tail -n 20 $(BUILD)/deps.log; exit 1; } >&2
.PHONY: deps

# Two sites, a simulated QKD link, IPsec and MACsec under load, in a guest; with
# HOST=1 on this host. Needs nothing but Debian's packages.
demo: deps
	@$(MAKE) --no-print-directory demo-run
demo-run: user helpers $(if $(HOST),kmod-here)
	@$(if $(HOST),tests/scenarios/on-host $(K)/qkd.ko,tests/vm/run --timeout 280) tests/scenarios/demo
.PHONY: demo demo-run

MAN := $(patsubst docs/%.scd,$(BUILD)/man/%,$(wildcard docs/*.scd))
man: $(MAN)
.PHONY: man
$(BUILD)/man/%: docs/%.scd
	@mkdir -p $(@D)
	scdoc <$< >$@.tmp && mv $@.tmp $@

# Installs below $(DESTDIR)$(PREFIX). debian/rules takes the parts one by one.
VERSION   = $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
DESTDIR  ?=
PREFIX   ?= /usr/local
LIBDIR    = $(DESTDIR)$(PREFIX)/lib
SHAREDIR  = $(DESTDIR)$(PREFIX)/share
DKMSDIR   = $(DESTDIR)/usr/src/qkd-$(VERSION)
COMPLETION = $(wildcard tools/qkdctl/*completion*)

install: install-programs install-services install-dkms
	@[ -n "$(DESTDIR)" ] || printf '%s\n' 'Installed. Now, as root:' \
		'  systemd-sysusers && systemd-tmpfiles --create' \
		'  dkms install qkd/$(VERSION) && modprobe qkd' \
		'  udevadm control --reload && udevadm trigger /dev/qkd' \
		'  systemctl daemon-reload' \
		'Write /etc/qkdkeyd/qkdkeyd.yaml (qkdkeyd.conf(5)), then' \
		'  systemctl enable --now qkdkeyd'
install-programs: user man
	install -D -m 755 $(BUILD)/qkdkeyd $(DESTDIR)$(PREFIX)/sbin/qkdkeyd
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/qkdctl $(BUILD)/qkdsim
	for m in $(notdir $(MAN)); do \
		install -D -m 644 -t $(SHAREDIR)/man/man$${m##*.} $(BUILD)/man/$$m || exit; \
	done
	install -D -m 644 -t $(SHAREDIR)/doc/qkdkeyd $(wildcard README.md docs/*.md)
	install -D -m 644 -t $(SHAREDIR)/doc/qkdkeyd/examples $(wildcard docs/examples/*)
	$(if $(COMPLETION),install -D -m 644 $(COMPLETION) \
		$(SHAREDIR)/bash-completion/completions/qkdctl)
install-services:
	@mkdir -p $(LIBDIR)/systemd/system
	for u in qkdkeyd qkdkeyd.qkdkeyd-protect; do \
		sed 's|/usr/sbin|$(PREFIX)/sbin|' debian/$$u.service \
			>$(LIBDIR)/systemd/system/$${u#qkdkeyd.}.service || exit; \
	done
	install -D -m 644 debian/qkdkeyd.sysusers $(LIBDIR)/sysusers.d/qkdkeyd.conf
	install -D -m 644 debian/qkdkeyd.tmpfiles $(LIBDIR)/tmpfiles.d/qkdkeyd.conf
	install -D -m 644 debian/qkdkeyd.udev $(LIBDIR)/udev/rules.d/60-qkdkeyd.rules
install-dkms:
	@mkdir -p $(DKMSDIR)
	cp -p --parents $(KMOD_SRC) $(DKMSDIR)/
	sed 's|#MODULE_VERSION#|$(VERSION)|' debian/qkd-dkms.dkms >$(DKMSDIR)/dkms.conf
	install -D -m 644 debian/qkd-dkms.modules-load $(LIBDIR)/modules-load.d/qkd.conf
.PHONY: install install-programs install-services install-dkms

# The module's sources, headers too, that user space is built of.
print-shared:
	@$(CC) $(CPPFLAGS) -MM $(LIB_SRC) | tr -s ' \\' '\n' | grep '^kmod/' | sort -u
print-cppflags:
	@echo $(CPPFLAGS)

help:
	@sed -n 's/^#: //p' Makefile tests/check.mk
.PHONY: clean print-cppflags print-shared help
clean:
	rm -rf $(BUILD)

include tests/check.mk
-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
