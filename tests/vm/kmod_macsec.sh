#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# time limit: 1200
# MACsec channels under load while the keys roll over five times a second.
. "$(dirname "$0")/sites.sh"

rolled_ten() { # SITE ID
	at_least "$(counter "$1" "$2" rollovers)" 10
}

rolls() { # NAME SUITE CIPHER QUEUE
	local result s
	sites_up
	macsec_devices "$2" "$4"
	macsec_channels 1 "$3" rollover="$(short_rollover)"
	feed_begin 1
	check "$1: comes up" comes_up 1
	check "$1: ping" in_site a ping -q -i 0.02 -c 50 10.3.0.2
	result=$(flood_for_3s 10.3.0.2)
	if [[ $4 == queue ]]; then
		check "$1: flood" nothing_lost "$result"
	else
		echo "# $1: ${result//$'\n'/, }"
	fi
	for s in a b; do
		check "$1: $s rolled over" wait_until rolled_ten $s 1
		check "$1: $s failed nothing" counter_is $s 1 failed 0
	done
	feed_end
	check "$1: was fed to the end" equal $FED 143
}

device_agrees() { # SITE: ip macsec and the epoch in use name the same association
	local an
	an=$(qkd "$1" epochs 1 | sed -n 's/.* out=active an=\([0-9]\).*/\1/p')
	contains "$(in_site "$1" ip macsec show)" "TXSC: .* on SA $an\$"
}

ends() { # NAME
	for s in a b; do
		check "$1: $s agrees with the device" wait_until device_agrees $s
		check "$1: $s deletes it" qkd $s delete 1
		check "$1: $s has no association left" not contains \
			"$(in_site $s ip macsec show)" '(key|PN) [0-9a-f]+|RXSC'
	done
	sites_down
}

check "the driver can be unloaded" modprobe -r macsec
check "a client that asks for MACsec loads it" contains "$("$QKDTEST" hello)" ' features=3f '
check "it is there" test -d /sys/module/macsec
rolls "GCM-AES-256, queue" gcm-aes-256 gcm queue
ends "GCM-AES-256, queue"
rolls "GCM-AES-XPN-256, queue" gcm-aes-xpn-256 xpn queue
ends "GCM-AES-XPN-256, queue"
rolls "GCM-AES-XPN-256, no queue" gcm-aes-xpn-256 xpn none

# The device goes while the channel stands.
check "the device can be removed" timeout 20 ip -n a link delete msa
check "its associations are known to be gone" equal "$(counter a 1 in)" "-..-"
check "no key goes in without it" refused ENODEV a put 1 a "$(qkd a list | sed -n "s/.*next=//p")"
check "the other end goes on" qkd b counters 1
check "the channel can be deleted without its device" qkd a delete 1
check "a device that is none is refused" refused ENODEV a add 2 kind=macsec cipher=xpn dev=va \
	sci="${MAC_b//:/}0001"
sites_down

# The driver's rule for rights is the module's.
in_user_namespace() { # VERB...
	unshare --user --map-root-user --net "$QKDTEST" "$@" 2>&1
}
check "a user namespace may have ESP" in_user_namespace add 1 kind=tunnel cipher=aes \
	local=10.9.0.1 remote=10.9.0.2
check "but no MACsec" contains "$(in_user_namespace add 1 kind=macsec cipher=gcm dev=lo \
	sci="${MAC_b//:/}0001")" 'add: EPERM$'

frames_sent() { # SITE [DEVICE]: by the device below; /sys is of another network namespace
	in_site "$1" awk -v dev="${2:-v$1}:" '$1 == dev { print $11; n++ } END { exit !n }' /proc/net/dev ||
		echo unknown-$RANDOM
}

# Nothing leaves before the peer has said that it can read it.
sites_up
macsec_devices gcm-aes-256 queue
in_site a ip link set msa type macsec encrypt off
macsec_channels 1 gcm rollover=60000
check "the module turns encryption on" contains "$(in_site a ip macsec show)" 'encrypt on'
qkd a put 1 a 0
qkd b put 1 b 0
in_site a sysctl -qw net.ipv6.conf.va.disable_ipv6=1 # its reports are frames too
before=$(frames_sent a)
in_site a ping -q -c 3 -W 1 -i 0.2 10.3.0.2 >/dev/null
check "epoch 0 is not used before the watermark" equal "$(frames_sent a)" "$before"
qkd a watermark 1 0 0 -
qkd b watermark 1 0 0 0
check "then it is" in_site a ping -q -c 3 10.3.0.2
check "another's association is refused" in_site a ip macsec add msa tx sa 1 pn 1 on key 01 \
	"$(printf '%064d' 1)"
check "with EEXIST" refused EEXIST a put 1 a 1
check "and spends the epoch" refused ESTALE a put 1 a 1
check "but not the next" qkd a put 1 a 2
qkd a delete 1
check "deleting leaves the other's alone" contains "$(in_site a ip macsec show)" '1: PN'
sites_down

sites_up
macsec_devices gcm-aes-256 queue
macsec_channels 1 gcm rollover=60000 lookahead=6
qkd a put 1 a 0
check "an epoch right behind the one with its number is refused" refused ENOBUFS a put 1 a 4
check "the one after it does" qkd a put 1 a 5 2
check "and those behind wait" qkd a put 1 a 8 2
for epoch in 8 9; do
	check "epoch $epoch in the queue has its number already" contains "$(qkd a epochs 1)" \
		"^epoch=$epoch in=queued out=queued an=$((epoch % 4)) "
done
both delete 1

frames_listed() { # SITE ID: under all its epochs
	qkd "$1" epochs "$2" | awk -F packets_out= '{ n += $2 } END { print n + 0 }'
}

# All epochs stay in the listing, since neither end hears that the other has moved.
macsec_channels 2 gcm rollover=4000 exhausted=block
put_both 2 0 2
both watermark 2 0 1 -
in_site a ping -q -c 3 -i 0.2 10.3.0.2 >/dev/null
both rollover 2 >/dev/null
in_site a ping -q -c 8 -i 0.1 10.3.0.2 >/dev/null
check "the frames of the epoch before are counted, and those of the one in use" \
	equal "$(frames_listed a 2)" "$(frames_sent a msa)"
check "at least the pings" at_least "$(frames_listed a 2)" 11
check "it blocks" wait_until state_is a 2 blocked
check "its frames are counted" equal "$(frames_listed a 2)" "$(frames_sent a msa)"
sites_down
done_testing
