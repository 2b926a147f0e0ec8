#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# time limit: 600
# No memory for one thing or another that the module's start asks for; see qkdload.c.
. "$(dirname "$0")/../sites.sh"
. "$(dirname "$0")/../module.sh"
. "$(dirname "$0")/../refuse.sh"

check "memory can be refused" refuse_set_up
check "the module unloads" module_unload
refuse_run "the start" "$BIN/qkdload" "$QKD_KO" qkd
# Loaded again: what is left of its memory is known by the names of its functions.
check "the module loads" insmod "$QKD_KO"
done_testing
