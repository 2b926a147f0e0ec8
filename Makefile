# SPDX-License-Identifier: GPL-2.0-or-later
#
# qkdkeyd: QKD keys into the kernel's IPsec and MACsec. `make help` lists the
# targets. Every C file under daemon/ but main.c goes into one static library;
# a new file needs no line here.

BUILD    ?= build
SANITIZE ?=

CC       ?= cc
PKGS     := liburing libmnl libnl-3.0 libnl-route-3.0 libnl-genl-3.0 \
	    libnl-xfrm-3.0 openssl jansson libcyaml sqlite3
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	    -Wvla -Wformat=2 -Wno-unused-parameter $(if $(CI),-Werror)
CPPFLAGS += -D_GNU_SOURCE -Iinclude/uapi -Idaemon -Ikmod \
	    -isystem /usr/share/include/llhttp $(shell pkg-config --cflags $(PKGS))
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 $(WARN) -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDLIBS   += $(shell pkg-config --libs $(PKGS)) -lpthread

ifneq ($(SANITIZE),)
O        := $(BUILD)/asan
CFLAGS   := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS)) -O1 \
	    -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	    -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=address,undefined
else
O        := $(BUILD)
endif

# Pure logic that the module and the netlink backend share.
SHARED   := kmod/spi.c kmod/epochs.c
LIB_SRC  := $(filter-out daemon/main.c,$(wildcard daemon/*.c daemon/*/*.c)) \
	    $(wildcard $(SHARED))
LLHTTP   := /usr/share/llhttp/llhttp.c /usr/share/llhttp/api.c \
	    /usr/share/llhttp/http.c
LIB_OBJ  := $(LIB_SRC:%.c=$(O)/obj/%.o) $(LLHTTP:/usr/share/%.c=$(O)/obj/%.o)
LIB      := $(O)/libqkd.a
UNIT     := $(patsubst tests/unit/%.c,$(O)/unit/%,$(wildcard tests/unit/test_*.c))
BINS     := $(O)/qkdkeyd $(O)/qkdctl $(O)/qkdsim

all: user
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

unit: $(UNIT)
.PHONY: unit
$(O)/unit/%: $(O)/obj/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

clean:
	rm -rf $(BUILD)
.PHONY: clean

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
