#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# debian/control builds with what debian/build-packages lists, and the version
# is the same everywhere.
. "$(dirname "$0")/lib.sh"

listed() {
	local package
	sed -n '/^Build-Depends:/,/^[A-Z][a-z-]*:/p' debian/control | grep '^[B ]' |
		sed 's/^Build-Depends://' | tr , '\n' | sed 's/[([].*//; s/ //g' |
		grep -vE '^$|^debhelper|^dh-' | while read -r package; do
		grep -qE "^$package([[:space:]]|\$)" debian/build-packages ||
			echo "debian/control wants $package; debian/build-packages does not have it"
	done | grep . && return 1
	return 0
}

same_version() {
	local version
	version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
	echo "debian/changelog says $version"
	grep -n "NODE_VERSION \"$version\"" daemon/node.h
}

check "Build-Depends are in debian/build-packages" listed
check "one version everywhere" same_version
finish
