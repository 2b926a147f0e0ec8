# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034
#
# For the parts of a suite that run in the guest: OUT, where results go, BIN, and the
# modules that a machine has by then: ESP's, and what udev loads for the processor.
# Without the latter a slower cipher, cheaper to set up, is what is measured.
set -euo pipefail

OUT=$1
BIN=${BIN:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}
modprobe -a aesni_intel esp4 seqiv gcm xfrm_user dummy
for module in ghash_clmulni_intel sha512_ssse3 drbg; do
	modprobe -q $module || true # newer kernels have them elsewhere
done

result() { # NAME VALUE
	echo "$2" >"$OUT/$1.value"
	echo "bench: $1 $2"
}

field() { # NAME LINE: the number in NAME=NUMBER
	[[ " $2" =~ \ $1=([0-9.]+) ]] && echo "${BASH_REMATCH[1]}"
}

in_fresh_netns() { # COMMAND...: that finds nobody else's SAs
	ip netns add bench
	ip netns exec bench "$@"
	ip netns delete bench
	sleep 3 # its SAs, and states that nobody waits for any more, go behind our back
}
