# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Test Anything Protocol for the scenarios: `check NAME COMMAND...`, then `done_testing`.

TAP_COUNT=0 TAP_FAILED=0

check() { # NAME COMMAND...: the command's success is the result
	local name=$1 output

	shift
	TAP_COUNT=$((TAP_COUNT + 1))
	if output=$("$@" 2>&1); then
		echo "ok $TAP_COUNT - $name"
	else
		TAP_FAILED=$((TAP_FAILED + 1))
		echo "not ok $TAP_COUNT - $name"
		sed 's/^/#   /' <<<"$* :: $output" | head -n 40
	fi
}

equal() { # GOT EXPECTED
	[ "$1" = "$2" ] || {
		echo "got '$1', expected '$2'"
		return 1
	}
}

at_least() { # GOT MINIMUM
	[[ $1 =~ ^[0-9]+$ ]] && [ "$1" -ge "$2" ] || {
		echo "got '$1', expected at least $2"
		return 1
	}
}

contains() { # TEXT PATTERN (extended regular expression)
	grep -qE -- "$2" <<<"$1" || {
		echo "'$1' has no '$2'"
		return 1
	}
}

not() {
	! "$@"
}

done_testing() { # [LOG...]: the logs are shown if anything failed
	echo "1..$TAP_COUNT"
	if [ $TAP_FAILED -ne 0 ]; then
		local log
		for log in "$@"; do
			echo "# ---- $log"
			tail -n 40 "$log" 2>/dev/null | sed 's/^/# /'
		done
	fi
	[ $TAP_FAILED -eq 0 ]
}
