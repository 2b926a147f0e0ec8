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
. "$(dirname "$0")/steady.sh"
trap scenario_end EXIT

scenario_up
runs_steadily 12 50
for s in a b; do
	check "site $s: transport mode, ChaCha20" contains "$(site $s ip xfrm state | tr '\n' ' ')" \
		'src 2001:db8::[12] .*mode transport.*rfc7539esp\(chacha20,poly1305\)'
	check "site $s: extended packet numbers" \
		contains "$(site $s ip macsec show)" 'cipher suite: GCM-AES-XPN-256'
done
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
