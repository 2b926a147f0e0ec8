#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The simulated QKD devices, built with the sanitizers. They need no guest, and
# in one, 150 calls of curl would take minutes: so on this machine.
cd "$(dirname "$0")/../.." || exit 1
export BIN=${BUILD:-$PWD/build}/asan
exec tests/scenarios/qkdsim.t
