#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# time limit: 600
# No memory, at each place where a command asks for some; see qkdfail.c.
. "$(dirname "$0")/../sites.sh"
. "$(dirname "$0")/../refuse.sh"

fails() { # KIND [DEVICE]
	refuse_run "$1" in_site a "$BIN/qkdfail" "$@"
}

check "memory can be refused" refuse_set_up
ip netns add a
ip -n a link set lo up
ip -n a link add va type veth peer name vb
ip -n a link set va up
fails tunnel
fails transport
check "no state is left" equal "$(ip -n a xfrm state)" ""
modprobe macsec
fails macsec msa
ip netns delete a
done_testing
