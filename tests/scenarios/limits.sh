# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Keys change by what is sent, not by the clock, which would take an hour. Site a has
# limits: of packets on the IPsec channel, of octets on the MACsec channel. Site b has
# none and follows. Jitter takes up to half of a soft limit away. MACsec looks 12
# epochs ahead, of which four have a number; the rest wait for theirs. Source it
# before lib.sh.

export ROLLOVER_MS=3600000 JITTER_MS=1800000
export LIMITS_ipsec_a="soft_packets=1000 hard_packets=2000"
export LIMITS_macsec_a="soft_bytes=1048576 hard_bytes=2097152"
export LOOKAHEAD=2 MACSEC_LOOKAHEAD=12
export GRACE_MS=6000 # so that what was sent under an old key can be seen

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

ended_watch() { # from now on: what site a sent under each IPsec key until the next one
	while sleep 1; do
		sas a channel direction state epoch packets | sed -n 's/^ipsec out grace //p'
	done >"$WORK/ended" &
	WATCH=$!
}

ended_packets() {
	sort -n "$WORK/ended" | awk '{ n[$1] = $2 } END { for (epoch in n) print n[epoch] }' | sort -n
}

ended_at_limits() { # the soft ones: none was much over, and at least one well below
	local n

	mapfile -t n < <(ended_packets)
	at_least "${#n[@]}" 5 && at_least 950 "${n[0]}" && at_least 1500 "${n[-1]}"
}

soft_limits() { # MACSEC_LOST: frames in a thousand that may be
	local c s

	for s in a b; do
		check "site $s: MACsec epochs wait for their number" retry 30 queue_is_full $s
	done
	ended_watch
	load_start ipsec 24 250
	load_start macsec 24 250 $FRAME
	load_wait ipsec
	load_wait macsec
	kill $WATCH
	check "ipsec: keys ended at their soft limit, less jitter" ended_at_limits
	for c in ipsec macsec; do
		check "$c: traffic flowed" at_least "$(load_sent $c)" 10000
		check "$c: site a rolled over on its limit" at_least "$(counter a $c limit_rollovers)" 5
		check "$c: site b followed" at_least "$(counter b $c rollovers)" 5
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

send_only() { # CHANNEL [OCTETS]: from site a, enough for all that stands ready and the hard limit
	site_exec a "$BIN/load" send "$(target b "$1")" 7001 400 16 "${2:-256}" >"$WORK/only-$1" &
}

# The KM link is cut: no new epochs. What stands ready is used, then the last key
# to its hard limit; from then on nothing leaves site a. Site b has no limit.
hard_limits() {
	local c

	link_down kx
	capture_start wan
	capture_start mac
	send_only ipsec
	send_only macsec $FRAME
	for c in ipsec macsec; do
		check "$c: blocked at its hard limit" retry 60 is_in_state a $c blocked
		check "$c: nothing passes" not passes $c
		check "$c: it had run out of keys" equal "$(counter a $c exhausted)" 1
		check "$c: one key ended at its hard limit" equal "$(counter a $c hard_expiries)" 1
		check "$c: it was blocked once" equal "$(counter a $c blocked)" 1
		check "$c: there is no epoch in use" equal "$(counter a $c epoch_out)" -
		check "$c: site b is not blocked" is_in_state b $c active
	done
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
