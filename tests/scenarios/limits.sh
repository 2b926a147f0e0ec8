# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Keys change by what is sent, not by the clock, which would take an hour. Site a has
# limits: of packets on the IPsec channel, of octets on the MACsec channel. Site b has
# none and follows. Jitter takes up to half of a soft limit away. MACsec looks 12
# epochs ahead, of which four have a number; the rest wait for theirs. Source it
# before lib.sh.

export ROLLOVER_MS=3600000 JITTER_MS=1800000
export LIMITS_ipsec_a="soft_packets=1000 hard_packets=2500"
export LIMITS_macsec_a="soft_bytes=1048576 hard_bytes=2621440"
export LOOKAHEAD=2 MACSEC_LOOKAHEAD=12

FRAME=$((1048576 / 1000)) # so that both soft limits are reached after 1000 packets

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

is_in_state() { # SITE CHANNEL STATE
	equal "$(counter "$1" "$2" state)" "$3"
}

passes() { # CHANNEL
	site a ping -q -c 3 -i 0.2 -W 2 "$(target b "$1")"
}

# Without jitter there would be one rollover for each 1000 packets, no more.
soft_limits() { # MACSEC_LOST: frames in a thousand that may be
	local c s sent

	for s in a b; do
		check "site $s: MACsec epochs wait for their number" retry 30 queue_is_full $s
	done
	load_start ipsec 48 250
	load_start macsec 48 250 $FRAME
	load_wait ipsec
	load_wait macsec
	for c in ipsec macsec; do
		sent=$(field "$WORK/send-$c-a" sent)
		check "$c: traffic flowed" at_least "$(load_sent $c)" 20000
		check "$c: site a rolled over on its limit, less jitter" \
			at_least "$(counter a $c limit_rollovers)" $((sent / 1000 + 1))
		check "$c: site b followed" at_least "$(counter b $c rollovers)" 10
		check "$c: site b has no limit" equal "$(counter b $c limit_rollovers)" 0
		check "$c: the ends keep pace" retry 10 ends_keep_pace $c
		for s in a b; do
			check "$c: no key was missing at $s" equal "$(counter $s $c exhausted)" 0
			check "$c: no hard limit was reached at $s" equal "$(counter $s $c hard_expiries)" 0
		done
	done
	check "ipsec: nothing lost" equal "$(load_lost ipsec)" 0
	check "macsec: at most $1 frames in a thousand lost" \
		at_least $(($(load_sent macsec) * $1 / 1000)) "$(load_lost macsec)"
}

# The KM link is cut: no new epochs. What stands ready is used, then the last key
# to its hard limit; from then on nothing leaves site a. Site b has no limit.
hard_limits() {
	local c

	link_down kx
	capture_start wan
	capture_start mac
	load_start ipsec 24 400
	load_start macsec 24 400 $FRAME
	for c in ipsec macsec; do
		check "$c: blocked at its hard limit" retry 60 is_in_state a $c blocked
		check "$c: nothing passes" not passes $c
		check "$c: it had run out of keys" equal "$(counter a $c exhausted)" 1
		check "$c: one key ended at its hard limit" equal "$(counter a $c hard_expiries)" 1
		check "$c: it was blocked once" equal "$(counter a $c blocked)" 1
		check "$c: there is no epoch in use" equal "$(counter a $c epoch_out)" -
		check "$c: site b is not blocked" is_in_state b $c active
	done
	load_wait ipsec
	load_wait macsec
	link_up kx
	for c in ipsec macsec; do
		check "$c: active again with new keys" retry 60 is_in_state a $c active
		check "$c: traffic passes again" passes $c
	done
	capture_stop wan
	capture_stop mac
	for c in wan mac; do
		check "$c: no frame in the clear" equal "$(in_clear $c)" 0
	done
}

limits_hold() { # MACSEC_LOST
	scenario_up
	soft_limits "$1"
	hard_limits
	check "no key and no epoch was used twice" no_key_used_twice
	check "the kernels hold what the stores say" retry 10 modules_agree_with_stores
}
