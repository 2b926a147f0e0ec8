#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The hosts lose power and boot again on the same stores: no key that was ever
# handed to the kernel is installed again, no epoch comes back, and the
# channels carry traffic again without an operator.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/scenarios/tap.sh"
DIR=$(mktemp -d "${TMPDIR:-/tmp}/qkd-reboot.XXXXXX")
trap 'rm -rf "$DIR"' EXIT

boot() {
	"$top/tests/vm/run" --kernel "${KERNEL:-6.1}" --share "$DIR" \
		"$top/tests/scenarios/boot-with-store" "$DIR" "$1"
}

column() { # N FILE...
	awk -v n="$1" '{ print $n }' "${@:2}" | tr -d - | sort -u
}

disjoint() { # FILE FILE
	[ -s "$1" ] && [ -s "$2" ] || {
		echo "nothing to compare"
		return 1
	}
	[ -z "$(comm -12 "$1" "$2")" ] || {
		echo "in both:"
		comm -12 "$1" "$2"
		return 1
	}
}

epochs_grow() { # SITE CHANNEL
	local before after

	before=$(awk -v c="$2" '$1 == c { print $2 }' "$DIR/installed-$1-1" | sort -n | tail -1)
	after=$(awk -v c="$2" '$1 == c { print $2 }' "$DIR/installed-$1-2" | sort -n | head -1)
	echo "highest before: $before, lowest after: $after"
	[ -n "$before" ] && [ -n "$after" ] && [ "$after" -gt "$before" ]
}

check "first boot: both channels carry traffic" boot 1
check "second boot on the same stores: they do again" boot 2
for s in a b; do
	column 3 "$DIR/installed-$s-1" "$DIR/used-$s-1" >"$DIR/keys-$s-1"
	column 3 "$DIR/installed-$s-2" >"$DIR/keys-$s-2"
	check "site $s: no key of the first boot is installed again" \
		disjoint "$DIR/keys-$s-1" "$DIR/keys-$s-2"
	for c in ipsec macsec; do
		check "site $s: $c goes on with higher epochs" epochs_grow $s $c
	done
done
done_testing
