#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# kernels: all
#
# The main job: an IPsec tunnel over IPv4 and a MACsec link, AES-256-GCM both.

. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/facts.sh"
. "$(dirname "$0")/steady.sh"
trap scenario_end EXIT

scenario_up
runs_steadily 20 100
done_testing "$WORK"/*/qkdkeyd.log "$WORK/qkdsim.log"
