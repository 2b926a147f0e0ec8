# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
#
# What no healthy kernel prints, as an extended regular expression. "INFO:" by
# itself would be too wide.
COMPLAINTS='WARNING:|BUG:|UBSAN:|KASAN:|KCSAN:|Oops|general protection fault|Kernel panic'
COMPLAINTS+='|possible (circular|recursive|irq) lock|inconsistent lock state|suspicious RCU usage'
COMPLAINTS+='|INFO: task .* blocked|INFO: trying to register|refcount_t:'
COMPLAINTS+='|unregister_netdevice: waiting|unreferenced object|Call Trace:|qkd-vm:'
