#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Daemons die by kill -9 under load: traffic goes on, the new daemon attaches
# to the channels that stand, rollover resumes, nothing is used twice. SIGTERM
# leaves the SAs in place too.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/../facts.sh"
trap scenario_end EXIT

crash() { # SITE SIGNAL: dies, is away for 3 s, comes back
	local s=$1 c

	node_kill "$s" "$2"
	sleep 3
	node_start "$s"
	check "site $s is back after SIG$2" wait_for_daemon "$s"
	check "site $s: attached to what stands, added nothing" \
		grep -q 'attached' <(tail -n 40 "$WORK/$s/qkdkeyd.log")
	for c in $CHANNELS; do
		check "site $s: $c rolls over again after SIG$2" rolls_on "$s" $c
	done
}

wait_for_daemon() {
	retry 30 ctl "$1" status
}

scenario_up
modules_watch
load_start ipsec 75 25
load_start macsec 75 25
sleep 3
crash a KILL
crash b KILL
crash a TERM
crash b TERM
node_kill a KILL
node_kill b KILL
node_start a
node_start b
for s in a b; do
	for c in $CHANNELS; do
		check "both died: $c rolls over again at $s" rolls_on $s $c
	done
done
load_wait ipsec
load_wait macsec
for c in ipsec macsec; do
	check "$c: traffic flowed" at_least "$(load_sent $c)" 3500
	check "$c: nothing lost" equal "$(load_lost $c)" 0
done
check "stores: no key and no epoch was used twice" no_key_used_twice
check "modules: no key and no epoch was seen twice" no_key_seen_twice
check "the modules hold what the stores say" retry 10 modules_agree_with_stores
done_testing "$WORK"/*/qkdkeyd.log
