#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A machine that sleeps: rollovers that come due meanwhile. In a guest of its own, as
# the file system it shares with this machine does not live through that.
top=$(cd "$(dirname "$0")/../.." && pwd)
exec "$top/tests/vm/run" --kernel "${KERNEL:-6.1}" --timeout 900 "$top/tests/vm/suspended"
