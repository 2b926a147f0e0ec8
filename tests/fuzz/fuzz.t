#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs each fuzz target for FUZZ_SECONDS, from the seeds in tests/fuzz/corpus/NAME
# for fuzz_NAME. What it finds on the way is kept in build/fuzz/corpus, so the
# next run starts from there; what crashes, in build/fuzz/crash-*.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=${BUILD:-build}/fuzz
seconds=${FUZZ_SECONDS:-5}
targets=(tests/fuzz/fuzz_*.c)
[[ -e ${targets[0]} ]] || targets=()

echo "1..${#targets[@]}$([[ ${#targets[@]} -gt 0 ]] || echo ' # SKIP no fuzz targets')"
n=0 failed=0
for source in "${targets[@]}"; do
	n=$((n + 1))
	target=$(basename "$source" .c)
	name=${target#fuzz_}
	mkdir -p "$out/corpus/$name"
	seeds=tests/fuzz/corpus/$name
	log=$out/$target.log
	args=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
		-artifact_prefix="$out/crash-$name-" "$out/corpus/$name")
	[[ ! -d $seeds ]] || args+=("$seeds")
	[[ ! -e tests/fuzz/$name.dict ]] || args+=(-dict="tests/fuzz/$name.dict")
	if "$out/$target" "${args[@]}" >"$log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		echo "ok $n - $target: $runs inputs"
	else
		failed=1
		echo "not ok $n - $target"
		sed -n '/ERROR:\|runtime error:/,$p' "$log" | head -n 60 | sed 's/^/# /' >&2
		echo "# whole log: $log" >&2
	fi
done
exit $failed
