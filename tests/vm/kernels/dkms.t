#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's own dkms builds the module for each kernel, from what `make
# install-dkms` installs: in a tree of the test's, with nothing of the machine's.
cd "$(dirname "$0")/../../.." || exit 1
. tests/scenarios/tap.sh
. tests/vm/packages.sh

PATH=$PATH:/usr/sbin:/sbin # modinfo
root=$(mktemp -d)
work=$root
trap 'rm -rf "$root"' EXIT
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
arch=$(uname -m)

say() {
	echo "# $*"
}

die() {
	echo "Bail out! $*"
	exit 1
}

# sign_file: dkms would make a key for signing modules, on the machine.
dkms() {
	PATH=$root/usr/lib/dkms:$PATH sign_file=/none bash "$root/usr/sbin/dkms" "$@" \
		--dkmstree "$root/tree" --sourcetree "$root/usr/src"
}

builds() { # KERNEL-DIR RELEASE
	dkms build "qkd/$version" -k "$2/$arch" \
		--kernelsourcedir "$1/headers" --installtree "$1/lib/modules" || {
		cat "$root/tree/qkd/$version/build/make.log"
		return 1
	}
}

is_for() { # RELEASE: and for no other kernel
	local module magic
	module=$(echo "$root/tree/qkd/$version/$1/$arch/module"/qkd.ko*)
	magic=$(modinfo -F vermagic "$module") && equal "${magic%% *}" "$1"
}

fetch() {
	mkdir -p "$root/tree"
	apt_state bookworm
	unpack "$root" dkms
	env -u MAKEFLAGS -u MAKELEVEL make -s --no-print-directory install-dkms DESTDIR="$root" PREFIX=/usr
}

fetch || die "cannot get what is tested"
for kernel in 6.1 6.12 7.3; do
	dir=$(tests/vm/kernel $kernel) || die "there is no kernel $kernel"
	release=$(<"$dir/release")
	check "Linux $release: dkms builds it" builds "$dir" "$release"
	check "Linux $release: it is for that kernel" is_for "$release"
done
done_testing
