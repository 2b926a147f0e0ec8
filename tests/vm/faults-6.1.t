#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The scenarios in which something goes wrong, on a stock Debian 6.1 kernel.
cd "$(dirname "$0")/../.." || exit 1
exec tests/vm/guest-tests faults 6.1 tests/scenarios/faults/*.t
