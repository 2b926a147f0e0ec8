#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What others do to SAs, addresses and devices is noticed by the module itself: no
# command is given in between, since COUNTERS and EPOCH_LIST look for themselves.
. "$(dirname "$0")/sites.sh"

spi() { # SITE ID EPOCH in|out
	qkd "$1" epochs "$2" | sed -n "s/^epoch=$3 .*spi_$4=\([0-9a-f]*\).*/0x\1/p"
}

listen() { # SITE: events in the background, to $WORK/events
	in_site_exec "$1" "$QKDTEST" events 1000 >"$WORK/events" &
	LISTENER=$!
	wait_until grep -q ready "$WORK/events"
}

heard() { # WHAT
	wait_until grep -q "$1" "$WORK/events"
}

stop_listening() {
	kill $LISTENER
	wait $LISTENER 2>/dev/null || true
}

outbound_spis() {
	ip -n a xfrm state list src 10.0.0.1 | grep -o 'spi 0x[0-9a-f]*'
}

# --- SAs that somebody deletes -------------------------------------------------
sites_up
esp_channels 1 tunnel 4 cipher=aes rollover=3600000 lookahead=8
put_both 1 0 4
both watermark 1 0 3 0
first=$(spi a 1 0 out) second=$(spi a 1 1 out)
listen a
ip -n a xfrm state delete src 10.0.0.1 dst 10.0.0.2 proto esp spi "$first"
check "the loss of the SA in use is told" heard 'event=failed channel=1 epoch=0 value=0 error=-116'
check "the next one is in use" wait_until contains "$(outbound_spis)" "$second"
check "packets pass" ping_through
ip -n a xfrm state flush
check "a flush is told, of the last epoch too" heard 'event=failed channel=1 epoch=3 '
check "all is gone" heard 'event=retired channel=1 epoch=3 '
put_both 1 4 1
both watermark 1 4 4 -
check "the next epoch brings it back" wait_until ping_through
check "others' SAs are none of it" ip -n a xfrm state add src 10.0.0.1 dst 10.0.0.9 proto esp \
	spi 0x1234 reqid 999 mode tunnel aead 'rfc4106(gcm(aes))' 0x"$(printf '%040d' 1)" 128
ip -n a xfrm state delete src 10.0.0.1 dst 10.0.0.9 proto esp spi 0x1234
check "it stands" counter_is a 1 out 4
put_both 1 5 3
both watermark 1 4 7 -
in_site a "$BIN/xfrmexpire" 10.0.0.1 "$(spi a 1 7 in)"
check "an inbound SA that somebody says has expired is told of" heard 'event=failed channel=1 epoch=7 '
in_site a "$BIN/xfrmexpire" 10.0.0.2 "$(spi a 1 4 out)"
check "an outbound one too" heard 'event=failed channel=1 epoch=4 '
check "and the next one is in use" wait_until out_is a 1 5
check "packets still pass" ping_through
stop_listening

# --- addresses -----------------------------------------------------------------
put_both 1 8 3
both watermark 1 5 10 5
ip -n a address del 10.0.0.1/24 dev va
check "an address that goes takes the traffic with it" not ping_through
check "but no SA" counter_is a 1 failed 7
qkd a rollover 1
ip -n a address add 10.0.0.1/24 dev va
ip -n a neighbour replace 10.0.0.2 lladdr $MAC_b dev va nud permanent
ip -n a route replace 10.2.0.1 via 10.0.0.2 src 10.1.0.1
check "and when it comes back, so does the traffic, on the next key" ping_through
both delete 1
for s in a b; do
	ip -n $s xfrm policy flush
done

# --- the first packet after a rollover --------------------------------------------
# A socket keeps the route with the old SA; the kernel has caches of its own. The very
# next packet must go under the new key all the same.
esp_channels 2 tunnel 4 cipher=aes rollover=3600000 lookahead=32
put_both 2 0 31
both watermark 2 0 30 0
in_site_exec b "$BIN/load" sink 10.2.0.1 7000 >"$WORK/sink" &
sink=$!
wait_until eval 'in_site b ss -Huln | grep -q :7000'
cat >"$WORK/first" <<'SCRIPT'
exec 3>/dev/udp/10.2.0.1/7000
for epoch in {0..29}; do
	echo one >&3
	under=$("$QKDTEST" epochs 2 | sed -n "s/^epoch=$epoch .*packets_out=//p")
	[ "$under" = 1 ] || { echo "epoch $epoch: $under packets, not 1"; exit 1; }
	"$QKDTEST" rollover 2
done
SCRIPT
export QKDTEST
check "thirty times" in_site a bash "$WORK/first"
kill $sink
wait $sink 2>/dev/null || true
both delete 2
sites_down

# --- macsec devices ------------------------------------------------------------------
sites_up
macsec_devices gcm-aes-256 queue
macsec_channels 1 gcm rollover=3600000 grace=60000
put_both 1 0 2
both watermark 1 0 1 0
check "macsec: packets pass" in_site a ping -q -c 2 10.3.0.2
qkd a watermark 1 0 1 1 # the inbound side of epoch 0 has its grace time
index=$(ip -n a -o link show msa | cut -d: -f1)
sent=$(in_site a awk '$1 == "msa:" { print $11 }' /proc/net/dev)
listen a
ip -n a link delete msa
check "a device that goes is told of" heard 'event=failed channel=1 epoch=1 '
check "its epochs are gone" heard 'event=retired channel=1 epoch=1 '
check "what it had sent is known" contains "$(qkd a epochs 1)" \
	"^epoch=0 in=grace out=none .* packets_out=$sent\$"
stop_listening

# Another device in its place, and somebody else who looks after that.
ip -n a link add link va index "$index" msa type macsec cipher gcm-aes-256 encrypt on
in_site a ip macsec add msa rx address $MAC_b port 1 on
for an in 0 1 2 3; do
	in_site a ip macsec add msa tx sa $an pn 1 off key 0$an "$(printf '%064d' 1)"
	in_site a ip macsec add msa rx address $MAC_b port 1 sa $an pn 1 off key 0$an "$(printf '%064d' 1)"
done
before=$(in_site a ip macsec show)
check "a device in its place is another" refused ENODEV a put 1 a 2
both delete 1
check "and is left alone" equal "$(in_site a ip macsec show)" "$before"
ip -n a link delete msa

macsec_device a gcm-aes-256 queue
macsec_channels 2 gcm rollover=3600000
put_both 2 0 2
both watermark 2 0 1 0
check "macsec: packets pass again" in_site a ping -q -c 2 10.3.0.2
listen a
ip netns add c
ip -n a link set msa netns c
check "a device that moves away is told of" heard 'event=failed channel=2 epoch=0 '
stop_listening
ip -n c link set msa up
ip -n c address add 10.3.0.1/24 dev msa
before=$(in_site a cat /proc/net/dev | awk '/va:/ { print $11 }')
nsenter --net=/run/netns/c ping -q -c 3 -W 1 -i 0.2 10.3.0.2 >/dev/null || true
check "it sends nothing any more" equal "$(in_site a cat /proc/net/dev | awk '/va:/ { print $11 }')" "$before"
check "the channel can be deleted" both delete 2
ip -n c link delete msa
ip netns delete c

# The lower device takes its macsec device along.
macsec_device a gcm-aes-256 queue
macsec_channels 3 gcm rollover=3600000
put_both 3 0 2
listen a
ip -n a link delete va
check "a lower device that goes is told of" heard 'event=retired channel=3 epoch=1 '
stop_listening
qkd a delete 3
sites_down
done_testing
