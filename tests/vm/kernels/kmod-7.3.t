#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The module's tests, on a stock Debian 7.3 kernel.
cd "$(dirname "$0")/../../.." || exit 1
exec tests/vm/guest-tests kmod 7.3 tests/vm/kmod_*.sh
