#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Strangers and garbage: the wrong peer, a malformed Kx frame, an answer of the
# QKD device that makes no sense. Each gets its own clear error; the rest goes on.

. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/../tap.sh"
trap scenario_end EXIT

logged() { # SITE PATTERN: since the last mark
	tail -n +"$((MARK + 1))" "$WORK/$1/qkdkeyd.log" | grep -qE -- "$2" || {
		echo "the log of site $1 has no '$2'; its end:"
		tail -n 8 "$WORK/$1/qkdkeyd.log"
		return 1
	}
}

mark() { # SITE
	MARK=$(wc -l <"$WORK/$1/qkdkeyd.log")
}

stranger() { # CERTIFICATE: connects to site a's Kx as a TLS client and waits for its end
	site b timeout 10 openssl s_client -connect 198.51.100.1:7443 -tls1_3 -alpn qkdkeyd-kx/1 \
		-cert "$WORK/pki/$1.pem" -key "$WORK/pki/$1.key" -CAfile "$WORK/pki/ca.pem" -quiet
}

hello() { # NAME: a Kx HELLO of a node of that name
	printf '\0\0\0\064\0\1\0\0\0\1\0\0%s' "$1"
	head -c $((32 - ${#1})) /dev/zero
	head -c 16 /dev/urandom
	sleep 2
}

still_rolling() {
	rolls_on a ipsec 2
}

. "$(dirname "$0")/../facts.sh"
CHANNELS=ipsec
scenario_up
"$TOP/tests/scenarios/pki" "$WORK/pki" --other-ca evil-b --expired old-b mallory >"$WORK/pki.log" 2>&1

mark a
stranger evil-b </dev/null >/dev/null 2>&1
check "a peer of another CA is refused, and the log says why" \
	retry 5 logged a '198.51.100.2.*(issuer|authority|self.signed)'
mark a
stranger old-b </dev/null >/dev/null 2>&1
check "an expired peer is refused, and the log says why" retry 5 logged a '198.51.100.2.*expired'
mark a
hello mallory | stranger mallory >/dev/null 2>&1
check "a name that no peer has is refused" retry 5 logged a '198.51.100.2.*mallory is not configured'
mark a
hello site-b | stranger mallory >/dev/null 2>&1
check "a peer's name with another's certificate is refused" \
	retry 5 logged a 'says that it is site-b, but its certificate is for mallory'
mark a
(head -c 4096 /dev/urandom; sleep 2) | stranger site-b >/dev/null 2>&1
check "garbage instead of a frame gets its own error" retry 5 logged a '198.51.100.2.*(frame|type|length)'
check "the real peer's channel goes on" still_rolling

for status in 503 400; do
	mark a
	sim error $status 3
	check "an error $status of the QKD device is told with its address" \
		retry 30 logged a "203.0.113.1:8014.*$status"
done
check "and the channel goes on" still_rolling

sed 's/cipher: aes-256-gcm/cipher: des/' "$WORK/a/qkdkeyd.yaml" >"$WORK/bad.yaml"
check "config check names file, line and field" contains \
	"$("$BIN/qkdctl" config check "$WORK/bad.yaml" 2>&1)" 'bad.yaml:[0-9]+: .*cipher'
check "config check takes the good one" "$BIN/qkdctl" config check "$WORK/a/qkdkeyd.yaml"
check "a second daemon on the same store is refused" not site a timeout 10 \
	"$BIN/qkdkeyd" --config "$WORK/a/qkdkeyd.yaml"
done_testing "$WORK"/*/qkdkeyd.log
