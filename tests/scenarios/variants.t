#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The other kinds of channel, end to end: ESP transport over IPv6 with ChaCha20,
# MACsec with extended packet numbers, and keys that TLS has a part in.

export ESP_KIND=esp-transport ESP_FAMILY=6 ESP_CIPHER=chacha20-poly1305
export MACSEC_CIPHER=gcm-aes-xpn-256 COMBINE=qkd+tls
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/facts.sh"
trap scenario_end EXIT

scenario_up
capture_start wan
capture_start mac
load_start ipsec 12 50
load_start macsec 12 50
for s in a b; do
	check "site $s: qkdctl and ip xfrm state agree" retry 10 sa_lists_agree $s
	check "site $s: qkdctl and ip macsec show agree" retry 10 macsec_lists_agree $s
	check "site $s: transport mode, ChaCha20" contains "$(site $s ip xfrm state | tr '\n' ' ')" \
		'src 2001:db8::[12] .*mode transport.*rfc7539esp\(chacha20,poly1305\)'
	check "site $s: extended packet numbers" contains "$(site $s ip macsec show)" 'cipher suite: GCM-AES-XPN-256'
done
check "no listing shows a key" no_key_in_listings
load_wait ipsec
load_wait macsec
capture_stop wan
capture_stop mac
for c in ipsec macsec; do
	check "$c: rolled over" at_least "$(counter a $c rollovers)" 8
	check "$c: traffic flowed" at_least "$(load_sent $c)" 1000
	check "$c: nothing lost" equal "$(load_lost $c)" 0
done
check "wan: encrypted frames were seen" at_least "$(captured wan 'ip6 proto 50')" 500
check "mac: encrypted frames were seen" at_least "$(captured mac 'ether proto 0x88e5')" 500
for device in wan mac; do
	check "$device: no frame in the clear" equal "$(in_clear $device)" 0
	check "$device: no user data in any frame" equal "$(marker_seen $device)" 0
done
check "no key and no epoch was used twice" no_key_used_twice
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
