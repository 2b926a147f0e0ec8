#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# clang-tidy with the checks that .clang-tidy names, on the user-space parts. The
# slow analyzer looks at what ships, not at the tests.
. "$(dirname "$0")/lib.sh"

read -ra flags < <(make -s print-cppflags)

tidy() { # CHECKS DIRECTORY...
	local checks=$1
	shift
	find "$@" -name '*.c' | sort |
		xargs -P "$(nproc)" -I{} clang-tidy-14 --quiet --warnings-as-errors='*' \
			--checks="$checks" {} -- -std=gnu11 "${flags[@]}" 2>/dev/null |
		grep -E ': (warning|error): '
	[[ ${PIPESTATUS[2]} -eq 0 ]]
}

check "the daemon and the tools" tidy "" daemon tools
check "the tests" tidy "-clang-analyzer-*" tests
finish
