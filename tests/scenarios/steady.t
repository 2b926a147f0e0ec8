#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: all
#
# The main job: both channels roll over every second under load, nothing is
# lost, nothing is in the clear, no listing shows a key, all listings agree.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/facts.sh"
trap scenario_end EXIT

scenario_up
capture_start wan
capture_start mac
load_start ipsec 20
load_start macsec 20
for s in a b; do
	check "site $s: qkdctl and ip xfrm state agree" retry 10 sa_lists_agree $s
	check "site $s: qkdctl and ip macsec show agree" retry 10 macsec_lists_agree $s
done
check "no listing shows a key" no_key_in_listings
load_wait ipsec
load_wait macsec
capture_stop wan
capture_stop mac
for c in ipsec macsec; do
	check "$c: at least 15 rollovers at a" at_least "$(counter a $c rollovers)" 15
	check "$c: at least 15 rollovers at b" at_least "$(counter b $c rollovers)" 15
	check "$c: traffic flowed" at_least "$(load_sent $c)" 3000
	check "$c: nothing lost" equal "$(load_lost $c)" 0
done
check "wan: encrypted frames were seen" at_least "$(captured wan 'ip proto 50')" 1000
check "mac: encrypted frames were seen" at_least "$(captured mac 'ether proto 0x88e5')" 1000
for device in wan mac; do
	check "$device: no frame in the clear" equal "$(in_clear $device)" 0
	check "$device: no user data in any frame" equal "$(marker_seen $device)" 0
done
for s in a b; do
	check "site $s: the kernel counted no xfrm error" equal "$(xfrm_errors $s)" ""
done
check "no key and no epoch was used twice" no_key_used_twice
check "the modules hold what the stores say" retry 10 modules_agree_with_stores
check "listings mark simulated keys" equal "$(sas a simulated | sort -u)" true
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
