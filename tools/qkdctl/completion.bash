# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# bash completion of qkdctl. The words come from qkdctl itself, so that they
# are those of the installed version; channel names come from the running daemon.

_qkdctl() {
	local current=${COMP_WORDS[COMP_CWORD]} words word

	COMPREPLY=()
	mapfile -t words < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	if [[ ${words[0]-} == @file ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
	fi
	# not compgen -W: it would expand what stands in a channel's name
	for word in "${words[@]}"; do
		[[ $word != "$current"* ]] || COMPREPLY+=("$(printf %q "$word")")
	done
}
complete -F _qkdctl qkdctl
