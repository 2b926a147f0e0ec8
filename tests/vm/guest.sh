#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Process 1 of the guest, on the host's file system: makes it a usable machine,
# loads the module, runs the script, reports its exit status, powers off.
# Reads /run/job, written by tests/vm/run:
#
#   env     settings, and the host's variables that the script may see
#   argv    the script and its arguments, each ended by a NUL
#   keep    host paths that must stay visible under a fresh /tmp or /run
#   hot     paths to take into memory
#   share   directories shared with the host, in the order of their 9p tags
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C LC_CTYPE=C.UTF-8
job=/run/job

port() { # NAME: the device of that virtio port
	local name
	name=$(grep -lx "$1" /sys/class/virtio-ports/*/name) || return
	name=${name%/name}
	echo "/dev/${name##*/}"
}

# report STATUS: tells tests/vm/run and powers off.
report() {
	sync
	echo "$1" >"$(port qkd.status)"
	echo o >/proc/sysrq-trigger
	while :; do sleep 1; done
}

fail() {
	echo "tests/vm: in the guest: $*" >"$(port qkd.stderr)"
	report 70
}

# A file or directory of the host below /tmp or /run is held by a bind mount
# while those are made anew.
hide_and_keep() {
	local path i=0
	mkdir -p $job/kept
	while read -r path; do
		if [[ -d $path ]]; then mkdir $job/kept/$i; else touch $job/kept/$i; fi
		mount --bind "$path" $job/kept/$i || fail "cannot keep $path"
		i=$((i + 1))
	done <$job/keep
	mount -t tmpfs -o mode=1777 tmp /tmp
	i=0
	while read -r path; do
		if [[ -d $job/kept/$i ]]; then
			mkdir -p "$path"
		else
			mkdir -p "${path%/*}" && touch "$path"
		fi
		mount --move $job/kept/$i "$path" || fail "cannot keep $path"
		i=$((i + 1))
	done <$job/keep
}

# To touch a file copies it into the writable layer, which is memory; -h: links.
warm_up() {
	xargs touch -ch <$job/hot
	xargs touch -c <$job/hot
}

mount_all() {
	mkdir -p /dev/pts /dev/shm /run/lock /run/netns /lib/modules
	mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 shm /dev/shm
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t debugfs debugfs /sys/kernel/debug
	mount -t tracefs tracefs /sys/kernel/tracing
	hide_and_keep
	mount --bind "$QKD_KERNEL_DIR/lib/modules" /lib/modules || fail "cannot mount the modules"
	ln -sf /proc/self/fd /dev/fd
	ln -sf /proc/self/fd/0 /dev/stdin
	ln -sf /proc/self/fd/1 /dev/stdout
	ln -sf /proc/self/fd/2 /dev/stderr

	local dir i=0
	while read -r dir; do
		mkdir -p "$dir"
		mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap \
			"share$i" "$dir" || fail "cannot mount the shared directory $dir"
		i=$((i + 1))
	done <$job/share
}

# Ends what the script left running; its output must not hold us up.
kill_rest() {
	local dir pid
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		case $pid in
		"$$" | "$out" | "$err") ;;
		*) kill -KILL "$pid" 2>/dev/null ;;
		esac
	done
}

# shellcheck source=/dev/null
. $job/env
. "$QKD_REPO/tests/vm/module.sh"
warm_up
mount_all
hostname guest
ip link set lo up
[[ -z $QKD_KO || -n $QKD_NO_INSMOD ]] || module_load "$QKD_KO" || fail "cannot load $QKD_KO; see the kernel log"
cd "$QKD_REPO" || fail "no directory $QKD_REPO"
mapfile -d '' -t argv <$job/argv

mkfifo $job/stdout $job/stderr
cat $job/stdout >"$(port qkd.stdout)" &
out=$!
cat $job/stderr >"$(port qkd.stderr)" &
err=$!
setsid "${argv[@]}" <"/dev/null" >$job/stdout 2>$job/stderr &
wait $!
status=$?
kill_rest
wait $out $err
report $status
