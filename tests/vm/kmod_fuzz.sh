#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# time limit: 600
# Commands that are a little wrong, from several threads, while keys roll over, states
# are flushed and devices replaced; see qkdfuzz.c. Then the network namespace goes, with
# channels in it, and once with commands on their way. QKD_FUZZ_SECONDS: for how long in
# all; QKD_FUZZ_SEED: the commands of another run again.
. "$(dirname "$0")/sites.sh"

part=$(((${QKD_FUZZ_SECONDS:-6} + 2) / 3))
seed=${QKD_FUZZ_SEED:-$(od -An -N 4 -t u4 /dev/urandom | tr -d ' ')}
echo "# QKD_FUZZ_SEED=$seed"

begin() {
	ip netns add f
	ip -n f link set lo up
	ip -n f link add va type veth peer name vb
	ip -n f link set va up
	in_site f tests/vm/macsec-device msf
}

fuzz() { # SEED SECONDS keep|clean
	in_site f "$BIN/qkdfuzz" "$@" msf | tee "$WORK/fuzz"
	return "${PIPESTATUS[0]}"
}

told() { # what a run had to say, also if all was well
	cat "$WORK/fuzz"
}

# The namespace lives on until the process that has the device open is gone.
killed() {
	local pid
	in_site_exec f "$BIN/qkdfuzz" $((seed + 2)) 600 keep msf &
	pid=$!
	sleep 1
	ip netns delete f
	sleep "$part"
	kill -KILL $pid
	wait $pid
	[[ $? -eq 137 ]]
}

begin
check "every answer is right, and all goes on afterwards" fuzz "$seed" "$part" clean
told
check "no state is left" equal "$(ip -n f xfrm state)" ""
check "no association is left" not contains "$(in_site f ip macsec show msf)" 'RXSC| PN '
check "every answer is right" fuzz $((seed + 1)) "$part" keep
told
ip netns delete f
begin
check "a process ends in the middle, and so does its namespace" killed
check "no channel is left of either" wait_until rmmod qkd
check "the module loads again" insmod "${QKD_KO:?}"
done_testing
