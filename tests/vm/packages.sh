# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154
#
# Debian's packages without installing any: an apt state of our own in $work/apt,
# so that the machine's package sources stay as they are. The mirror is the
# machine's. Who sources this sets $work and has say() and die().

mirror_of() { # SUITE DEFAULT
	local site
	# shellcheck disable=SC2016 # apt-get fills those in
	site=$(apt-get indextargets --format '$(CODENAME) $(SITE)' 'Created-By: Packages' 2>/dev/null |
		awk -v s="$1" '$1 == s && $2 ~ /^https?:/ { print $2; exit }')
	echo "${site:-$2}"
}

# apt_state RELEASE: that release of Debian with its updates and backports.
apt_state() {
	local mirror security
	mirror=$(mirror_of bookworm http://deb.debian.org/debian)
	security=$(mirror_of bookworm-security http://deb.debian.org/debian-security)
	mkdir -p "$work"/apt/{lists/partial,archives/partial}
	: >"$work/apt/status"
	local suite by=signed-by=/usr/share/keyrings/debian-archive-keyring.gpg
	{
		for suite in "$1" "$1-updates" "$1-backports"; do
			echo "deb [$by] $mirror $suite main"
		done
		echo "deb [$by] $security $1-security main"
	} >"$work/apt/sources.list"
	apt get update || die "apt-get update failed; is the network up?"
}

apt() { # TOOL ARGS...
	local tool=$1
	shift
	"apt-$tool" -qq -o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::Retries=3 \
		-o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" \
		-o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt" \
		-o Dir::Etc::sourcelist="$work/apt/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null "$@"
}

# depends PACKAGE[=VERSION] REGEX: its dependencies that match, by name.
depends() {
	apt cache show "$1" 2>/dev/null | sed -n 's/^Depends: //p' | head -n 1 | tr , '\n' |
		sed 's/^ *//; s/[ (].*//' | grep -E "^($2)\$" || true
}

# unpack DIR PACKAGE[=VERSION]...
unpack() {
	local dir=$1 pkg deb
	shift
	for pkg; do
		say "downloading $pkg"
		rm -rf "$work/deb"
		mkdir "$work/deb"
		(cd "$work/deb" && apt get download "$pkg") || die "could not download $pkg"
		for deb in "$work"/deb/*.deb; do
			dpkg-deb -x "$deb" "$dir"
		done
	done
}

# unpack_closure DIR PACKAGE...: with all that they depend on.
unpack_closure() {
	local dir=$1 deb
	shift
	say "downloading $* with all that it needs"
	apt get -y --no-install-recommends --download-only install "$@" >/dev/null ||
		die "could not download $*"
	for deb in "$work"/apt/archives/*.deb; do
		dpkg-deb -x "$deb" "$dir"
	done
}
