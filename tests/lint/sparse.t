#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# sparse finds nothing in the module (what it says about the kernel's own
# headers is not ours).
. "$(dirname "$0")/lib.sh"

sparse() { # KERNEL
	local log=$BUILD/sparse-$1.log
	env -u MAKEFLAGS -u MAKELEVEL make --no-print-directory sparse KERNEL="$1" BUILD="$BUILD" \
		>"$log" 2>&1 || { cat "$log" && return 1; }
	! grep -E '(^|/)kmod/[a-z_]+\.[ch]:[0-9]+:[0-9]+: (warning|error)' "$log"
}

check "sparse with the headers of 6.12" sparse 6.12
finish
