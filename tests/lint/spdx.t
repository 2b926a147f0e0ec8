#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each source file names its licence at its top: GPL-2.0 in the module, with the
# syscall note in the ABI's header, GPL-2.0-or-later elsewhere.
. "$(dirname "$0")/lib.sh"

has_licence() { # FILE
	local want=GPL-2.0-or-later
	case $1 in
	kmod/* | Kbuild) want='GPL-2\.0' ;;
	include/uapi/*) want='GPL-2\.0 WITH Linux-syscall-note' ;;
	esac
	head -n 3 "$1" | grep -qE "SPDX-License-Identifier: $want( \*/)?\$" ||
		{ echo "$1 wants the line SPDX-License-Identifier: $want" && return 1; }
}

for file in Makefile $([[ ! -e Kbuild ]] || echo Kbuild) $(c_files) $(shell_files); do
	check "$file" has_licence "$file"
done
finish
