#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# clang-tidy with the checks that .clang-tidy names, on the user-space parts.
. "$(dirname "$0")/lib.sh"

read -ra flags < <(make -s print-cppflags)

tidy() { # DIRECTORY
	find "$1" -name '*.c' | sort |
		xargs -P "$(nproc)" -I{} clang-tidy-14 --quiet --warnings-as-errors='*' {} -- \
			-std=gnu11 "${flags[@]}" 2>/dev/null | grep -E ': (warning|error): '
	[[ ${PIPESTATUS[2]} -eq 0 ]]
}

for directory in daemon tools tests; do
	check "$directory" tidy $directory
done
finish
