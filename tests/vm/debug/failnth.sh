#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# time limit: 600
# No memory, at each place where a command asks for some; see qkdfail.c.
. "$(dirname "$0")/../sites.sh"

# All that are asked for may fail, and each failure is told in one line, no trace:
# traces are what is complained about.
set_up() {
	local slab=/sys/kernel/debug/failslab
	echo N >$slab/ignore-gfp-wait && echo 1 >$slab/verbose && echo 0 >$slab/probability
}

fails() { # NAMESPACE KIND [DEVICE]
	in_site "$1" "$BIN/qkdfail" "${@:2}" >"$WORK/fails"
	local status=$?
	sed -n '/^#/p' "$WORK/fails"
	while read -r line; do
		check "${line#* - }" [ "${line%% *}" = ok ]
	done < <(grep -E '^(not )?ok ' "$WORK/fails")
	check "$2: to the end" [ $status -le 1 ]
}

check "failslab is there" set_up
ip netns add a
ip -n a link set lo up
ip -n a link add va type veth peer name vb
ip -n a link set va up
fails a tunnel
fails a transport
check "no state is left" equal "$(ip -n a xfrm state)" ""
modprobe macsec
fails a macsec msa
ip netns delete a
done_testing
