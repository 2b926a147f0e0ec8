#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: all
#
# Limits of octets and packets, jitter, and the queue of MACsec epochs, by netlink.
# There MACsec may lose a frame at a switch.

export BACKEND=netlink
. "$(dirname "$0")/limits.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/facts.sh"
trap scenario_end EXIT

limits_hold 10
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
