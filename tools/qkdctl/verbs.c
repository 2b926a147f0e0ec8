// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every verb and option of qkdctl, described once: --help, the completion and
 * the dispatch read this table, and a test holds the manual page against it.
 */
#include "columns.h"
#include "qkdctl.h"
#include <stdio.h>
#include <string.h>

#define SECTIONS(list) list, sizeof(list) / sizeof((list)[0])

const struct verb verbs[] = {
	{
		.noun = "status",
		.verb = "",
		.flags = VERB_WATCH | VERB_CHECK,
		.wire = "status",
		.summary = "how the node is, and what is wrong with it",
		.text = "Shows the node at a glance: links up, channels active, keys ready, and "
			"each "
			"problem with the object that has it. This is what qkdctl does without "
			"arguments.\n\n"
			"With --check it prints one line and its exit status is 0 if all is well "
			"and "
			"6 if anything is degraded: for monitoring.",
		.examples = "qkdctl # the same as qkdctl status\n"
			    "qkdctl status --watch # look again every 2 s\n"
			    "qkdctl status --check # for monitoring: exit status 0 or 6",
		SECTIONS(status_sections),
		.run = run_status,
	},
	{
		.noun = "link",
		.verb = "list",
		.flags = VERB_WATCH,
		.wire = "link.list",
		.summary = "KM links to peers, and QKD links with their devices",
		.text = "A KM link is the TLS connection to a peer KM; it carries key IDs, never "
			"keys. A QKD link is a pair of QKD devices, ours and the peer's; keys come "
			"from it. QBER is the quantum bit error rate and SKR the secret key rate, "
			"as "
			"our device tells them.\n\n"
			"MARK says SIM where the device is a simulator: its keys are no real QKD "
			"keys.",
		.examples = "qkdctl link list # both tables\n"
			    "qkdctl link list --json | jq '.data.qkd_links[].qber' # one figure",
		SECTIONS(link_sections),
	},
	{
		.noun = "channel",
		.verb = "list",
		.flags = VERB_WATCH,
		.wire = "channel.list",
		.summary = "the protected paths: state, epoch, keys ahead",
		.text = "A channel is one protected path between two sites: an IPsec tunnel or "
			"transport pair, or a MACsec port. It uses one QKD key per epoch.\n\n"
			"STATE: idle (no outbound SA yet), active, overdue (its rollover is due "
			"and there is no next key), blocked (no key is left that may be used: "
			"nothing is sent), absent (not in the kernel), orphaned (in the kernel but "
			"no longer configured; channel delete removes it). READY counts epochs "
			"that stand ready beyond the one in use; MACsec epochs that wait for an "
			"association number are not among them (channel show has them). WAITS FOR "
			"tells why no new keys come: km_link, keys, peer or backend.",
		.examples = "qkdctl channel list --watch=1 # live\n"
			    "qkdctl channel list -o plain | cut -f1 # the names",
		SECTIONS(channel_sections),
	},
	{
		.noun = "channel",
		.verb = "show",
		.argument = ARG_CHANNEL,
		.flags = VERB_WATCH,
		.wire = "channel.show",
		.summary = "everything about one channel",
		.text = "Shows configuration, state and counters of one channel. They count from "
			"when it was added to the kernel.\n\n"
			"A rollover comes each rollover_ms, less up to jitter_ms, and earlier on a "
			"soft limit (soft_bytes, soft_packets) or when the peer has gone ahead. "
			"Some on a soft limit are delayed: two of them are at least 10 ms apart, "
			"and a limit that is reached sooner is too low for the traffic. Exhausted: "
			"so often a rollover was due and no key was ready. At a hard limit "
			"(hard_bytes, hard_packets) a key was given up, next key or not. Blocked: "
			"so often no key was left that may be used; then nothing is sent until one "
			"comes. Queued epochs are MACsec's that wait for an association number.",
		.examples = "qkdctl channel show site-tunnel\n"
			    "qkdctl channel show site-tunnel --json | jq "
			    ".data.channel.limit_rollovers",
		SECTIONS(show_sections),
		.run = run_show,
	},
	{
		.noun = "channel",
		.verb = "add",
		.argument = ARG_FILE,
		.flags = VERB_CHANGES,
		.wire = "channel.add",
		.summary = "adds a channel from a YAML file, kept over restarts",
		.text = "FILE has the fields of one channel as under channels: in the "
			"configuration, without the dash before them; - reads standard input. The "
			"channel is kept in the daemon's store until channel delete. Add it at the "
			"other end too: it starts when both have it.\n\n"
			"With --dry-run the daemon only checks it.",
		.examples = "qkdctl channel add --dry-run lab.yaml # only check\n"
			    "qkdctl channel add lab.yaml\n"
			    "printf 'name: lab\\nlink: alice-bob\\nkind: esp-transport\\n' | "
			    "qkdctl channel add - # says which fields are missing",
		.run = run_add,
	},
	{
		.noun = "channel",
		.verb = "delete",
		.argument = ARG_CHANNEL,
		.flags = VERB_CHANGES | VERB_DANGER,
		.wire = "channel.delete",
		.summary = "takes a channel down here: its SAs and policies go",
		.text = "Removes the channel's SAs and policies from this host's kernel and "
			"forgets "
			"a channel that channel add made. From then on nothing protects its "
			"traffic, which may then flow in the clear if a route allows it: take the "
			"route away first. A channel of the configuration file comes back when the "
			"daemon starts again, unless it is removed there.\n\n"
			"Asks first on a terminal; elsewhere it wants --yes.",
		.examples = "qkdctl channel delete --dry-run lab # what would happen\n"
			    "qkdctl channel delete --yes lab # in a script",
		.run = run_change,
	},
	{
		.noun = "channel",
		.verb = "rollover",
		.argument = ARG_CHANNEL,
		.flags = VERB_CHANGES,
		.wire = "channel.rollover",
		.summary = "switches the outbound SA to the next key now",
		.text = "Moves this end's outbound SA to the next ready epoch without waiting for "
			"rollover_ms. No packet is lost. It fails if no epoch is ready that the "
			"peer holds too; try again when keys have come.",
		.examples = "qkdctl channel rollover site-tunnel",
		.run = run_change,
	},
	{
		.noun = "key",
		.verb = "stats",
		.flags = VERB_WATCH,
		.wire = "key.stats",
		.summary = "how many keys each QKD link has, had, and lost",
		.text = "READY keys are at both ends; PENDING ones are named to the peer and not "
			"confirmed yet; USED ones are gone for good; DISCARDED ones differed "
			"between the ends or were unknown to the peer. AT DEVICE is what our QKD "
			"device says it has stored. Key bytes are never shown, by any command.",
		.examples = "qkdctl key stats --watch # see them come and go",
		SECTIONS(key_sections),
	},
	{
		.noun = "sa",
		.verb = "list",
		.argument = ARG_CHANNEL_OPTIONAL,
		.flags = VERB_WATCH,
		.wire = "sa.list",
		.summary = "the security associations in the kernel, per epoch and direction",
		.text = "One line for each SA of each channel, or of channel NAME. STATE: ready "
			"(built, not in use yet), active, grace (replaced, removed soon), queued "
			"(MACsec: agreed on, installed when its association number is free). SPI "
			"for ESP as in `ip xfrm state`, AN for MACsec as in `ip macsec show`. The "
			"key is named by its ID; its bytes are never shown.",
		.examples = "qkdctl sa list\n"
			    "qkdctl sa list site-tunnel --json | jq -r '.data.sas[].spi'",
		SECTIONS(sa_sections),
	},
	{
		.noun = "event",
		.verb = "follow",
		.flags = VERB_STREAM,
		.wire = "event.follow",
		.summary = "prints what happens, as it happens",
		.text = "Prints one line for each event: installed, activated, retired, low, "
			"exhausted, blocked, failed, peer_moved, added, deleted, and what the KM "
			"adds to them. Ends with Ctrl-C, or when the daemon stops (exit status 3).",
		.examples = "qkdctl event follow\n"
			    "qkdctl event follow --json | jq 'select(.event.type == \"blocked\")'",
		.run = run_follow,
	},
	{
		.noun = "config",
		.verb = "check",
		.argument = ARG_FILE,
		.flags = VERB_LOCAL,
		.summary = "checks a configuration file; needs no daemon",
		.text = "Reads FILE as qkdkeyd would and prints each mistake as FILE:LINE: FIELD: "
			"what is wrong and what would be right. Exit status 0 and silence if it is "
			"good. The files that it names (certificates, keys) are not opened.",
		.examples = "qkdctl config check /etc/qkdkeyd/qkdkeyd.yaml",
		.run = run_check,
	},
};

const size_t verb_count = sizeof(verbs) / sizeof(verbs[0]);

const struct option_text option_texts[] = {
	{"output", 'o', "FORMAT", 0, "table (default), json, jsonl or plain"},
	{"json", 'j', NULL, 0, "the same as -o json"},
	{"watch", 'w', "[SECS]", VERB_WATCH, "look again every SECS seconds (2); Ctrl-C ends it"},
	{"check", 'c', NULL, VERB_CHECK, "one line, exit status 6 if anything is degraded"},
	{"dry-run", 'n', NULL, VERB_CHANGES, "say what would happen, change nothing"},
	{"yes", 'y', NULL, VERB_DANGER, "do not ask"},
	{"socket", 's', "PATH", 0, "the daemon's socket (" DEFAULT_SOCKET ", or $QKDCTL_SOCKET)"},
	{"timeout", 't', "SECS", 0, "how long to wait for the daemon (5)"},
	{"help", 'h', NULL, 0, "this; also after a noun or a verb"},
	{"version", 'V', NULL, 0, "the version"},
};

const size_t option_text_count = sizeof(option_texts) / sizeof(option_texts[0]);

static const char *const nouns[][2] = {
	{"status", "the node at a glance"},
	{"link", "links to peer KMs and QKD devices"},
	{"channel", "protected paths: IPsec tunnels, MACsec ports"},
	{"key", "QKD keys, counted"},
	{"sa", "security associations in the kernel"},
	{"event", "what happens, as it happens"},
	{"config", "the configuration file"},
};

const struct verb *verb_find(const char *noun, const char *verb)
{
	for (size_t i = 0; i < verb_count; i++)
		if (!strcmp(verbs[i].noun, noun) && !strcmp(verbs[i].verb, verb))
			return &verbs[i];
	return NULL;
}

const char *noun_summary(const char *noun)
{
	for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++)
		if (!strcmp(nouns[i][0], noun))
			return nouns[i][1];
	return NULL;
}

bool noun_exists(const char *noun)
{
	return noun_summary(noun) != NULL;
}

void verb_usage(const struct verb *verb, char *text, size_t size)
{
	static const char *const arguments[] = {
		[ARG_NONE] = "",
		[ARG_CHANNEL] = " NAME",
		[ARG_CHANNEL_OPTIONAL] = " [NAME]",
		[ARG_FILE] = " FILE",
	};

	snprintf(text, size, "%s%s%s%s", verb->noun, *verb->verb ? " " : "", verb->verb,
		 arguments[verb->argument]);
}
