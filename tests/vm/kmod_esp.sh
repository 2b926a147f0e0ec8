#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ESP channels under load while the keys roll over five times a second: nothing
# is lost, nothing is refused, and no key is to be seen.
. "$(dirname "$0")/sites.sh"

rolled() { # SITE ID: ten times at least, and nothing went wrong
	local counters
	counters=$(qkd "$1" counters "$2")
	at_least "$(field "$counters" rollovers)" 10 && equal "$(field "$counters" failed)" 0
}

rolls_without_loss() { # ID KIND FAMILY OPTION...
	local name="$2 IPv$3 ${*:4}" address s
	[[ $2 == tunnel ]] && address=$(inner b "$3") || address=$(outer b "$3")
	sites_up
	esp_channels "$1" "$2" "$3" rollover="$(short_rollover)" "${@:4}"
	feed_begin "$1"
	check "$name: comes up" comes_up "$1"
	if [[ $2 == tunnel ]]; then
		check "$name: ping" in_site a ping -q -i 0.02 -c 50 "$address"
	fi
	check "$name: flood" nothing_lost "$(flood_for_3s "$address")"
	for s in a b; do
		check "$name: $s rolled over" wait_until rolled $s "$1"
		check "$name: $s shows no key" no_keys_shown $s
		check "$name: $s has no xfrm errors" no_xfrm_errors $s
	done
	feed_end
	check "$name: was fed to the end" equal $FED 143
	check "$name: listings agree" wait_until spis_agree a "$1"
	for s in a b; do
		check "$name: $s deletes it" qkd $s delete "$1"
		check "$name: $s has no states left" equal "$(ip -n $s xfrm state)" ""
	done
	sites_down
}

rolls_without_loss 1 tunnel 4 cipher=aes esn=1
rolls_without_loss 2 tunnel 6 cipher=chacha esn=1
rolls_without_loss 3 transport 4 cipher=chacha esn=0
rolls_without_loss 4 transport 6 cipher=aes esn=0 window=2048
done_testing
