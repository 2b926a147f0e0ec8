# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests that refuse memory, on the debug kernel; with sites.sh.

# All that are asked for may be refused, of the slabs or whole pages, and each refusal is
# told in one line, no trace: traces are what is complained about.
refuse_set_up() {
	local kind
	for kind in failslab fail_page_alloc; do
		cd "/sys/kernel/debug/$kind" &&
			echo N >ignore-gfp-wait && echo 1 >verbose && echo 0 >probability || return
	done
	echo 0 >min-order && echo N >ignore-gfp-highmem
}

# A program's TAP lines become checks of ours; that it came to its plan is another.
refuse_run() { # NAME COMMAND...
	local line plan=''
	while read -r line; do
		case $line in
		'#'*) echo "$line" ;;
		1..*) plan=$line ;;
		*) check "${line#* - }" [ "${line%% *}" = ok ] ;;
		esac
	done < <("${@:2}")
	check "$1: to the end" [ "$plan" ]
}
