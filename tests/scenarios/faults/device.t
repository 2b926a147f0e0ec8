#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Somebody removes a MACsec device under a channel: qkdkeyd makes it again, and the
# channel with it; so it does when another stands in its place, under its number even.

CHANNELS=macsec
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/../facts.sh"
trap scenario_end EXIT

ifindex() {
	site a ip -oneline link show macsec0 2>/dev/null | cut -d: -f1
}

is_another() { # IFINDEX
	[ -n "$(ifindex)" ] && [ "$(ifindex)" != "$1" ]
}

# Addresses are not the daemon's.
give_address() {
	site a ip address replace 10.3.0.1/24 dev macsec0
	site a ip neighbour replace 10.3.0.2 lladdr "$(mac_of b)" dev macsec0 nud permanent
}

pings() {
	site a ping -q -c 3 -W 5 10.3.0.2 >/dev/null
}

replaced() { # TIMES
	at_least "$(grep -c 'with a device that has gone: it is replaced' "$WORK/a/qkdkeyd.log")" "$1"
}

carries_on() { # WHAT
	check "$1: the channel rolls over at both ends" eval 'rolls_on a macsec && rolls_on b macsec'
	check "$1: traffic flows" retry 10 pings
}

scenario_up
check "traffic flows" retry 10 pings

before=$(ifindex)
site a ip link delete macsec0
check "removed: the daemon makes it again" retry 60 is_another "$before"
give_address
carries_on "made again"
check "the log says what happened" replaced 1

before=$(ifindex)
site a ip link delete macsec0
site a ip link add link mac name macsec0 index "$before" type macsec port 1 cipher "$MACSEC_CIPHER" \
	encrypt on protect on validate strict send_sci on replay on window 1024
give_address
check "another has its name and number: taken for the new one" retry 60 replaced 2
carries_on "another in its place"

check "no key and no epoch was used twice" no_key_used_twice
check "no xfrm or MACsec key is listed" no_key_in_listings
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
