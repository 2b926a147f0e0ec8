#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The module's tests, on a stock Debian 6.1 kernel.
cd "$(dirname "$0")/../.." || exit 1
exec tests/vm/guest-tests kmod 6.1 tests/vm/kmod_*.sh
