#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Keys change by what is sent, not by the clock, which would take an hour: site a
# has a soft limit of packets, site b has none and follows. MACsec looks 12 epochs
# ahead, of which four have a number; the rest wait for theirs.

export BACKEND=${BACKEND:-netlink}
ROLLOVER_MS=3600000
JITTER_MS=60000
SOFT_PACKETS_a=1000
MACSEC_LOOKAHEAD=12
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/facts.sh"
trap scenario_end EXIT

queued() { # SITE: epochs of the MACsec channel that wait for a number
	sas "$1" channel direction state | grep -c '^macsec in queued'
}

queue_is_full() { # SITE: 12 ahead, three or four of them with their number
	at_least "$(queued "$1")" 8
}

ends_keep_pace() { # CHANNEL
	local a b

	a=$(counter a "$1" epoch_out) b=$(counter b "$1" epoch_out)
	at_least 1 $((a > b ? a - b : b - a))
}

scenario_up
for s in a b; do
	check "site $s: MACsec epochs wait for their number" retry 30 queue_is_full $s
done
load_start ipsec 30 200
load_start macsec 30 200
load_wait ipsec
load_wait macsec
for c in ipsec macsec; do
	check "$c: traffic flowed" at_least "$(load_sent $c)" 8000
	check "$c: site a rolled over on its limit" at_least "$(counter a $c limit_rollovers)" 3
	check "$c: site b followed" at_least "$(counter b $c rollovers)" 3
	check "$c: site b has no limit" equal "$(counter b $c limit_rollovers)" 0
	check "$c: the ends keep pace" retry 10 ends_keep_pace $c
	for s in a b; do
		check "$c: no key was missing at $s" equal "$(counter $s $c exhausted)" 0
	done
done
check "ipsec: nothing lost" equal "$(load_lost ipsec)" 0
check "macsec: at most a frame in a hundred lost" \
	at_least $(($(load_sent macsec) / 100)) "$(load_lost macsec)"
check "no key and no epoch was used twice" no_key_used_twice
check "the kernels hold what the stores say" retry 10 modules_agree_with_stores
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
