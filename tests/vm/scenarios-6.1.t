#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The scenarios, on a stock Debian 6.1 kernel.
cd "$(dirname "$0")/../.." || exit 1
exec tests/vm/guest-tests scenarios 6.1 tests/scenarios/*.t
