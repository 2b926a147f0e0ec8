#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tests inside the kernel (kmod/kunit): they run when their module is loaded, and
# tell in the kernel's log.
. "$(dirname "$0")/../sites.sh"

module=${QKD_KO%/*}/kmod/kunit/qkd_kunit.ko
seen=$(dmesg | wc -l)
check "the test module loads" insmod "$module"
dmesg | tail -n +$((seen + 1)) | sed 's/^\[[^]]*\] *//' >"$WORK/log"
while read -r line; do
	check "${line#*ok * }" [ "${line%%ok *}" = "" ]
done < <(grep -E '^ *(not )?ok [0-9]+ ' "$WORK/log" | sed 's/^ *//; s/ - / /')
for suite in qkd_record qkd_epochs qkd_spi; do
	check "$suite has run" grep -qE "^ok [0-9]+ (- )?$suite" "$WORK/log"
done
check "the test module unloads" rmmod qkd_kunit
done_testing "$WORK/log"
