#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The KM link is cut for 30 s, then the fibre, under load: traffic goes on,
# rollover resumes, nothing is lost.

KEYS_TARGET=8
SIM_KEYS=8
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/../facts.sh"
trap scenario_end EXIT

overdue() { # CHANNEL: no more keys, and it holds
	[ "$(counter a "$1" state)" = overdue ]
}

resumes() { # WHAT
	local c

	for c in $CHANNELS; do
		check "$1: $c rolls over again" rolls_on a "$c"
	done
}

CUT_SECONDS=${CUT_SECONDS:-30}
scenario_up
modules_watch
load_start ipsec $((CUT_SECONDS * 2 + 50)) 25
load_start macsec $((CUT_SECONDS * 2 + 50)) 25

link_down kx
sleep "$CUT_SECONDS"
check "KM link cut: status says so" contains "$(ctl a --json link list)" '"up": ?false'
link_up kx
resumes "KM link back"

sim cut
sleep "$CUT_SECONDS"
for c in $CHANNELS; do
	check "fibre cut: $c holds its last key" overdue "$c"
done
sim restore
resumes "fibre back"

load_wait ipsec
load_wait macsec
for c in ipsec macsec; do
	check "$c: traffic flowed" at_least "$(load_sent $c)" 5000
	check "$c: nothing lost" equal "$(load_lost $c)" 0
done
check "stores: no key and no epoch was used twice" no_key_used_twice
check "modules: no key and no epoch was seen twice" no_key_seen_twice
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
