# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Two sites in network namespaces, joined by links that can be cut one by one,
# a simulated pair of QKD devices between them, and a qkdkeyd in each.
#
#                 203.0.113.1              203.0.113.5
#                     .------- qkdsim (ns q) ------.
#        203.0.113.2  |                            |  203.0.113.6
#   .-----------------'----.                 .-----'----------------.
#   |  site a (ns a)       |      kx         |       site b (ns b)  |
#   |        198.51.100.1 -+-----------------+- 198.51.100.2        |
#   |                      |      wan        |                      |
#   |           192.0.2.1 =+== IPsec tunnel ==+= 192.0.2.2          |
#   |  10.1.0.1 (dummy)    |      mac        |    (dummy) 10.2.0.1  |
#   |           10.3.0.1 ==+==== MACsec =====+== 10.3.0.2           |
#   '----------------------'                 '----------------------'
#
# Source it; everything lives under $WORK and is gone after scenario_end.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=${BIN:-$TOP/build}
WORK=${WORK:-$(mktemp -d /tmp/qkd-scenario.XXXXXX)}
ROLLOVER_MS=${ROLLOVER_MS:-1000}
LOOKAHEAD=${LOOKAHEAD:-4}
ON_EXHAUSTED=${ON_EXHAUSTED:-hold}
HARD_MS=${HARD_MS:-0}
GRACE_MS=${GRACE_MS:-2000}
JITTER_MS=${JITTER_MS:-0}
MACSEC_LOOKAHEAD=${MACSEC_LOOKAHEAD:-2}
KEYS_TARGET=${KEYS_TARGET:-64}
CHANNELS=${CHANNELS-ipsec macsec}
BACKEND=${BACKEND:-auto}
SIM_RATE=${SIM_RATE:-100}
SIM_KEYS=${SIM_KEYS:-1000}
COMBINE=${COMBINE:-qkd}
ESP_KIND=${ESP_KIND:-esp-tunnel}
ESP_FAMILY=${ESP_FAMILY:-4}
ESP_CIPHER=${ESP_CIPHER:-aes-256-gcm}
MACSEC_CIPHER=${MACSEC_CIPHER:-gcm-aes-256}
export BACKEND

mac_of() { # SITE
	echo "02:00:00:00:0$1:01"
}

site() { # SITE COMMAND...: run in the site's network namespace
	nsenter --net=/run/netns/"qkd-$1" "${@:2}"
}

site_exec() { # SITE COMMAND...: the same in place of this shell, so that $! is the command
	exec nsenter --net=/run/netns/"qkd-$1" "${@:2}"
}

other() { # the peer of site a is b, and back
	if [ "$1" = a ]; then echo b; else echo a; fi
}

say() {
	echo "# $*" >&2
}

die() {
	say "$*"
	show_logs
	exit 1
}

show_logs() { # what the programs said last
	tail -n 20 "$WORK"/qkdsim.log "$WORK"/[ab]/qkdkeyd.log >&2
}

# ---- network ----------------------------------------------------------------

pair() { # NSA DEVA ADDRA NSB DEVB ADDRB: a veth link without IPv6 chatter
	ip link add "$2" netns "qkd-$1" type veth peer name "$5" netns "qkd-$4"
	site "$1" sysctl -qw "net.ipv6.conf.$2.disable_ipv6=1"
	site "$4" sysctl -qw "net.ipv6.conf.$5.disable_ipv6=1"
	[ -z "$3" ] || site "$1" ip address add "$3" dev "$2"
	[ -z "$6" ] || site "$4" ip address add "$6" dev "$5"
	site "$1" ip link set "$2" up
	site "$4" ip link set "$5" up
}

wan_address() { # SITE
	local n=1

	[ "$1" = a ] || n=2
	if [ "$ESP_FAMILY" = 4 ]; then echo 192.0.2.$n; else echo 2001:db8::$n; fi
}

wan_ipv6() { # SITE: on the link that otherwise has none
	site "$1" sysctl -qw net.ipv6.conf.wan.accept_dad=0 net.ipv6.conf.wan.router_solicitations=0 \
		net.ipv6.conf.wan.disable_ipv6=0
	site "$1" ip address add "$(ESP_FAMILY=6 wan_address "$1")/64" dev wan nodad
}

network_up() {
	local ns

	for ns in a b q; do
		ip netns add "qkd-$ns"
		site $ns ip link set lo up
	done
	pair a wan 192.0.2.1/30 b wan 192.0.2.2/30
	pair a kx 198.51.100.1/30 b kx 198.51.100.2/30
	pair a qkd 203.0.113.2/30 q qkd-a 203.0.113.1/30
	pair b qkd 203.0.113.6/30 q qkd-b 203.0.113.5/30
	pair a mac "" b mac ""
	for ns in a b; do
		local n=1

		[ $ns = a ] || n=2
		[ "$ESP_FAMILY" = 4 ] || wan_ipv6 $ns
		site $ns ip link add inside type dummy
		site $ns ip address add 10.$n.0.1/24 dev inside
		site $ns ip link set inside up
		site $ns ip route add 10.$((3 - n)).0.0/24 via 192.0.2.$((3 - n)) src 10.$n.0.1
	done
	macsec_device a 10.3.0.1
	macsec_device b 10.3.0.2
}

macsec_device() { # SITE ADDRESS: made here, so that it has its address from the start
	site "$1" ip link set mac address "$(mac_of "$1")"
	site "$1" ip link add link mac macsec0 type macsec port 1 cipher "$MACSEC_CIPHER" \
		encrypt on protect on validate strict send_sci on replay on window 1024
	site "$1" sysctl -qw net.ipv6.conf.macsec0.disable_ipv6=1
	site "$1" ip address add "$2/24" dev macsec0
	site "$1" ip link set macsec0 up
	# no address resolution in the figures: it would count as loss
	site "$1" ip neighbour replace "10.3.0.$((3 - ${2##*.}))" lladdr "$(mac_of "$(other "$1")")" \
		dev macsec0 nud permanent
}

link_down() { # DEVICE: cut a link between the sites (wan, kx, mac)
	site a ip link set "$1" down
}

link_up() {
	site a ip link set "$1" up
}

# ---- QKD devices ------------------------------------------------------------

sim_up() {
	site_exec q "$BIN/qkdsim" \
		--listen-a 203.0.113.1:8014 --listen-b 203.0.113.5:8014 \
		--certificate-a "$WORK/pki/qkd-a.pem" --key-a "$WORK/pki/qkd-a.key" \
		--certificate-b "$WORK/pki/qkd-b.pem" --key-b "$WORK/pki/qkd-b.key" \
		--ca "$WORK/pki/ca.pem" --sae-a site-a --sae-b site-b \
		--rate "$SIM_RATE" --max-keys "$SIM_KEYS" --control "$WORK/qkdsim.sock" >"$WORK/qkdsim.log" 2>&1 &
	wait_until 30 "the simulated QKD devices to serve" sim status
}

sim() { # VERB...: tell the simulated devices what happens to them
	"$BIN/qkdsim" ctl "$WORK/qkdsim.sock" "$@"
}

# ---- nodes ------------------------------------------------------------------

limits() { # CHANNEL SITE: of octets and packets, from LIMITS_CHANNEL_SITE="soft_packets=1000 ..."
	local limits="LIMITS_$1_$2" limit

	for limit in ${!limits:-}; do
		echo "    ${limit/=/: }"
	done
}

node_config() { # SITE
	local s=$1 n=1 role=initiator peer device p

	peer=$(other "$s")
	device=203.0.113.1
	[ "$s" = a ] || { n=2 role=responder device=203.0.113.5; }
	p=$((3 - n))
	cat <<-YAML
		node: site-$s
		state_directory: $WORK/$s/state
		master_key: $WORK/$s/master.key
		backend: $BACKEND
		control:
		  socket: $WORK/$s/control.sock
		kx:
		  listen: 198.51.100.$n
		  tls: {certificate: $WORK/pki/site-$s.pem, key: $WORK/pki/site-$s.key, ca: $WORK/pki/ca.pem}
		peers:
		  - name: site-$peer
	YAML
	[ "$s" = b ] || echo "    address: 198.51.100.$p"
	cat <<-YAML
		links:
		  - name: a-b
		    peer: site-$peer
		    role: $role
		    keys_target: $KEYS_TARGET
		    keys_low: $((KEYS_TARGET > 8 ? 8 : KEYS_TARGET / 2))
		    source:
		      url: https://$device:8014
		      server_name: qkd-$s
		      sae: site-$s
		      peer_sae: site-$peer
		      tls: {certificate: $WORK/pki/site-$s.pem, key: $WORK/pki/site-$s.key, ca: $WORK/pki/ca.pem}
		channels:
	YAML
	[[ " $CHANNELS " != *" ipsec "* ]] || cat <<-YAML
		  - name: ipsec
		    link: a-b
		    kind: $ESP_KIND
		    cipher: $ESP_CIPHER
		    combine: $COMBINE
		    rollover_ms: $ROLLOVER_MS
		    jitter_ms: $JITTER_MS
		$(limits ipsec "$s")
		    grace_ms: $GRACE_MS
		    lookahead: $LOOKAHEAD
		    on_exhausted: $ON_EXHAUSTED
		    hard_ms: $HARD_MS
		    esp:
		      local: "$(wan_address "$s")"
		      remote: "$(wan_address "$peer")"
	YAML
	[[ " $CHANNELS " != *" ipsec "* || $ESP_KIND != esp-tunnel ]] || cat <<-YAML
		      local_nets: [10.$n.0.0/24]
		      remote_nets: [10.$p.0.0/24]
	YAML
	[[ " $CHANNELS " != *" macsec "* ]] || cat <<-YAML
		  - name: macsec
		    link: a-b
		    kind: macsec
		    cipher: $MACSEC_CIPHER
		    combine: $COMBINE
		    rollover_ms: $ROLLOVER_MS
		    jitter_ms: $JITTER_MS
		$(limits macsec "$s")
		    grace_ms: 400
		    lookahead: $MACSEC_LOOKAHEAD
		    on_exhausted: $ON_EXHAUSTED
		    hard_ms: $HARD_MS
		    macsec:
		      device: macsec0
		      parent: mac
		      peer_mac: "$(mac_of "$peer")"
		      replay_window: 1024
	YAML
}

node_prepare() { # SITE: configuration, state and master key, made on the spot
	mkdir -p "$WORK/$1"
	node_config "$1" >"$WORK/$1/qkdkeyd.yaml"
	[ -e "$WORK/$1/master.key" ] || "$BIN/qkdkeyd" --config "$WORK/$1/qkdkeyd.yaml" --init ||
		die "site $1: cannot make its store"
}

node_start() { # SITE
	site_exec "$1" "$BIN/qkdkeyd" --config "$WORK/$1/qkdkeyd.yaml" >>"$WORK/$1/qkdkeyd.log" 2>&1 &
	declare -g "PID_$1=$!"
}

node_pid() { # SITE
	local name="PID_$1"
	echo "${!name}"
}

node_kill() { # SITE SIGNAL
	kill "-$2" "$(node_pid "$1")"
	wait "$(node_pid "$1")" 2>/dev/null
}

ctl() { # SITE VERB...
	"$BIN/qkdctl" --socket "$WORK/$1/control.sock" "${@:2}"
}

# Answers are taken apart in the shell: a start of jq costs most of a second in an
# emulated guest. That they are JSON, others test.

counter() { # SITE CHANNEL FIELD: of `channel show`, - if the daemon is away or has none
	local answer value=-

	answer=$(ctl "$1" --json channel show "$2" 2>/dev/null)
	[[ $answer =~ \"$3\":\ *\"?([^\",}]+) ]] && value=${BASH_REMATCH[1]}
	echo "${value/#null/-}"
}

sas() { # SITE FIELD...: a line for each SA of `sa list`, with those values
	ctl "$1" --json sa list | awk -v fields="${*:2}" '
		BEGIN { n = split(fields, name) }
		/": / { gsub(/[",:]/, ""); value[$1] = $2 }
		/^ *}/ && ("epoch" in value) {
			for (i = 1; i <= n; i++)
				printf "%s%s", value[name[i]], i < n ? " " : "\n"
			split("", value)
		}'
}

rolled() { # SITE CHANNEL COUNT: has the channel rolled that often?
	local n

	n=$(counter "$1" "$2" rollovers)
	[[ $n =~ ^[0-9]+$ ]] && [ "$n" -ge "$3" ]
}

rolls_on() { # SITE CHANNEL [TIMES]: from now on
	local n

	n=$(counter "$1" "$2" rollovers)
	[[ $n =~ ^[0-9]+$ ]] || n=0
	retry 40 rolled "$1" "$2" $((n + ${3:-3}))
}

channels_active() { # both ends of all channels encrypt
	local s c

	for s in a b; do
		for c in $CHANNELS; do
			[ "$(counter $s "$c" state)" = active ] || return 1
		done
	done
}

scenario_up() { # everything, until traffic can flow
	network_up
	"$TOP/tests/scenarios/pki" "$WORK/pki" site-a site-b qkd-a qkd-b >"$WORK/pki.log" 2>&1 ||
		die "making the certificates failed: $(cat "$WORK/pki.log")"
	sim_up
	node_prepare a
	node_prepare b
	node_start a
	node_start b
	wait_until 60 "both ends of the channels to be active" channels_active
}

scenario_end() {
	local ns pids pid

	exec 3>&2 2>/dev/null # the shell tells of each program that is killed
	for ns in a b q; do
		mapfile -t pids < <(ip netns pids qkd-$ns)
		for pid in "${pids[@]}"; do
			kill -KILL "$pid"
			wait "$pid"
		done
		ip netns delete qkd-$ns
	done
	exec 2>&3 3>&-
	rm -rf "$WORK"
}

# ---- traffic ----------------------------------------------------------------

target() { # SITE CHANNEL: address of the site inside the channel
	local n=1

	[ "$1" = a ] || n=2
	case $2,$ESP_KIND in
	ipsec,esp-tunnel) echo 10.$n.0.1 ;;
	ipsec,*) wan_address "$1" ;;
	*) echo 10.3.0.$n ;;
	esac
}

load_start() { # CHANNEL SECONDS [PACKETS_PER_SECOND [OCTETS]]: UDP and ping, both ways
	local s to

	for s in a b; do
		to=$(target "$(other $s)" "$1")
		site_exec "$(other $s)" "$BIN/load" sink "$to" 7000 >"$WORK/sink-$1-$s" &
		declare -g "SINK_$1_$s=$!"
		sleep 0.3
		site_exec $s "$BIN/load" send "$to" 7000 "${3:-100}" "$2" "${4:-256}" >"$WORK/send-$1-$s" &
		declare -g "SEND_$1_$s=$!"
	done
	site_exec a ping -q -i 0.2 -c $(($2 * 5)) -W 5 "$(target b "$1")" >"$WORK/ping-$1" 2>&1 &
	declare -g "PING_$1=$!"
}

load_wait() { # CHANNEL: to its end, then give the last packets time to arrive
	local s pid

	for s in a b; do
		pid="SEND_$1_$s"
		wait "${!pid}" 2>/dev/null
	done
	pid="PING_$1"
	wait "${!pid}" 2>/dev/null
	sleep 2
	for s in a b; do
		pid="SINK_$1_$s"
		kill -TERM "${!pid}" 2>/dev/null
		wait "${!pid}" 2>/dev/null
	done
}

field() { # FILE WORD: the number behind the word, in the last line that has it
	awk -v word="$2" '{ for (i = 1; i < NF; i++) if ($i == word) n = $(i + 1) } END { print n + 0 }' "$1"
}

load_sent() { # CHANNEL: UDP datagrams and pings
	local s n=0

	for s in a b; do
		n=$((n + $(field "$WORK/send-$1-$s" sent)))
	done
	echo $((n + $(awk '/packets transmitted/ { print $1 }' "$WORK/ping-$1")))
}

load_lost() { # CHANNEL: of all that was sent, both ways; send errors count
	local s n=0 ping

	for s in a b; do
		n=$((n + $(field "$WORK/send-$1-$s" sent) - $(field "$WORK/sink-$1-$s" received)))
	done
	ping=$(awk '/packets transmitted/ { print $1 - $4 }' "$WORK/ping-$1")
	echo $((n + ${ping:-999999}))
}

# ---- waiting, facts ---------------------------------------------------------

wait_until() { # SECONDS "WHAT" COMMAND...
	local end=$((SECONDS + $1)) what=$2

	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || die "waited in vain for $what"
		sleep 0.2
	done
}

retry() { # SECONDS COMMAND...: lists taken around a rollover may differ for a moment
	local end=$((SECONDS + $1)) output

	shift
	until output=$("$@" 2>&1); do
		[ $SECONDS -lt $end ] || {
			echo "$output"
			return 1
		}
		sleep 0.7
	done
}

# Each site's captures hold what it sends: on receipt the kernel shows a tunnel's
# packet twice on the same device, as ESP and again after decryption.

capture_start() { # DEVICE: what an eavesdropper on the link sees
	local s

	for s in a b; do
		site_exec $s tcpdump -i "$1" -Q out -U -w "$WORK/$1-$s.pcap" --immediate-mode \
			2>"$WORK/tcpdump-$1-$s.log" &
		declare -g "CAPTURE_$1_$s=$!"
		wait_until 20 "tcpdump on $1" grep -q listening "$WORK/tcpdump-$1-$s.log"
	done
}

capture_stop() {
	local s pid

	for s in a b; do
		pid="CAPTURE_$1_$s"
		kill -INT "${!pid}"
		wait "${!pid}" 2>/dev/null
	done
}

captured() { # DEVICE FILTER: number of frames
	local s n=0

	for s in a b; do
		n=$((n + $(tcpdump -r "$WORK/$1-$s.pcap" --count "$2" 2>/dev/null | awk '{ print $1 }')))
	done
	echo $n
}

clear_filter() { # DEVICE
	local neighbours='icmp6 and ip6[40] >= 133 and ip6[40] <= 136'

	if [ "$1" = wan ]; then
		echo "not (ip proto 50) and not (ip6 proto 50) and not arp and not ip6 multicast and not ($neighbours)"
	else
		echo 'not ether proto 0x88e5'
	fi
}

in_clear() { # DEVICE: number of frames that are not encrypted
	captured "$1" "$(clear_filter "$1")"
}

clear_frames() { # DEVICE: what they are
	local s

	for s in a b; do
		tcpdump -r "$WORK/$1-$s.pcap" -n "$(clear_filter "$1")" 2>/dev/null
	done
}

marker_seen() { # DEVICE
	cat "$WORK/$1-a.pcap" "$WORK/$1-b.pcap" | grep -c -a QKD-LOAD-IN-THE-CLEAR
}

xfrm_errors() { # SITE: counters of /proc/net/xfrm_stat that are not zero
	site "$1" awk '$2 != 0 { print $1 "=" $2 }' /proc/net/xfrm_stat
}
