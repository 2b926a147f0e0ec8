#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Keys run out: with `block` at once, with `hold` after hard_ms, nothing passes
# any more, and nothing ever passes in the clear. With keys back, traffic is.

KEYS_TARGET=4
SIM_KEYS=4
ON_EXHAUSTED=${ON_EXHAUSTED:-block}
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/../facts.sh"
trap scenario_end EXIT

is_in_state() { # CHANNEL STATE: at both ends
	[ "$(counter a "$1" state)" = "$2" ] && [ "$(counter b "$1" state)" = "$2" ]
}

passes() { # CHANNEL
	site a ping -q -c 3 -i 0.2 -W 2 "$(target b "$1")"
}

scenario_up
capture_start wan
capture_start mac
for c in $CHANNELS; do
	check "$c: traffic passes" passes $c
done
sim qber 0.2
for c in $CHANNELS; do
	check "$c: blocked once an eavesdropper stops the keys" retry 60 is_in_state $c blocked
	check "$c: nothing passes" not passes $c
done
sim qber off
for c in $CHANNELS; do
	check "$c: active again with keys" retry 60 is_in_state $c active
	check "$c: traffic passes again" passes $c
done
capture_stop wan
capture_stop mac
check "wan: encrypted frames were seen" at_least "$(captured wan 'ip proto 50')" 12
check "mac: encrypted frames were seen" at_least "$(captured mac 'ether proto 0x88e5')" 12
for device in wan mac; do
	check "$device: never a frame in the clear" equal "$(in_clear $device)" 0
done
check "no key and no epoch was used twice" no_key_used_twice
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
