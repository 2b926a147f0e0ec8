#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the module must refuse; see qkdbad.c.
BIN=${BIN:-${BUILD:-build}}
ip netns add bad
ip netns exec bad "$BIN/qkdbad" || exit 1
ip netns delete bad
