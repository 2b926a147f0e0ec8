#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each source file names its licence at its top: GPL-2.0 in the module, with the
# syscall note in the ABI's header, GPL-2.0-or-later elsewhere. What the daemon
# is built of too is GPL-2.0-or-later even in the module: the daemon links
# OpenSSL 3, whose Apache-2.0 goes with the GPL's version 3, not with 2.
. "$(dirname "$0")/lib.sh"

has_licence() { # FILE
	local want=GPL-2.0-or-later
	case $1 in
	kmod/spi.[ch] | kmod/epochs.[ch] | kmod/record.[ch] | kmod/qkd_uapi.h) ;;
	kmod/* | Kbuild) want='GPL-2\.0' ;;
	include/uapi/*) want='GPL-2\.0 WITH Linux-syscall-note' ;;
	esac
	head -n 3 "$1" | grep -qE "SPDX-License-Identifier: $want( \*/)?\$" ||
		{ echo "$1 wants the line SPDX-License-Identifier: $want" && return 1; }
}

for file in Makefile $([[ ! -e Kbuild ]] || echo Kbuild) $(c_files) $(shell_files); do
	check "$file" has_licence "$file"
done

# Every file of kmod/ that a daemon's object was made of, as the compiler says.
linked_from_module() {
	local file bad=0
	make -s --no-print-directory print-shared >/dev/null || return 1
	for file in $(make -s --no-print-directory print-shared); do
		grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' "$file" ||
			{ echo "$file is linked into the daemon" && bad=1; }
	done
	return $bad
}
check "what daemon and module share is GPL-2.0-or-later" linked_from_module
finish
