# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the lint tests: TAP, and the lists of source files. Source it; it goes to
# the repository's top.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=${BUILD:-build}
TAP_N=0 TAP_FAILED=0

# sources [-name PATTERN...]: files of the repository, built ones left out.
sources() {
	find . \( -path ./.git -o -path ./build \) -prune -o -type f \( "$@" \) -print |
		sed 's|^\./||' | sort
}

c_files() {
	sources -name '*.c' -o -name '*.h'
}

# Scripts are known by their first line; sourced ones are called *.sh.
shell_files() {
	{
		sources -name '*.sh'
		sources -true | grep -v '\.[ch]$' | while read -r file; do
			head -n 1 "$file" | grep -aqE '^#!.*\b(ba)?sh\b' && echo "$file"
		done
	} | sort -u
}

# check NAME COMMAND...: one test; what the command prints is shown if it fails.
check() {
	local name=$1 output
	shift
	TAP_N=$((TAP_N + 1))
	if output=$("$@" 2>&1 </dev/null); then
		echo "ok $TAP_N - $name"
	else
		TAP_FAILED=1
		echo "not ok $TAP_N - $name"
		sed 's/^/# /' <<<"$output" >&2
	fi
}

skip() { # NAME REASON
	TAP_N=$((TAP_N + 1))
	echo "ok $TAP_N - $1 # SKIP $2"
}

finish() {
	echo "1..$TAP_N"
	exit $TAP_FAILED
}
