#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# C code is laid out as .clang-format says (clang-format-14 -i FILE mends it).
. "$(dirname "$0")/lib.sh"

for file in $(c_files); do
	check "$file" clang-format-14 --dry-run -Werror "$file"
done
finish
