#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tests inside the kernel (kmod/kunit): they run when their module is loaded, and
# tell in the kernel's log. Of each that the sources have a result must be there, and
# one that fails must be seen to.
. "$(dirname "$0")/../sites.sh"

sources=kmod/kunit
modules=${QKD_KO%/*}/kmod/kunit
wanted=()
declare -A results

# The suites and cases that the sources name.
read_sources() {
	local line
	while read -r line; do
		if [[ $line =~ KUNIT_CASE\(([a-z_]+)\) || $line =~ kunit_suite\ .*\.name\ =\ \"([a-z_]+)\" ]]; then
			wanted+=("${BASH_REMATCH[1]}")
		fi
	done < <(cat $sources/kunit_*.c)
}

# Loads and unloads it; how each suite and case ended is in $results.
loads() { # MODULE
	local line seen
	results=()
	seen=$(dmesg | wc -l)
	insmod "$modules/$1.ko" || return
	rmmod "$1" || return
	dmesg | tail -n +$((seen + 1)) >"$WORK/log"
	while read -r line; do
		if [[ $line =~ ((not )?ok)\ [0-9]+\ (-\ )?([a-z_]+)$ ]]; then
			results[${BASH_REMATCH[4]}]=${BASH_REMATCH[1]}
		fi
	done <"$WORK/log"
}

read_sources
check "there are tests" [ ${#wanted[@]} -gt 1 ]
loads qkd_kunit && loaded=yes
check "they run" [ "$loaded" ]
for name in "${wanted[@]}"; do
	check "$name" equal "${results[$name]:-did not run}" ok
done
loads qkd_kunit_fails
check "one that fails is seen to" equal "${results[fails]}" "not ok"
check "and its suite" equal "${results[qkd_fails]}" "not ok"
done_testing "$WORK/log"
