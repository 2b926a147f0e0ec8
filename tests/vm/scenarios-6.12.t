#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The scenarios, on a stock Debian 6.12 kernel.
# Those scenarios that depend on the kernel (they say "# kernels: all").
cd "$(dirname "$0")/../.." || exit 1
# shellcheck disable=SC2046 # no spaces in these names
exec tests/vm/guest-tests scenarios 6.12 $(grep -l '^# kernels: all' tests/scenarios/*.t tests/scenarios/faults/*.t)
