#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# clang-tidy with the checks that .clang-tidy names, on the user-space parts.
. "$(dirname "$0")/lib.sh"

read -ra flags < <(make -s print-cppflags)
mapfile -t files < <(find daemon tools tests -name '*.c' | sort)
tidy() {
	printf '%s\n' "${files[@]}" |
		xargs -P "$(nproc)" -n 4 -I{} clang-tidy-14 --quiet --warnings-as-errors='*' {} -- \
			-std=gnu11 "${flags[@]}" 2>/dev/null
}
check "clang-tidy on ${#files[@]} files" tidy
finish
