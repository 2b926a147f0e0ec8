# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# bash completion of qkdctl. The words come from qkdctl itself, so that they
# are those of the installed version; channel names come from the running daemon.

_qkdctl() {
	local current=${COMP_WORDS[COMP_CWORD]} words

	COMPREPLY=()
	mapfile -t words < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	if [[ ${words[0]-} == @file ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	else
		mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$current")
	fi
}
complete -F _qkdctl qkdctl
