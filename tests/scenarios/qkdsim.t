#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The simulated QKD devices, asked by curl over real TLS on the loopback: what
# ETSI GS QKD 014 says, word by word, and what the control socket does. Needs
# neither the module nor a guest: tests/vm/qkdsim.t runs it, on this machine.

if [ -n "${QKD_KERNEL:-}" ]; then
	echo "1..0 # SKIP no guest is needed: see tests/vm/qkdsim.t"
	exit 0
fi
TOP=$(cd "$(dirname "$0")/../.." && pwd)
BIN=${BIN:-$TOP/build}
WORK=$(mktemp -d /tmp/qkdsim-test.XXXXXX)
SIM_PID=
. "$TOP/tests/scenarios/tap.sh"
trap 'kill "$SIM_PID" 2>/dev/null; rm -rf "$WORK"' EXIT

ip link set lo up 2>/dev/null
"$TOP/tests/scenarios/pki" "$WORK" kme-a kme-b sae-a sae-b sae-c \
	--expired old --other-ca stranger --other-ca fake-kme || exit 1

sim_start() { # OPTION...
	local word

	mkfifo "$WORK/ready"
	"$BIN/qkdsim" --listen-a 127.0.0.1:0 --listen-b 127.0.0.1:0 \
		--certificate-a "$WORK/kme-a.pem" --key-a "$WORK/kme-a.key" \
		--certificate-b "$WORK/kme-b.pem" --key-b "$WORK/kme-b.key" \
		--ca "$WORK/ca.pem" --sae-a sae-a --sae-b sae-b \
		--control "$WORK/control" --ready-fd 3 "$@" 3>"$WORK/ready" >>"$WORK/log" 2>&1 &
	SIM_PID=$!
	# shellcheck disable=SC2034 # used by name
	read -r word PORT_a PORT_b <"$WORK/ready"
	rm "$WORK/ready"
	[ "$word" = ready ]
}

sim_stop() {
	kill -TERM "$SIM_PID"
	wait "$SIM_PID"
}

ctl() {
	"$BIN/qkdsim" ctl "$WORK/control" "$@"
}

# ask SIDE SAE CALL [CURL OPTION...]: STATUS and BODY of the answer
ask() {
	local side=$1 sae=$2 call=$3 port="PORT_$1"

	shift 3
	STATUS=$(curl -s --max-time 60 --cacert "$WORK/ca.pem" --cert "$WORK/$sae.pem" \
		--key "$WORK/$sae.key" --resolve "kme-$side:${!port}:127.0.0.1" \
		-o "$WORK/body" -w '%{http_code}' "$@" "https://kme-$side:${!port}$call")
	BODY=$(cat "$WORK/body" 2>/dev/null)
	rm -f "$WORK/body"
}

# answers NAME STATUS [PATTERN] -- SIDE SAE CALL [CURL OPTION...]
answers() {
	local name=$1 status=$2 pattern=

	shift 2
	[ "$1" = -- ] || { pattern=$1; shift; }
	shift
	ask "$@"
	if [ "$STATUS" != "$status" ]; then
		check "$name" equal "$STATUS $BODY" "$status"
	else
		check "$name" contains "$BODY" "$pattern"
	fi
}

# Requests as the two SAEs of the link make them.
AB=/api/v1/keys/sae-b
BA=/api/v1/keys/sae-a
json() {
	printf '%s\n' -X POST -H 'Content-Type: application/json' -d "$1"
}
refused() { # NAME MESSAGE CALL BODY: 400 with the message, from A
	local options

	mapfile -t options < <(json "$4")
	answers "$1" 400 "^\{\"message\":\"$2\"\}$" -- a sae-a "$3" "${options[@]}"
}
post() { # SIDE SAE CALL BODY
	local options

	mapfile -t options < <(json "$4")
	ask "$1" "$2" "$3" "${options[@]}"
}
ids_of() { # the key_IDs object for a key container
	jq -c '{key_IDs: [.keys[] | {key_ID}]}'
}
stored() {
	ctl status | jq .stored_keys
}
settled() { # COUNT: so many keys are stored, soon
	for _ in $(seq 200); do
		[ "$(stored)" -ge "$1" ] && return
		sleep 0.1
	done
	echo "only $(stored) keys stored"
	return 1
}

# ---- a link by itself --------------------------------------------------------

sim_start --max-keys 200 --pulse-rate 1e9
check "it starts" equal "$?" 0
check "it makes keys up to the limit" settled 200

answers "status" 200 -- a sae-a $AB/status
for fact in '.source_KME_ID == "kme-a"' '.target_KME_ID == "kme-b"' '.master_SAE_ID == "sae-a"' \
	'.slave_SAE_ID == "sae-b"' '.key_size == 256' '.stored_key_count == 200' \
	'.max_key_count == 200' '.max_key_per_request == 128' '.max_key_size == 1024' \
	'.min_key_size == 64' '.max_SAE_ID_count == 0' '.status_extension.qkdsim_simulated' \
	'.status_extension.qkdsim_link == "up"' '.status_extension.qkdsim_qber < 0.05' \
	'.status_extension.qkdsim_skr_bps > 100000'; do
	check "status: $fact" equal "$(jq "$fact" <<<"$BODY")" true
done
answers "status of the other side" 200 '"source_KME_ID":"kme-b"' -- b sae-b $BA/status

# ---- a key at both ends ------------------------------------------------------

answers "a key by GET" 200 -- a sae-a $AB/enc_keys
check "it has 256 bits" equal "$(jq -r '.keys[0].key' <<<"$BODY" | base64 -d | wc -c)" 32
check "it says that it is simulated" equal \
	"$(jq '.keys[0].key_extension.qkdsim_simulated and .key_container_extension.qkdsim_simulated' <<<"$BODY")" true
first=$BODY
key_id=$(jq -r '.keys[0].key_ID' <<<"$first")
check "its ID is a UUID of version 4" contains "$key_id" \
	'^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
answers "the master cannot collect it" 401 '^$' -- a sae-a "$AB/dec_keys?key_ID=$key_id"
answers "the slave collects it" 200 -- b sae-b "$BA/dec_keys?key_ID=${key_id^^}"
check "both have the same" equal "$(jq -S . <<<"$BODY")" "$(jq -S . <<<"$first")"
answers "it is not given twice" 400 '"one or more keys specified are not found on KME"' -- \
	b sae-b "$BA/dec_keys?key_ID=$key_id"

post b sae-b $BA/enc_keys '{"number": 101, "size": 512}'
check "more keys of 512 bits than the store can hold" equal "$STATUS" 503
check "503 says so" contains "$BODY" '"message":"not enough keys'
settled 200 >/dev/null
post b sae-b $BA/enc_keys '{"number": 50, "size": 512}'
check "fifty keys of 512 bits, the other way round" equal "$STATUS" 200
check "they have 512 bits" equal "$(jq -r '.keys[49].key' <<<"$BODY" | base64 -d | wc -c)" 64
check "no two are the same" equal "$(jq '[.keys[].key] | unique | length' <<<"$BODY")" 50
second=$BODY
post a sae-a $AB/dec_keys "$(ids_of <<<"$second")"
check "collected in one request, in order" equal "$(jq -c .keys <<<"$BODY")" "$(jq -c .keys <<<"$second")"

post a sae-a $AB/enc_keys '{"number": 2}'
third=$BODY
post b sae-b $BA/dec_keys "$(jq -c '{key_IDs: [.keys[0], {key_ID: "00000000-0000-4000-8000-000000000000"}] | map({key_ID})}' <<<"$third")"
check "one unknown ID among them: refused" equal "$STATUS" 400
post b sae-b $BA/dec_keys "$(ids_of <<<"$third")"
check "and nothing was lost by that" equal "$STATUS" 200

answers "POST without a body" 200 '"keys"' -- a sae-a $AB/enc_keys -X POST
answers "POST with an empty object" 200 '"keys"' -- a sae-a $AB/enc_keys -X POST -d '{}'
answers "GET with number and size" 200 '"keys"' -- a sae-a "$AB/enc_keys?number=2&size=128"
check "two came" equal "$(jq '.keys | length' <<<"$BODY")" 2
answers "an optional extension is let be" 200 '"keys"' -- a sae-a $AB/enc_keys \
	-X POST -d '{"extension_optional": [{"vendor_x": 1}]}'
answers "an SAE ID in URL encoding" 200 '"keys"' -- a sae-a /api/v1/keys/sae%2Db/enc_keys

# ---- what the standard refuses ------------------------------------------------

refused "size no multiple of 8" "size shall be a multiple of 8" $AB/enc_keys '{"size": 257}'
refused "size too small" "size shall not be smaller than min_key_size" $AB/enc_keys '{"size": 8}'
refused "size too large" "size shall not be larger than max_key_size" $AB/enc_keys '{"size": 1032}'
refused "size zero" "size shall be positive" $AB/enc_keys '{"size": 0}'
refused "size negative" "size shall be positive" $AB/enc_keys '{"size": -256}'
refused "size a string" "size shall be an integer" $AB/enc_keys '{"size": "256"}'
refused "size a fraction" "size shall be an integer" $AB/enc_keys '{"size": 256.0}'
refused "number zero" "number shall be 1 or more" $AB/enc_keys '{"number": 0}'
refused "number too large" "number shall not be larger than max_key_per_request" $AB/enc_keys '{"number": 129}'
refused "number true" "number shall be an integer" $AB/enc_keys '{"number": true}'
refused "number null" "number shall be an integer" $AB/enc_keys '{"number": null}'
refused "a mandatory extension" "not all extension_mandatory parameters are supported" $AB/enc_keys \
	'{"extension_mandatory": [{"vendor_route": "x"}]}'
refused "extension_mandatory no array" "extension_mandatory shall be an array of objects" $AB/enc_keys \
	'{"extension_mandatory": {}}'
refused "no additional slaves" "additional_slave_SAE_IDs shall not be empty" $AB/enc_keys \
	'{"additional_slave_SAE_IDs": []}'
refused "blank additional slave" "additional_slave_SAE_IDs shall not contain a blank SAE ID" $AB/enc_keys \
	'{"additional_slave_SAE_IDs": [" "]}'
refused "additional slave twice" "additional_slave_SAE_IDs shall not contain an SAE ID twice" $AB/enc_keys \
	'{"additional_slave_SAE_IDs": ["x", "x"]}'
refused "additional slave" "additional_slave_SAE_IDs is not supported: max_SAE_ID_count is 0" $AB/enc_keys \
	'{"additional_slave_SAE_IDs": ["sae-c"]}'
refused "unknown member" "the key request has a member that the standard does not know" $AB/enc_keys '{"nubmer": 1}'
refused "no JSON" "the body is not valid JSON" $AB/enc_keys '{"number": 1'
refused "JSON twice" "the body is not valid JSON" $AB/enc_keys '{"number": 1}{}'
refused "member twice" "the body is not valid JSON" $AB/enc_keys '{"number": 1, "number": 2}'
refused "an array" "the body must be a JSON object" $AB/enc_keys '[1]'
refused "master is slave" "master SAE and slave SAE shall not be the same" $BA/enc_keys '{}'
refused "unknown slave" "the SAE ID in the path is not known to this KME" /api/v1/keys/sae-c/enc_keys '{}'
refused "blank slave" "the SAE ID in the path is blank" /api/v1/keys/%20/enc_keys '{}'
refused "dec_keys without IDs" "key_IDs shall not be empty" $AB/dec_keys '{"key_IDs": []}'
refused "dec_keys without key_IDs" "key_IDs shall be an array of objects" $AB/dec_keys '{}'
refused "key_IDs of strings" "key_IDs shall be an array of objects" $AB/dec_keys '{"key_IDs": ["x"]}'
refused "key_ID no UUID" "key_ID shall be a UUID" $AB/dec_keys '{"key_IDs": [{"key_ID": "x"}]}'
refused "key_ID twice" "key_IDs shall not contain a key_ID twice" $AB/dec_keys \
	"{\"key_IDs\": [{\"key_ID\": \"$key_id\"}, {\"key_ID\": \"${key_id^^}\"}]}"
refused "unknown key_ID" "one or more keys specified are not found on KME" $AB/dec_keys \
	"{\"key_IDs\": [{\"key_ID\": \"$key_id\"}]}"
answers "dec_keys by POST without a body" 400 'needs a body' -- a sae-a $AB/dec_keys -X POST
answers "dec_keys by GET without an ID" 400 'needs the parameter key_ID' -- a sae-a $AB/dec_keys
answers "dec_keys by GET with two" 400 'exactly one' -- a sae-a "$AB/dec_keys?key_ID=$key_id&key_ID=$key_id"
answers "GET with a number that is none" 400 'number shall be an integer' -- a sae-a "$AB/enc_keys?number=1x"
answers "GET with another parameter" 400 'use POST' -- a sae-a "$AB/enc_keys?extension_mandatory=1"
answers "an unknown call" 404 -- a sae-a $AB/take_keys
answers "an unknown path" 404 -- a sae-a /
answers "a longer path" 404 -- a sae-a $AB/x/status
answers "DELETE" 405 -- a sae-a $AB/enc_keys -X DELETE
answers "status by POST" 405 -- a sae-a $AB/status -X POST

# ---- who may ask --------------------------------------------------------------

answers "the other side's SAE: 401 without a body" 401 '^$' -- a sae-b $AB/enc_keys
answers "an SAE that is none of the two" 401 '^$' -- a sae-c $AB/enc_keys
answers "even for the status" 401 '^$' -- b sae-a $BA/status
answers "an expired certificate gets no TLS" 000 -- a old $AB/status
answers "another authority's gets no TLS" 000 -- a stranger $AB/status
check "and it is said why" contains "$(cat "$WORK/log")" '\(old\) expired on 20.*UTC'
check "with the authority's name" contains "$(cat "$WORK/log")" '\(stranger\) comes from an unknown authority, .CN=other-ca'
not_without_certificate() {
	not curl -s --max-time 60 --cacert "$WORK/ca.pem" --resolve "kme-a:$PORT_a:127.0.0.1" \
		"https://kme-a:$PORT_a$AB/status"
}
check "no certificate gets no TLS" not_without_certificate
old_tls() {
	not curl -s --max-time 60 --tls-max 1.1 --cacert "$WORK/ca.pem" --cert "$WORK/sae-a.pem" \
		--key "$WORK/sae-a.key" --resolve "kme-a:$PORT_a:127.0.0.1" "https://kme-a:$PORT_a$AB/status"
}
check "TLS 1.1 is refused" old_tls
answers "TLS 1.2 is served" 200 -- a sae-a $AB/status --tls-max 1.2
answers "TLS 1.3 is served" 200 -- a sae-a $AB/status --tlsv1.3

# ---- what is told to it --------------------------------------------------------

check "cut" ctl cut
before=$(ctl status | jq .made_bits)
answers "a cut fibre is reported" 200 '"qkdsim_link":"cut"' -- a sae-a $AB/status
check "no key rate then" equal "$(jq .status_extension.qkdsim_skr_bps <<<"$BODY")" 0
answers "stored keys are still served" 200 '"keys"' -- a sae-a $AB/enc_keys
while [ "$(stored)" -ge 1 ]; do
	n=$(stored)
	post a sae-a $AB/enc_keys "{\"number\": $((n < 128 ? n : 128))}"
	[ "$STATUS" = 200 ] || break
done
check "until none is left" equal "$(stored)" 0
answers "then 503" 503 '"message":"not enough keys' -- a sae-a $AB/enc_keys
sleep 0.3
check "nothing is made meanwhile" equal "$(ctl status | jq .made_bits)" "$before"
check "restore" ctl restore
check "and keys are made again" settled 10

check "an eavesdropper: QBER 12%" ctl qber 12%
before=$(ctl status | jq .made_bits)
answers "the QBER is reported" 200 '"qkdsim_link":"aborted' -- a sae-a $AB/status
check "as it is" equal "$(jq '.status_extension.qkdsim_qber * 10000 | round' <<<"$BODY")" 1200
sleep 0.3
check "no keys above the threshold" equal "$(ctl status | jq .made_bits)" "$before"
check "QBER 0.05: below it" ctl qber 0.05
check "less key than undisturbed, but some" equal \
	"$(ctl status | jq '.skr_bps > 0 and .skr_bps < 500000')" true
check "QBER off" ctl qber off
check "keys as before" settled 200

check "an error, twice" ctl error 503 2
answers "the first" 503 'simulated error' -- a sae-a $AB/enc_keys
answers "the second, at the other side" 503 'simulated error' -- b sae-b $BA/status
answers "the third is in order" 200 -- a sae-a $AB/status
check "errors until told otherwise" ctl error 401
for _ in 1 2 3; do
	answers "401 without a body" 401 '^$' -- a sae-a $AB/status
done
check "off" ctl error off
answers "in order again" 200 -- a sae-a $AB/status

check "a delay" ctl delay 700
started=${EPOCHREALTIME/[.,]/}
answers "a late answer" 200 '"keys"' -- a sae-a $AB/enc_keys
check "is late" at_least $((${EPOCHREALTIME/[.,]/} - started)) 700000
answers "who does not wait gets nothing" 000 -- a sae-a $AB/enc_keys --max-time 0.3
check "and no key is taken for it" equal \
	"$(sleep 1; ctl status | jq '.taken_keys - .collected_keys - .reserved_keys - .expired_keys')" 0
check "no delay" ctl delay 0

usage_error() {
	"$BIN/qkdsim" ctl "$WORK/control" "$@" 2>"$WORK/usage"
	equal $? 2
}
check "an unknown verb is a usage error" usage_error explode
check "it lists the verbs" grep -q restore "$WORK/usage"
check "a QBER that is none" usage_error qber much
out_of_range() {
	ctl "$@" 2>"$WORK/usage"
	equal $? 1
}
check "a QBER out of range" out_of_range qber 0.7
check "an error that is a success" out_of_range error 200
unreachable() {
	"$BIN/qkdsim" ctl "$WORK/none" status 2>/dev/null
	equal $? 3
}
check "no simulator there" unreachable
garbage() {
	local answer

	answer=$(printf '%s\n' 'garbage' '[]' '{"verb":"cut","verb":"cut"}' '{}' |
		timeout 20 nc -U -N "$WORK/control")
	equal "$(grep -c '"ok":false' <<<"$answer")" 4
}
if nc -h 2>&1 | grep -q -- -U; then
	check "garbage on the control socket gets errors" garbage
fi
check "the socket is the owner's alone" equal "$(stat -c %a "$WORK/control")" 600

# ---- its end, and its options --------------------------------------------------

sim_stop
check "SIGTERM ends it well" equal "$?" 0
check "the socket is gone" not test -e "$WORK/control"
check "every line says 'simulated'" not grep -v simulated "$WORK/log"
check "no key in what it printed" not grep -qF "$(jq -r '.keys[0].key' <<<"$first")" "$WORK/log"

sim_start --rate 40 --key-size 128 --hold 1 --distance 500
check "a rate for tests" equal "$?" 0
answers "is marked" 200 '"qkdsim_rate_override":true' -- a sae-a $AB/status
check "on a link without light it makes none" equal "$(jq .status_extension.qkdsim_skr_bps <<<"$BODY")" 0
sim_stop
sim_start --rate 40 --key-size 128 --hold 1
check "a rate on a good link" equal "$?" 0
check "makes keys" settled 3
check "at that rate" equal "$(ctl status | jq .skr_bps)" 5120
answers "of the size asked for" 200 -- a sae-a $AB/enc_keys
check "128 bits" equal "$(jq -r '.keys[0].key' <<<"$BODY" | base64 -d | wc -c)" 16
late=$(ids_of <<<"$BODY")
sleep 1.2
post b sae-b $BA/dec_keys "$late"
check "a key that waited too long is gone" contains "$STATUS $BODY" '^400 .*not found on KME'
check "and counted" equal "$(ctl status | jq .expired_keys)" 1
sim_stop

refuses() { # PATTERN OPTION...
	local pattern=$1 output status

	shift
	output=$("$BIN/qkdsim" "$@" 2>&1)
	status=$?
	equal "$status" 2 && contains "$output" "$pattern"
}
check "no options" refuses "listen-a.*are needed"
check "an unknown option" refuses "unrecognized option" --frob
check "an address without a port" refuses "ADDRESS:PORT" --listen-a 127.0.0.1
check "a number that is none" refuses "number is wanted" --distance far
check "one SAE for both" refuses "must differ" --listen-a 127.0.0.1:0 --listen-b 127.0.0.1:0 \
	--certificate-a x --key-a x --certificate-b x --key-b x --ca x --sae-a s --sae-b s
check "nu above mu" refuses "nu" --nu 0.9 --listen-a 127.0.0.1:0 --listen-b 127.0.0.1:0 \
	--certificate-a x --key-a x --certificate-b x --key-b x --ca x --sae-a s --sae-b t
check "--help teaches" contains "$("$BIN/qkdsim" --help)" "ETSI GS QKD 014"
fails_to_start() {
	local output

	output=$("$BIN/qkdsim" --listen-a 127.0.0.1:0 --listen-b 127.0.0.1:0 --ca "$WORK/ca.pem" \
		--certificate-a "$WORK/kme-a.pem" --key-a "$WORK/kme-b.key" \
		--certificate-b "$WORK/kme-b.pem" --key-b "$WORK/kme-b.key" \
		--sae-a a --sae-b b 2>&1)
	equal $? 1 && contains "$output" "kme-b.key: not the private key of the certificate in"
}
check "a key of another certificate" fails_to_start

done_testing "$WORK/log"
