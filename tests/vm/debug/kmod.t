#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The module's tests, and those that take a kernel with all its checks, on such a one.
cd "$(dirname "$0")/../../.." || exit 1
exec tests/vm/guest-tests kmod debug tests/vm/kmod_*.sh tests/vm/debug/*.sh
