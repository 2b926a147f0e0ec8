# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash

# Both channels roll over every second under load: nothing is lost, nothing is in the
# clear, no listing shows a key, all listings agree.
runs_steadily() { # SECONDS PACKETS_PER_SECOND
	local s c device

	capture_start wan
	capture_start mac
	load_start ipsec "$1" "$2"
	load_start macsec "$1" "$2"
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
		for s in a b; do
			check "$c: rolled over at $s" at_least "$(counter $s $c rollovers)" $(($1 - 5))
		done
		check "$c: traffic flowed" at_least "$(load_sent $c)" $(($1 * $2 * 3 / 2))
		check "$c: nothing lost" equal "$(load_lost $c)" 0
	done
	check "wan: encrypted frames were seen" \
		at_least "$(captured wan 'ip proto 50 or ip6 proto 50')" $(($1 * $2 / 2))
	check "mac: encrypted frames were seen" \
		at_least "$(captured mac 'ether proto 0x88e5')" $(($1 * $2 / 2))
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
}
