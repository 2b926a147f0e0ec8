#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# time limit: 400
#
# Site a runs the daemon as operators do: installed, under systemd with the unit
# that we ship, as an unprivileged user with two capabilities. systemd runs in
# namespaces of its own, in site a's network.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tap.sh"
SYSTEMD=
# shellcheck disable=SC2317 # called by the trap
at_end() {
	[ -z "$SYSTEMD" ] || kill -KILL "$SYSTEMD" 2>/dev/null
	scenario_end
}
trap at_end EXIT

on_host() { # COMMAND...: where systemd runs
	nsenter -t "$SYSTEMD" -m -p -C "$@"
}

install_it() {
	make -s -C "$TOP" install-services PREFIX=/usr
	install -m 755 "$BIN/qkdkeyd" /usr/sbin/qkdkeyd
	install -m 755 "$BIN/qkdctl" /usr/bin/qkdctl
	systemd-sysusers qkdkeyd.conf
	systemd-tmpfiles --create qkdkeyd.conf
	# What the udev rule does; no udevd here.
	chgrp qkdkeyd /dev/qkd
	chmod 660 /dev/qkd
	# Quicker than for real, and the log where the other site has it.
	mkdir -p /etc/systemd/system/qkdkeyd.service.d
	cat >/etc/systemd/system/qkdkeyd.service.d/test.conf <<-UNIT
		[Service]
		WatchdogSec=10
		StandardError=append:$WORK/a/qkdkeyd.log
	UNIT
}

configure() {
	local file

	mkdir -p "$WORK/a"
	ln -s /run/qkdkeyd/control.sock "$WORK/a/control.sock"
	node_config a | sed "s|$WORK/a/state|/var/lib/qkdkeyd|; s|$WORK/a/control|/run/qkdkeyd/control|
		s|$WORK/a/|/var/lib/qkdkeyd/|; s|$WORK/pki|/etc/qkdkeyd|g
		s|^\( *\)socket:.*|&\n\1group: qkd|" >/etc/qkdkeyd/qkdkeyd.yaml
	for file in qkdkeyd.yaml site-a.pem site-a.key ca.pem; do
		[ ! -e "$WORK/pki/$file" ] || cp "$WORK/pki/$file" /etc/qkdkeyd/
		chown root:qkdkeyd "/etc/qkdkeyd/$file"
		chmod 640 "/etc/qkdkeyd/$file"
	done
}

start_systemd() {
	local unit

	# This machine is up already: no early boot, which would empty /tmp as well.
	for unit in /lib/systemd/system/{sysinit,basic,local-fs,sockets,timers}.target.wants/*; do
		[ ! -e "$unit" ] || ln -sf /dev/null "/etc/systemd/system/${unit##*/}"
	done
	cat >/etc/systemd/system/host.target <<-UNIT
		[Unit]
		Description=the test's host
		DefaultDependencies=no
	UNIT
	# shellcheck disable=SC2016 # for the inner shell
	nsenter --net=/run/netns/qkd-a unshare --fork --pid --mount --cgroup --kill-child bash -c '
		mount -t proc proc /proc
		umount /sys/fs/cgroup
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		exec env container=test /lib/systemd/systemd --unit=host.target --show-status=no' &
	wait_until 90 "systemd to start" test -S /run/systemd/private
	SYSTEMD=$(pgrep -x systemd)
}

main_status() { # FIELD: of the daemon's /proc/PID/status
	local pid

	pid=$(on_host systemctl show -p MainPID --value qkdkeyd)
	on_host awk -v f="$1:" '$1 == f { print $2 }' "/proc/$pid/status"
}

has_device_open() {
	local pid

	pid=$(on_host systemctl show -p MainPID --value qkdkeyd)
	on_host ls -l "/proc/$pid/fd" | grep -q '/dev/qkd$'
}

restarted() {
	[ "$(on_host systemctl show -p NRestarts --value qkdkeyd)" -ge 1 ] &&
		on_host systemctl is-active qkdkeyd
}

network_up
"$TOP/tests/scenarios/pki" "$WORK/pki" site-a site-b qkd-a qkd-b >"$WORK/pki.log" 2>&1 ||
	die "making the certificates failed: $(cat "$WORK/pki.log")"
sim_up
install_it
configure
node_prepare b
node_start b
start_systemd

check "--init makes the store" on_host qkdkeyd --init
check "the master key is the daemon's alone" equal "$(stat -c '%U %a' /var/lib/qkdkeyd/master.key)" \
	"qkdkeyd 600"
check "systemctl start: it says that it is ready" on_host systemctl start qkdkeyd
check "it runs as qkdkeyd" equal "$(main_status Uid)" "$(id -u qkdkeyd)"
# CAP_NET_ADMIN is bit 12, CAP_IPC_LOCK bit 14
for set in CapEff CapPrm CapBnd; do
	check "$set has CAP_NET_ADMIN and CAP_IPC_LOCK" equal "$(main_status $set)" 0000000000005000
done
check "it cannot gain privileges" equal "$(main_status NoNewPrivs)" 1
check "its system calls are filtered" equal "$(main_status Seccomp)" 2
check "it has /dev/qkd" has_device_open
check "the control socket is for group qkd" \
	equal "$(stat -c '%G %a' /run/qkdkeyd/control.sock)" "qkd 660"

check "a user in group qkd" useradd -M -G qkd qkd-operator
check "a user outside of it" useradd -M qkd-stranger
check "a member of qkd may use qkdctl" runuser -u qkd-operator -- qkdctl status
check "others may not" not runuser -u qkd-stranger -- qkdctl status

check "both channels are active" wait_until 60 "the channels to be active" channels_active
on_host systemctl kill -s STOP qkdkeyd
check "the watchdog restarts a daemon that hangs" wait_until 60 "a restart" restarted
check "the new one rolls on" wait_until 60 "a rollover" rolled a ipsec 3
on_host systemctl stop qkdkeyd
check "it is stopped" not on_host systemctl is-active qkdkeyd
for c in $CHANNELS; do
	check "stopped: $c carries traffic" site a ping -q -c 3 -i 0.2 -W 2 "$(target b "$c")"
done
check "systemctl start again" on_host systemctl start qkdkeyd
check "both channels are active again" wait_until 60 "the channels to be active" channels_active
done_testing "$WORK/a/qkdkeyd.log" "$WORK/b/qkdkeyd.log"
