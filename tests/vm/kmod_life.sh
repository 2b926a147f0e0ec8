#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# time limit: 1200
# The life of a channel, step by step: what is used when, what is refused, what
# happens when keys run out, when the client goes, when others meddle, and when
# the network namespace or the module is to go.
. "$(dirname "$0")/sites.sh"

epoch_gone() { # SITE ID EPOCH
	not contains "$(qkd "$1" epochs "$2")" "^epoch=$3 "
}

packets_out() { # LISTING EPOCH
	sed -n "s/^epoch=$2 .*packets_out=//p" <<<"$1"
}

# What leaves a while COMMAND runs and is neither ESP nor neighbour discovery.
in_the_clear() { # COMMAND...
	local dump
	in_site_exec a tcpdump -nni va -l --immediate-mode 'icmp or udp' >"$WORK/dump" 2>"$WORK/dump.err" &
	dump=$!
	wait_until grep -q 'listening on' "$WORK/dump.err"
	"$@" >/dev/null 2>&1
	sleep 1
	kill $dump
	cat "$WORK/dump"
}

sites_up

# --- one step at a time ------------------------------------------------------
# (no LOW or other timer events get in between: the rollover time is an hour)
qkd a events 15 >"$WORK/events" &
events=$!
wait_until grep -q ready "$WORK/events"
esp_channels 1 tunnel 4 cipher=aes esn=1 rollover=3600000 grace=10000 lookahead=8 name=first
check "idle at first" state_is a 1 idle
put_both 1 0 2
check "keys alone do not start it" state_is a 1 idle
check "no packet leaves" equal "$(in_the_clear ping_through)" ""
check "no forced rollover without the peer" refused EAGAIN a rollover 1
check "a watermark above what stands starts nothing" qkd a watermark 1 5 9 -
check "but retires what the peer will never take" wait_until epoch_gone a 1 1
put_both 1 5 3
check "the first epoch that both have is used" out_is a 1 5
check "not at the other end, which knows nothing yet" out_is b 1 -
qkd b watermark 1 5 7 5
check "then there too" out_is b 1 5
check "and packets pass" ping_through
key=$(qkd a epochs 1 | sed -n 's/^epoch=5 .*key=\([0-9a-f]*\).*/\1/p')
check "listings name the key" contains "$key" '[1-9a-f]'
check "the same at both ends" contains "$(qkd b epochs 1)" "^epoch=5 .*key=$key "
before=$(packets_out "$(qkd a epochs 1)" 5)
check "a forced rollover" contains "$(qkd a rollover 1)" 'out=6'
in_site a ping -q -c 1 "$(inner b 4)" >/dev/null
now=$(qkd a epochs 1)
check "the next packet has the new key" equal "$(packets_out "$now" 6)" 1
check "the old key has no more" equal "$(packets_out "$now" 5)" "$before"
check "the old outbound SA goes after its grace" wait_until epoch_is a 1 5 active none
qkd a watermark 1 5 7 6
check "the old inbound SA goes when the peer has moved" wait_until epoch_gone a 1 5
check "what is in use cannot be retired" refused EBUSY a retire 1 6
check "what is ready can" qkd a retire 1 7
check "and does not come back" refused ESTALE a put 1 a 7
check "nor does any below" refused ESTALE a put 1 a 3
check "nowhere to roll to" refused EAGAIN a rollover 1
wait $events
check "events tell all this" diff - "$WORK/events" <<'END'
ready
event=added channel=1 epoch=- value=0 error=0 lost=0
event=installed channel=1 epoch=0 value=0 error=0 lost=0
event=installed channel=1 epoch=1 value=0 error=0 lost=0
event=retired channel=1 epoch=0 value=0 error=0 lost=0
event=retired channel=1 epoch=1 value=0 error=0 lost=0
event=installed channel=1 epoch=5 value=0 error=0 lost=0
event=activated channel=1 epoch=5 value=0 error=0 lost=0
event=low channel=1 epoch=- value=0 error=0 lost=0
event=installed channel=1 epoch=6 value=0 error=0 lost=0
event=installed channel=1 epoch=7 value=0 error=0 lost=0
event=activated channel=1 epoch=6 value=1 error=0 lost=0
event=low channel=1 epoch=- value=1 error=0 lost=0
event=peermoved channel=1 epoch=6 value=0 error=0 lost=0
event=retired channel=1 epoch=5 value=0 error=0 lost=0
event=retired channel=1 epoch=7 value=0 error=0 lost=0
END
sites_down

# --- a client that comes back ------------------------------------------------
sites_up
esp_channels 1 tunnel 4 cipher=chacha rollover=3600000 name=second first=40
esp_channels 2 transport 6 cipher=aes rollover=3600000 name=third
put_both 1 40 2
both watermark 1 40 41 40
check "a new client finds the channels" diff - <(qkd a list) <<'END'
channel=1 name=second state=active next=42
channel=2 name=third state=idle next=0
END
check "below its first epoch nothing is taken" refused ESTALE a put 1 a 39
check "lookahead bounds what stands ready" refused ENOBUFS a put 1 a 42 4
check "an id is taken once" refused EEXIST a add 1 kind=tunnel cipher=aes local=10.9.0.1 \
	remote=10.9.0.2 reqid=99
check "a reqid too" refused EEXIST a add 9 kind=tunnel cipher=aes local=10.9.0.1 \
	remote=10.9.0.2 reqid=1
check "the other network namespace has its own" refused ENOENT b delete 9
check "the init namespace as well" equal "$("$QKDTEST" list)" ""

# --- an administrator meddles ------------------------------------------------
check "packets pass" ping_through
qkd a events 10 >"$WORK/events" &
events=$!
wait_until grep -q ready "$WORK/events"
ip -n a xfrm state flush
check "after a flush nothing passes" not ping_through
check "nor does it in the clear" equal "$(in_the_clear ping_through)" ""
wait $events
check "the module sees it by itself" diff - "$WORK/events" <<'END'
ready
event=failed channel=1 epoch=40 value=0 error=-116 lost=0
event=failed channel=1 epoch=41 value=0 error=-116 lost=0
event=failed channel=1 epoch=42 value=0 error=-116 lost=0
event=failed channel=1 epoch=43 value=0 error=-116 lost=0
event=failed channel=1 epoch=44 value=0 error=-116 lost=0
event=retired channel=1 epoch=40 value=0 error=0 lost=0
event=retired channel=1 epoch=41 value=0 error=0 lost=0
event=retired channel=1 epoch=42 value=0 error=0 lost=0
event=retired channel=1 epoch=43 value=0 error=0 lost=0
event=retired channel=1 epoch=44 value=0 error=0 lost=0
END
check "and does not tell the peer of what is gone" equal "$(counter a 1 in)" "-..-"
put_both 1 45 3
both watermark 1 45 47 -
check "new epochs carry on" ping_through
check "there is a next" contains "$(qkd a rollover 1)" 'out=46'
ip -n b xfrm state flush
check "a second flush is seen when one asks" equal "$(qkd b epochs 1)" ""
put_both 1 50 1
both watermark 1 50 50 -
check "and again new epochs carry on" ping_through
spi=$(qkd b epochs 1 | sed -n 's/^epoch=50 .*spi_in=\([0-9a-f]*\).*/0x\1/p')
check "what b holds is what a sends" contains "$(ip -n a xfrm state)" "spi $spi"
qkd b put 1 b 55
spi=$(qkd b epochs 1 | sed -n 's/^epoch=55 .*spi_out=\([0-9a-f]*\).*/0x\1/p')
ip -n a xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi "$spi" mode tunnel reqid 77 \
	aead 'rfc4106(gcm(aes))' 0x"$(printf '%040d' 1)" 128
check "another's SPI is not taken" refused EEXIST a put 1 a 55
check "the epoch is spent" refused ESTALE a put 1 a 55
check "the next one goes in" qkd a put 1 a 56
check "it counts as failed, as do five that were flushed" equal "$(counter a 1 failed)" 6
ip -n a xfrm state delete src 10.0.0.2 dst 10.0.0.1 proto esp spi "$spi"
both delete 1
both delete 2
check "both deleted" equal "$(qkd b list)" ""
check "no states left" equal "$(ip -n b xfrm state)" ""
sites_down

# --- keys run out ------------------------------------------------------------
sites_up
esp_channels 1 tunnel 4 cipher=aes rollover=500 exhausted=hold
put_both 1 0 1
both watermark 1 0 0 0
check "hold: overdue without a key" wait_until state_is a 1 overdue
check "hold: packets pass" ping_through
check "hold: counted once" equal "$(counter a 1 exhausted)" 1
put_both 1 1 1
both watermark 1 0 1 0
check "hold: a key ends it at once" out_is a 1 1
both delete 1

site_channel() { # SITE ID OPTION...
	qkd "$1" add "$2" kind=tunnel cipher=aes reqid=1 local="$(outer "$1" 4)" \
		remote="$(outer "$(other "$1")" 4)" "${@:3}"
}
for s in a b; do
	site_channel $s 2 rollover=5000 exhausted=hold hard=500
done
put_both 2 0 1
both watermark 2 0 0 0
check "hard limit: blocked in the end" wait_until state_is a 2 blocked
check "hard limit: no packet leaves" equal "$(in_the_clear ping_through)" ""
check "hard limit: nothing passes" not ping_through
check "hard limit: counted" equal "$(counter a 2 blocked)" 1
check "hard limit: the peer can still be heard" epoch_is a 2 0 active none
feed_begin 2
check "hard limit: a key ends it" comes_up 2
check "hard limit: packets pass again" wait_until ping_through
feed_end
check "hard limit: was fed to the end" equal $FED 143
both delete 2

for s in a b; do
	site_channel $s 3 rollover=500 exhausted=block
done
put_both 3 0 1
both watermark 3 0 0 0
check "block: blocked when due" wait_until state_is a 3 blocked
check "block: no packet leaves" equal "$(in_the_clear ping_through)" ""
check "block: the SA is gone" epoch_is a 3 0 active none
both delete 3
# Old outbound SAs stand in their grace time when the keys run out.
for s in a b; do
	site_channel $s 3 rollover=500 grace=60000 exhausted=block
done
put_both 3 0 3
both watermark 3 0 2 0
check "block: the third of three keys ends" wait_until state_is a 3 blocked
check "block: no packet leaves under an older key" not ping_through
check "block: no outbound SA is left" not contains "$(ip -n a xfrm state)" "^src $(outer a 4) "

# --- the module and its namespaces -------------------------------------------
check "the module does not unload under a channel" not rmmod qkd
qkd a events 1 >"$WORK/events" &
events=$!
wait_until grep -q ready "$WORK/events"
check "reading ends with an event" qkd a delete 3
wait $events
check "which tells of the deletion" contains "$(<"$WORK/events")" 'event=deleted channel=3'
esp_channels 4 transport 4 cipher=aes rollover=200 >/dev/null 2>&1
put_both 4 0 4
both watermark 4 0 3 0
macsec_devices gcm-aes-256 queue
macsec_channels 5 gcm rollover=200
put_both 5 0 2
both watermark 5 0 1 0
sites_down
# What may keep the module is: channels of the namespaces that are gone.
check "namespaces take their channels with them" wait_until rmmod qkd
check "the module loads again" insmod "${QKD_KO:?}"
check "and knows nothing" equal "$("$QKDTEST" list)" ""
done_testing
