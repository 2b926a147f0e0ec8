#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Without the module: the same channels by netlink, the rollover in the daemon.
# IPsec loses nothing, not even when the daemon dies and comes back. MACsec may
# lose a frame at a switch (the driver reads the association number twice), and
# the kernel shows keys to root: that is what the module is for.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/facts.sh"
trap scenario_end EXIT
export BACKEND=netlink

policies() { # SITE: of qkdkeyd, by their request ID
	site "$1" ip xfrm policy | grep -c 'reqid 13589544'
}

states() { # SITE
	site "$1" ip xfrm state | grep -c 'proto esp'
}

old_states_gone() { # SITE: as many as qkdctl knows
	[ "$(states "$1")" -le "$(our_spis "$1" | wc -l)" ]
}

scenario_up
capture_start wan
capture_start mac
load_start ipsec 45 50
load_start macsec 45 50
check "the backend is netlink" contains "$(ctl a --json status)" '"netlink"'
for s in a b; do
	check "site $s: policies out, in, fwd" equal "$(policies $s)" 3
	check "site $s: qkdctl and ip xfrm state agree" retry 10 sa_lists_agree $s
	check "site $s: qkdctl and ip macsec show agree" retry 10 macsec_lists_agree $s
done
sleep 5
for s in b a; do
	node_kill $s KILL
	sleep 1
	check "site $s: policies stay when the daemon dies" equal "$(policies $s)" 3
	check "site $s: SAs stay when the daemon dies" at_least "$(states $s)" 2
	node_start $s
	for c in ipsec macsec; do
		check "site $s: $c rolls over again" retry 30 rolled $s $c 3
	done
	check "site $s: SAs of the earlier daemon are gone" retry 15 old_states_gone $s
done
load_wait ipsec
load_wait macsec
capture_stop wan
capture_stop mac
for c in ipsec macsec; do
	check "$c: traffic flowed" at_least "$(load_sent $c)" 4000
done
check "ipsec: nothing lost" equal "$(load_lost ipsec)" 0
check "macsec: at most a frame in a hundred lost" \
	at_least $(($(load_sent macsec) / 100)) "$(load_lost macsec)"
for device in wan mac; do
	check "$device: no frame in the clear" equal "$(in_clear $device)" 0
	check "$device: no user data in any frame" equal "$(marker_seen $device)" 0
done
check "no key and no epoch was used twice" no_key_used_twice
check "the kernels hold what the stores say" retry 10 modules_agree_with_stores
check "a channel can be deleted" ctl a channel delete --yes ipsec
check "its policies are gone" equal "$(policies a)" 0
check "its SAs are gone" equal "$(states a)" 0
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
