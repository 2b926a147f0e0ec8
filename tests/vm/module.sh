# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash

module_load() { # KO: with what it needs
	local deps
	deps=$(modinfo -F softdep "$1" | sed 's/^pre: //; s/post:.*//')
	deps+=" $(modinfo -F depends "$1" | tr , ' ')"
	# shellcheck disable=SC2086 # one word each
	modprobe -a $deps && insmod "$1"
}
