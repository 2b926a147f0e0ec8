# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What must always hold, read from the kernel, both modules and both stores.

used_keys() { # SITE: "channel epoch key_id" of every use, from the store
	sqlite3 -readonly -separator ' ' "$WORK/$1/state/keys.db" \
		"SELECT c.name, k.epoch, lower(hex(k.key_id)) FROM keys k JOIN channels c ON c.id = k.channel"
}

no_key_used_twice() { # each store: a key once, an epoch once; both stores: the same key for an epoch
	local s

	for s in a b; do
		used_keys $s | sort >"$WORK/used-$s"
		[ -s "$WORK/used-$s" ] || {
			echo "site $s: no key was used at all"
			return 1
		}
		if [ -n "$(awk '{ print $3 }' "$WORK/used-$s" | sort | uniq -d)" ]; then
			echo "site $s used a key twice"
			return 1
		fi
		if [ -n "$(awk '{ print $1, $2 }' "$WORK/used-$s" | sort | uniq -d)" ]; then
			echo "site $s used an epoch twice"
			return 1
		fi
	done
	join <(awk '{ print $1 "/" $2, $3 }' "$WORK/used-a" | sort) \
		<(awk '{ print $1 "/" $2, $3 }' "$WORK/used-b" | sort) |
		awk '$2 != $3 { print "epoch " $1 " has another key at each site"; bad = 1 } END { exit bad }'
}

# The daemons' own word is not enough: all that is ever seen standing in a module
# is written down, whether a daemon runs or not.

modules_watch() { # from now on, until the scenario ends
	local s ids

	for s in a b; do
		mapfile -t ids < <("$BIN/qkdtest" -n qkd-$s list | sed 's/channel=\([0-9]*\).*/\1/')
		# shellcheck disable=SC2016 # for the inner shell
		site_exec $s bash -c 'while sleep 2; do
			for id in "${@:2}"; do
				"$1" epochs "$id" | while read -r line; do
					echo "channel=$id $line"
				done
			done
		done' watch "$BIN/qkdtest" "${ids[@]}" >>"$WORK/seen-$s" 2>&1 &
	done
}

seen_keys() { # SITE: "channel epoch key_id" of all that was seen
	sed -n 's/^channel=\([0-9]*\) epoch=\([0-9]*\) .* key=\([0-9a-f]*\) .*/\1 \2 \3/p' "$WORK/seen-$1" |
		sort -u
}

no_key_seen_twice() { # in each module: a key for one epoch only, an epoch with one key only
	local s twice

	for s in a b; do
		at_least "$(seen_keys $s | wc -l)" 20 || return 1
		twice=$(seen_keys $s | awk '{ print $1, $2; print $3 }' | sort | uniq -d)
		equal "$twice" "" || return 1
	done
}

modules_agree_with_stores() { # what stands in a module is in that site's store
	local s strange

	for s in a b; do
		sas $s channel epoch key_id | tr -d - | sort -u >"$WORK/stands-$s"
		strange=$(used_keys $s | sort | comm -23 "$WORK/stands-$s" -)
		[ -s "$WORK/stands-$s" ] && [ -z "$strange" ] || {
			echo "site $s: these stand, and the store does not say so:"
			echo "$strange"
			return 1
		}
	done
}

no_key_in_listings() { # neither the kernel's nor ours
	local s

	for s in a b; do
		if site $s ip xfrm state | grep -E 'aead .* 0x0*[1-9a-f]'; then
			echo "site $s: ip xfrm state shows a key"
			return 1
		fi
		if ctl $s --json sa list | grep -E '"(key|salt|sak)"'; then
			return 1
		fi
	done
}

# A rollover may come between two listings. So ours is taken before and after the
# kernel's: what is in both must be in the kernel's, which may have no others.

our_spis() { # SITE: of the ESP SAs that are in the kernel's table
	sas "$1" channel state spi | awk '$1 == "ipsec" && $2 != "ready" { print $3 }' | sort
}

sa_lists_agree() { # SITE: qkdctl and ip name the same ESP SAs
	local before theirs after lost strange

	before=$(our_spis "$1")
	theirs=$(site "$1" ip xfrm state | awk '/proto esp/ { print $4 }' | grep -v '^0x00000000$' | sort)
	after=$(our_spis "$1")
	lost=$(comm -12 <(echo "$before") <(echo "$after") | comm -23 - <(echo "$theirs"))
	strange=$(comm -23 <(echo "$theirs") <(sort -u <<<"$before"$'\n'"$after"))
	[ -n "$theirs" ] && [ -z "$lost$strange" ] || {
		echo "in qkdctl only: $lost; in ip xfrm state only: $strange"
		return 1
	}
}

our_an() { # SITE: association number that the macsec channel encrypts with
	sas "$1" channel direction state an | sed -n 's/^macsec out active //p'
}

macsec_lists_agree() { # SITE: the encoding SA of `ip macsec show` is the active one of qkdctl
	local before theirs after

	before=$(our_an "$1")
	theirs=$(site "$1" ip macsec show macsec0 | sed -n 's/.*TXSC: .* on SA \([0-3]\).*/\1/p')
	after=$(our_an "$1")
	[ -n "$theirs" ] && { [ "$theirs" = "$before" ] || [ "$theirs" = "$after" ]; } || {
		echo "qkdctl: AN '$before', then '$after'; ip macsec show: AN '$theirs'"
		return 1
	}
}
