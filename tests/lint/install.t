#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install puts every file where it belongs, the unit is sound and tightly
# confined, and DKMS's copy of the sources builds.
. "$(dirname "$0")/lib.sh"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
unit=$root/usr/lib/systemd/system/qkdkeyd.service
early=$root/usr/lib/systemd/system/qkdkeyd-protect.service
dkms=$root/usr/src/qkd-$version

quiet_make() {
	env -u MAKEFLAGS -u MAKELEVEL make -s --no-print-directory CI=1 BUILD="$BUILD" "$@"
}

is_there() { # PATH...
	local path missing=0
	for path; do
		[[ -s $root/$path ]] || { echo "$path is missing" && missing=1; }
	done
	return $missing
}

# 1.6: an unprivileged daemon with two capabilities on the host's network can
# hardly do better. The tool's option counts in tenths.
confined() {
	systemd-analyze security --offline=yes --threshold=16 --no-pager "$unit"
}

# systemd-analyze wants the program; the one just built has it elsewhere.
unit_verifies() {
	mkdir -p "$root/units"
	sed "s|/usr/sbin/qkdkeyd|$root&|" "$unit" >"$root/units/qkdkeyd.service"
	sed "s|/usr/sbin/qkdkeyd|$root&|" "$early" >"$root/units/qkdkeyd-protect.service"
	systemd-analyze verify --man=no "$root"/units/*
}

# Nothing is sent before the fence, and nothing makes the daemon give up.
never_open() {
	grep -qx 'StartLimitIntervalSec=0' "$unit" && grep -q '^After=.*qkdkeyd-protect' "$unit" &&
		grep -qx 'Also=qkdkeyd-protect.service' "$unit" &&
		grep -q '^Before=network-pre.target' "$early" &&
		grep -qx 'Wants=network-pre.target' "$early" &&
		grep -q '^ExecStart=.* --protect$' "$early"
}

early_confined() {
	systemd-analyze security --offline=yes --threshold=16 --no-pager "$early"
}

# The exit codes that a restart cannot mend are those of daemon/node_run.h.
no_vain_restart() {
	local codes
	codes=$(sed -nE 's/.*NODE_EXIT_(USAGE|CONFIG) = ([0-9]+),/\2/p' daemon/node_run.h | xargs)
	[[ -n $codes ]] && grep -qx "RestartPreventExitStatus=$codes" "$unit"
}

user_lines() {
	mkdir -p "$root/etc" && systemd-sysusers --root="$root" "$root/usr/lib/sysusers.d/qkdkeyd.conf" &&
		grep -q '^qkdkeyd:' "$root/etc/passwd" &&
		grep -q '^qkd:' "$root/etc/group"
}

dkms_builds() {
	local kernel_dir
	kernel_dir=$(tests/vm/kernel 6.1) || return 1
	! grep -n '#MODULE' "$dkms/dkms.conf" || return 1
	# What dkms does: the variables of dkms.conf, in a copy of the sources.
	(
		# shellcheck disable=SC2034 # for dkms.conf
		kernel_source_dir=$kernel_dir/headers
		dkms_tree=$root/dkms
		mkdir -p "$dkms_tree/qkd/$version"
		cp -r "$dkms" "$dkms_tree/qkd/$version/build"
		. "$dkms/dkms.conf"
		[[ $PACKAGE_NAME == qkd && $PACKAGE_VERSION == "$version" ]] || exit 1
		eval "${MAKE[0]}" && [[ -s $dkms_tree/qkd/$version/build/${BUILT_MODULE_NAME[0]}.ko ]]
	)
}

check "make install" quiet_make install DESTDIR="$root" PREFIX=/usr
check "the files are there" is_there usr/sbin/qkdkeyd usr/bin/qkdctl usr/bin/qkdsim \
	usr/share/man/man1/qkdctl.1 usr/share/man/man1/qkdsim.1 usr/share/man/man8/qkdkeyd.8 \
	usr/share/man/man5/qkdkeyd.conf.5 usr/share/bash-completion/completions/qkdctl \
	usr/lib/systemd/system/qkdkeyd.service usr/lib/systemd/system/qkdkeyd-protect.service \
	usr/lib/sysusers.d/qkdkeyd.conf \
	usr/lib/tmpfiles.d/qkdkeyd.conf usr/lib/udev/rules.d/60-qkdkeyd.rules \
	usr/lib/modules-load.d/qkd.conf "usr/src/qkd-$version/Kbuild" \
	"usr/src/qkd-$version/include/uapi/linux/qkd.h"
check "nothing of the build is named in it" bash -c "! grep -rIlF '$PWD' '$root/usr/lib' '$root/usr/src'"
check "wrong usage and configuration are not tried again" no_vain_restart
check "the fence stands before the network" never_open
check "dkms.conf builds qkd.ko" dkms_builds
if command -v systemd-analyze >/dev/null; then
	check "the unit is sound" unit_verifies
	check "the unit is confined" confined
	check "so is the early one" early_confined
	check "sysusers.d" user_lines
else
	skip "the unit is sound" "no systemd-analyze"
	skip "the unit is confined" "no systemd-analyze"
	skip "so is the early one" "no systemd-analyze"
	skip "sysusers.d" "no systemd-sysusers"
fi
finish
