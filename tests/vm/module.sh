# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# The module comes and goes: in the guests, and on a host that shows the demo.

# module_load KO: with what it needs, as modprobe does it: a soft dependency that
# this kernel does not have (7.3 has no drbg) is no error.
module_load() {
	local soft hard
	soft=$(modinfo -F softdep "$1" | sed 's/^pre: //; s/post:.*//')
	hard=$(modinfo -F depends "$1" | tr , ' ')
	# shellcheck disable=SC2086 # one word each
	modprobe -qa $soft
	# shellcheck disable=SC2086
	[[ -z $hard ]] || modprobe -a $hard || return
	insmod "$1"
}

module_unload() { # or says why not, after 5 s
	local tries=0 why
	# An io_uring instance closes its files some time after its process.
	until why=$(rmmod qkd 2>&1); do
		tries=$((tries + 1))
		if [[ $tries -ge 50 ]]; then
			echo "$why" >&2
			return 1
		fi
		sleep 0.1
	done
}
