# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the module's tests: two network namespaces as two sites, no daemon.
# qkdtest plays the KMs.
#
#   .------------------.                       .------------------.
#   |  a               |  va               vb  |               b  |
#   |       10.0.0.1  =+=======================+=  10.0.0.2       |
#   |       fd00::1    |     msa ===== msb     |     fd00::2      |
#   |  lo   10.1.0.1   |  10.3.0.1   10.3.0.2  |     10.2.0.1  lo |
#   |       fd01::1    |       (MACsec)        |     fd02::1      |
#   '------------------'                       '------------------'

BIN=${BIN:-${BUILD:-build}}
QKDTEST=$BIN/qkdtest
WORK=$(mktemp -d)
export MAC_a=02:00:00:00:00:0a MAC_b=02:00:00:00:00:0b
# shellcheck source=tests/scenarios/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scenarios/tap.sh"

in_site() { # SITE COMMAND...; lighter than ip netns exec, which mounts a /sys
	nsenter --net=/run/netns/"$1" "${@:2}"
}

in_site_exec() { # SITE COMMAND...: the same in place of this shell, so that $! is the command
	exec nsenter --net=/run/netns/"$1" "${@:2}"
}

qkd() { # SITE VERB...: qkdtest there
	"$QKDTEST" -n "$1" "${@:2}"
}

refused() { # ERRNO SITE VERB...: the verb fails with that name
	local output
	output=$(qkd "${@:2}" 2>&1) && return 1
	contains "$output" ": $1\$"
}

# Neighbours are known from the start: a packet that waits for the answer of one may
# wait for longer than its SA stands.
sites_up() {
	local s n=0 o=2 mac
	for s in a b; do
		ip netns add $s
		ip -n $s link set lo up
	done
	ip link add va netns a address $MAC_a type veth peer name vb netns b address $MAC_b
	for s in a b; do
		n=$((n + 1)) o=$((3 - n))
		in_site $s sysctl -qw net.ipv6.conf.v$s.accept_dad=0 net.ipv6.conf.v$s.router_solicitations=0
		ip -n $s address add 10.0.0.$n/24 dev v$s
		ip -n $s address add fd00::$n/64 dev v$s nodad
		ip -n $s address add 10.$n.0.1/32 dev lo
		ip -n $s address add fd0$n::1/128 dev lo nodad
		ip -n $s link set v$s up
		mac=MAC_$(other $s)
		ip -n $s neighbour replace 10.0.0.$o lladdr "${!mac}" dev v$s nud permanent
		ip -n $s neighbour replace fd00::$o lladdr "${!mac}" dev v$s nud permanent
		ip -n $s route add 10.$o.0.1 via 10.0.0.$o src 10.$n.0.1
		ip -n $s route add fd0$o::1 via fd00::$o src fd0$n::1
	done
}

sites_down() {
	ip netns delete a
	ip netns delete b
}

outer() { # SITE FAMILY: address on the link
	local n=1
	[[ $1 == a ]] || n=2
	[[ $2 == 4 ]] && echo 10.0.0.$n || echo fd00::$n
}

inner() { # SITE FAMILY: address behind the tunnel
	local n=1
	[[ $1 == a ]] || n=2
	[[ $2 == 4 ]] && echo 10.$n.0.1 || echo fd0$n::1
}

other() {
	[[ $1 == a ]] && echo b || echo a
}

# Policies in both sites; in transport mode for UDP only, so that neighbour
# discovery goes on in the clear.
policies() { # KIND FAMILY REQID
	local s o sel=inner match=''
	[[ $1 == tunnel ]] || sel=outer match='proto udp'
	for s in a b; do
		o=$(other $s)
		# shellcheck disable=SC2086
		ip -n $s xfrm policy add src "$($sel $s "$2")" dst "$($sel $o "$2")" $match dir out \
			tmpl src "$(outer $s "$2")" dst "$(outer $o "$2")" proto esp reqid "$3" mode "$1"
		# shellcheck disable=SC2086
		ip -n $s xfrm policy add src "$($sel $o "$2")" dst "$($sel $s "$2")" $match dir in \
			tmpl src "$(outer $o "$2")" dst "$(outer $s "$2")" proto esp reqid "$3" mode "$1"
	done
}

esp_channels() { # ID KIND FAMILY OPTION...: in both sites, with policies
	local s o
	policies "$2" "$3" "$1"
	for s in a b; do
		o=$(other $s)
		qkd $s add "$1" kind="$2" local="$(outer $s "$3")" remote="$(outer $o "$3")" "${@:4}"
	done
}

# The replay window is wide: a veth pair hands frames to the processor that sent
# them, so that those of two processors overtake one another, far if one stalls.
macsec_device() { # SITE CIPHER QUEUE: ms$s over v$s; QUEUE: attach one or not
	local s=$1 n=1
	[[ $s == a ]] || n=2
	ip -n $s link add link v$s ms$s type macsec cipher "$2" encrypt on replay on window 10000
	[[ $3 != queue ]] || in_site $s tc qdisc add dev ms$s root pfifo limit 10000
	in_site $s sysctl -qw net.ipv6.conf.ms$s.disable_ipv6=1
	ip -n $s link set ms$s up
	ip -n $s address add 10.3.0.$n/24 dev ms$s
}

macsec_devices() { # CIPHER QUEUE
	macsec_device a "$@"
	macsec_device b "$@"
}

macsec_channels() { # ID CIPHER OPTION...: in both sites
	qkd a add "$1" kind=macsec cipher="$2" dev=msa sci="${MAC_b//:/}0001" "${@:3}" \
		"$([[ $2 == xpn ]] && echo ssci1=1 || echo ssci1=0)"
	qkd b add "$1" kind=macsec cipher="$2" dev=msb sci="${MAC_a//:/}0001" "${@:3}"
}

field() { # LINE NAME: of NAME=VALUE...
	[[ " $1 " =~ \ $2=([^ ]*)\  ]] && echo "${BASH_REMATCH[1]}"
}

counter_is() { # SITE ID NAME VALUE
	equal "$(counter "$1" "$2" "$3")" "$4"
}

counter() { # SITE ID NAME
	field "$(qkd "$1" counters "$2")" "$3"
}

# The KMs of both ends feed channel ID in the background, until feed_end, which
# sets FED to their exit status: 143 if they had to be stopped.
feed_begin() { # ID
	"$QKDTEST" pair a b "$1" 600 &
	FEEDER=$!
}

feed_end() {
	kill $FEEDER
	# shellcheck disable=SC2034
	wait $FEEDER && FED=0 || FED=$?
}

both() { # VERB...: the same in both sites
	qkd a "$@" && qkd b "$@"
}

put_both() { # ID FIRST COUNT
	qkd a put "$1" a "$2" "$3" && qkd b put "$1" b "$2" "$3"
}

ping_through() {
	in_site a ping -q -c 3 -i 0.2 -W 2 "$(inner b 4)"
}

state_is() { # SITE ID STATE
	contains "$(qkd "$1" list)" "^channel=$2 .* state=$3 "
}

epoch_is() { # SITE ID EPOCH IN OUT
	contains "$(qkd "$1" epochs "$2")" "^epoch=$3 in=$4 out=$5 "
}

comes_up() { # ID: both ends encrypt
	wait_until eval "! out_is a $1 - && ! out_is b $1 -"
}

wait_until() { # COMMAND...: succeeds in the end, or after a minute fails
	local end=$((SECONDS + 60))
	until "$@" >"$WORK/wait" 2>&1; do
		if ((SECONDS >= end)); then
			cat "$WORK/wait"
			return 1
		fi
		sleep 0.1
	done
}

out_is() { # SITE ID EPOCH
	equal "$(counter "$1" "$2" out)" "$3"
}

# Sends PACKETS_PER_SECOND for SECONDS from a to b at ADDRESS, prints "sent N errors
# N" and "received N duplicates N highest N".
flood() { # ADDRESS PACKETS_PER_SECOND SECONDS [BYTES]
	local sink
	in_site_exec b "$BIN/load" sink "$1" 7000 >"$WORK/sink" &
	sink=$!
	wait_until eval 'in_site b ss -Huln | grep -q :7000'
	in_site a "$BIN/load" send "$1" 7000 "${@:2}"
	sleep 1
	kill -TERM $sink
	wait $sink
	tail -n 1 "$WORK/sink"
}

# In ms. Also for the KMs of both ends, which have a part in each, and for the flood there
# must be time left on a slow kernel (QKD_PATIENCE).
short_rollover() {
	echo $((200 * ${QKD_PATIENCE:-1}))
}

# A flood for 3 s, with fewer packets on a slow kernel: with as many, the
# debug kernel takes ten minutes.
flood_for_3s() { # ADDRESS
	flood "$1" $((1500 / ${QKD_PATIENCE:-1})) 3
}

nothing_lost() { # OUTPUT of flood
	local sent errors received
	read -r sent errors < <(sed -n 's/^sent \([0-9]*\) errors \([0-9]*\).*/\1 \2/p' <<<"$1")
	received=$(sed -n 's/^received \([0-9]*\) duplicates 0 .*/\1/p' <<<"$1")
	at_least "$sent" 100 && equal "$errors" 0 && equal "$received" "$sent"
}

no_xfrm_errors() { # SITE
	local bad
	bad=$(in_site "$1" grep -v '[[:space:]]0$' /proc/net/xfrm_stat)
	equal "$bad" ""
}

no_keys_shown() { # SITE: no key byte of any ESP state, and at least one state
	local states
	states=$(ip -n "$1" xfrm state) && contains "$states" 'aead .* 128$' &&
		not contains "$states" 'aead .* 0x0*[1-9a-f]'
}

spis_agree() { # SITE ID: EPOCH_LIST and ip xfrm state
	local ours theirs
	ours=$(qkd "$1" epochs "$2" | grep -oE 'in=[a-z]+ out=[a-z]+ .*spi_in=[0-9a-f]+ spi_out=[0-9a-f]+' |
		sed -E 's/in=([a-z]+) out=([a-z]+) .*spi_in=(.*) spi_out=(.*)/\1 \3\n\2 \4/' |
		awk '$1 != "ready" && $1 != "none" { print "0x" $2 }' | sort)
	theirs=$(ip -n "$1" xfrm state | grep -oE 'spi 0x[0-9a-f]+' | sed 's/spi //' | sort)
	equal "$ours" "$theirs"
}
