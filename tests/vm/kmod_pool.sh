#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# States that are used again: nothing is left in them of the SA that they were.
. "$(dirname "$0")/sites.sh"

next_epoch() { # ID: both ends move on by one
	local next
	next=$(qkd a list | sed -n "s/^channel=$1 .*next=\([0-9]*\).*/\1/p")
	put_both "$1" "$next" 1
	both watermark "$1" 0 "$next" "$((next - 1))"
	both rollover "$1"
	sleep 0.3 # grace time, and the pool's
}

roll_over() { # ID TIMES
	local i
	for ((i = 0; i < $2; i++)); do
		next_epoch "$1" || return 1
	done
}

outbound() { # what a lists of its outbound states
	ip -n a -s xfrm state list src 10.0.0.1
}

# --- the pool serves ---------------------------------------------------------------
sites_up
esp_channels 1 tunnel 4 cipher=aes rollover=3600000 soft_packets=1000 hard_packets=2000 lookahead=4
put_both 1 0 1
both watermark 1 0 0 -
check "states come from the pool" roll_over 1 12
check "all of them, after the first" at_least "$(counter a 1 hits)" 20
misses=$(counter a 1 misses)
check "packets pass" in_site a ping -q -f -c 500 10.2.0.1
check "the replay window of a state begins anew" roll_over 1 3
check "packets pass with sequence numbers from 1 on" in_site a ping -q -f -c 500 10.2.0.1
check "nothing was refused" no_xfrm_errors b
check "none had to be made meanwhile" counter_is a 1 misses "$misses"

# --- what another manager set -------------------------------------------------------
# From 6.12 on SAs have a direction, and Debian 12's ip cannot say which.
if [[ $(uname -r) == 6.1.* ]]; then
	spi=$(outbound | sed -n 's/.*spi \(0x[0-9a-f]*\).*/\1/p' | tail -n 1)
	check "an administrator gives the SA in use another limit, and a mark" ip -n a xfrm state \
		update src 10.0.0.1 dst 10.0.0.2 proto esp spi "$spi" reqid 1 mode tunnel \
		aead 'rfc4106(gcm(aes))' 0x"$(printf '%072d' 1)" 128 \
		limit packet-soft 123456 output-mark 0x77
	check "it has them" contains "$(outbound)" 'soft 123456.packets'
	check "it rolls over" roll_over 1 12
	check "no later SA has that limit" not contains "$(outbound)" 123456
	check "nor the mark" not contains "$(outbound)" 0x77
fi
both delete 1

# --- another channel -----------------------------------------------------------------
ip -n a xfrm policy flush && ip -n b xfrm policy flush
esp_channels 2 tunnel 4 cipher=aes rollover=3600000 lookahead=4
put_both 2 0 1
both watermark 2 0 0 -
check "a channel without limits takes its states from the same pool" roll_over 2 6
check "they have none but xfrm's own" contains "$(outbound)" 'soft 2147483648.packets'
check "not the other's soft one" not contains "$(outbound)" 'soft 1000.packets'
check "not the other's hard one" not contains "$(outbound)" 'hard 2000.packets'
check "a new SA has carried nothing" contains "$(qkd a epochs 2)" 'out=active .* packets_in=0 packets_out=0'
check "packets pass" ping_through

# --- memory pressure -----------------------------------------------------------------
echo 2 >/proc/sys/vm/drop_caches
check "the pool gave its spares back, and still serves" roll_over 2 3
check "packets pass after that" ping_through

# --- a socket that keeps its route ------------------------------------------------------
# Its route has a reference to the state, for as long as it sends nothing.
in_site a bash -c 'exec 3<>/dev/udp/10.2.0.1/7777; echo >&3; sleep 4; echo >&3' &
socket=$!
check "SAs come and go while a socket is idle" roll_over 2 10
wait $socket
check "and it goes on" ping_through
check "nothing failed" counter_is a 2 failed 0
both delete 2
check "no state is left" equal "$(ip -n a xfrm state list)" ''
sites_down
done_testing
