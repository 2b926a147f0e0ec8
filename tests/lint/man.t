#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The manual pages build.
. "$(dirname "$0")/lib.sh"

page() { # SOURCE
	scdoc <"$1" >/dev/null
}

for source in docs/*.scd; do
	[[ ! -e $source ]] || check "$source" page "$source"
done
finish
