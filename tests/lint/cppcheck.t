#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# cppcheck on the user-space parts; the module is for sparse to check. Version
# 2.10 takes the -1 of an anonymous mmap for a mistake (invalidFunctionArg).
. "$(dirname "$0")/lib.sh"

check "cppcheck" cppcheck -q -j "$(nproc)" --std=c11 --library=posix --inline-suppr \
	--enable=warning,performance --error-exitcode=1 \
	-D_GNU_SOURCE -Iinclude/uapi -Idaemon -Ikmod \
	--suppress=missingIncludeSystem --suppress=unknownMacro \
	--suppress=invalidFunctionArg daemon tools tests
finish
