#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What makes a rollover due besides time, and what comes after keys, in the kernel
# alone: once the keys are in, nobody gives a command.
. "$(dirname "$0")/sites.sh"

send_packets() { # ADDRESS NUMBER: as fast as it goes
	in_site a ping -q -f -c "$2" "$1"
}

# Keys for EPOCHS epochs, the first of them in use, and each end is told that the
# other has them.
ready() { # ID EPOCHS
	put_both "$1" 0 1
	both watermark "$1" 0 0 0
	[[ $2 -eq 1 ]] || put_both "$1" 1 $(($2 - 1))
	both watermark "$1" 0 $(($2 - 1)) 0
}

packets_in() { # SITE ID EPOCH
	qkd "$1" epochs "$2" | sed -n "s/^epoch=$3 .*packets_in=\([0-9]*\) .*/\1/p"
}

packets_out() { # SITE ID EPOCH
	qkd "$1" epochs "$2" | sed -n "s/^epoch=$3 .*packets_out=\([0-9]*\).*/\1/p"
}

# --- packets -----------------------------------------------------------------
sites_up
esp_channels 1 tunnel 4 cipher=aes rollover=3600000 soft_packets=1000 lookahead=4
ready 1 5
check "packets: epoch 0 is in use" out_is a 1 0
check "packets: 900 pass" send_packets 10.2.0.1 900
check "packets: no rollover yet" out_is a 1 0
check "packets: 200 more pass" send_packets 10.2.0.1 200
check "packets: epoch 1 is in use, with no command" wait_until out_is a 1 1
check "packets: both ends moved, each on its own packets" wait_until out_is b 1 1
check "packets: counted" counter_is a 1 limit 1
check "packets: none was delayed" counter_is a 1 delayed 0
check "packets: 5000 at once pass" send_packets 10.2.0.1 5000
check "packets: the last epoch is in use" wait_until out_is a 1 4
check "packets: then the keys ran out" wait_until state_is a 1 overdue
check "packets: hold: packets still pass" send_packets 10.2.0.1 10
check "packets: nothing was lost" no_xfrm_errors a
check "packets: nor at the peer" no_xfrm_errors b
check "packets: rolled over four times" counter_is a 1 rollovers 4
check "packets: the longest switch is known" counter_is a 1 longest yes
both delete 1
sites_down

# --- at the limit itself -----------------------------------------------------------
# The packet that finds the limit reached is the last one: the switch waits for no work.
# It is the one after the thousandth: xfrm looks before it counts.
sites_up
esp_channels 1 tunnel 4 cipher=aes rollover=3600000 soft_packets=1000 lookahead=4 grace=60000
ready 1 3
in_site a ping -q -f -l 1500 -c 1500 10.2.0.1 >/dev/null
check "limit: not one packet more went with epoch 0" equal "$(packets_out a 1 0)" 1001
check "limit: the rest went with epoch 1" equal "$(packets_out a 1 1)" 499
check "limit: it is a rollover like any other" counter_is a 1 rollovers 1
check "limit: counted as one" counter_is a 1 limit 1
check "limit: nothing was lost" no_xfrm_errors b
both delete 1
sites_down

# --- octets -----------------------------------------------------------------
sites_up
esp_channels 1 transport 6 cipher=aes rollover=3600000 soft_bytes=1048576 lookahead=2
ready 1 3
result=$(flood fd00::2 2000 2 1000)
check "octets: none lost" nothing_lost "$result"
check "octets: rolled over" wait_until counter_is a 1 out 2
check "octets: not the peer, which sent little" counter_is b 1 rollovers 0
both delete 1
sites_down

# --- too often -------------------------------------------------------------------
# The sender is much faster than the limit wants it: 10 ms lie between rollovers.
sites_up
esp_channels 1 tunnel 4 cipher=aes rollover=3600000 soft_packets=1000 lookahead=64
ready 1 64
before=$(date +%s%3N)
send_packets 10.2.0.1 20000 >/dev/null
elapsed=$(($(date +%s%3N) - before))
rolled=$(counter a 1 rollovers)
check "too often: rolled over" at_least "$rolled" 2
check "too often: no more than each 10 ms" at_least $((elapsed / 10 + 2)) "$rolled"
both delete 1
sites_down

# --- hard limits -----------------------------------------------------------------
sites_up
esp_channels 1 tunnel 4 cipher=aes rollover=3600000 soft_packets=1000 hard_packets=1500 exhausted=hold
ready 1 1
check "hard: 900 pass" send_packets 10.2.0.1 900
in_site a ping -q -f -c 2000 -W 1 -w $((4 * ${QKD_PATIENCE:-1})) 10.2.0.1 >/dev/null
check "hard: blocked, though it would hold" wait_until state_is a 1 blocked
check "hard: counted" counter_is a 1 hard 1
check "hard: the SA is gone" epoch_is a 1 0 active none
check "hard: what left is the limit" equal "$(packets_in b 1 0)" 1500
put_both 1 1 1
both watermark 1 0 1 0
check "hard: a key ends it" wait_until out_is a 1 1
check "hard: packets pass again" send_packets 10.2.0.1 100
both delete 1
sites_down

# --- jitter ------------------------------------------------------------------------
# Both ends draw the same from the key ID: they stay in step with no word between them.
sites_up
esp_channels 1 tunnel 4 cipher=aes rollover=1000 jitter=500 lookahead=32
ready 1 32
wait_until eval '[ "$(counter a 1 rollovers)" -ge 12 ]'
a=$(counter a 1 out) b=$(counter b 1 out)
check "jitter: both ends are in step after twelve rollovers" test $((a - b)) -ge -1 -a $((a - b)) -le 1
both delete 1
sites_down

# --- MACsec: the queue, and limits --------------------------------------------------
sites_up
macsec_devices gcm-aes-xpn-256 queue
macsec_channels 1 xpn rollover=400 grace=100 lookahead=12
put_both 1 0 12
check "queue: four stand, eight wait" counter_is a 1 queued 8
check "queue: it is listed" contains "$(qkd a epochs 1)" 'epoch=4 in=queued out=queued'
check "queue: the range is what stands" counter_is a 1 in 0..3
both watermark 1 0 3 -
feed_begin 1
check "queue: all are used in the end" wait_until eval '[ "$(counter a 1 out)" -ge 12 ]'
feed_end
check "queue: nothing failed" counter_is a 1 failed 0
both delete 1
macsec_channels 2 xpn rollover=3600000 soft_packets=1000 lookahead=3
put_both 2 0 3
both watermark 2 0 2 0
check "macsec packets: pass" in_site a ping -q -f -c 1200 10.3.0.2
check "macsec packets: rolled over, with no command" wait_until out_is a 2 1
check "macsec packets: counted" counter_is a 2 limit 1
check "macsec packets: the epoch's are listed" at_least \
	"$(qkd a epochs 2 | sed -n 's/^epoch=0 .*packets_out=//p')" 1000
both delete 2
sites_down
done_testing
