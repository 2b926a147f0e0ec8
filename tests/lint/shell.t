#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
. "$(dirname "$0")/lib.sh"

for file in $(shell_files); do
	check "$file" shellcheck -S warning -x -P SCRIPTDIR -P . "$file"
done
finish
