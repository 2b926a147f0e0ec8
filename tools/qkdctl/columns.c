// SPDX-License-Identifier: GPL-2.0-or-later
/* Which fields of an answer are shown, and how. Names: docs/admin-protocol.md. */
#include "columns.h"
#include "format.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SIM_COLUMN                                                                                 \
	{                                                                                          \
		"MARK", "simulated", format_simulated, colour_simulated, false                     \
	}

static const struct column status_columns[] = {
	{"Node", "node", NULL, NULL, false},
	{"State", "state", NULL, colour_state, false},
	{"Mark", "mark", format_text, colour_text, false},
	{"Version", "version", NULL, NULL, false},
	{"Running for", "uptime_ms", format_ms, NULL, false},
	{"Backend", "backend", NULL, NULL, false},
	{"Configuration", "config", NULL, NULL, false},
	{"KM links", "summary.km_links", NULL, NULL, false},
	{"QKD links", "summary.qkd_links", NULL, NULL, false},
	{"Channels", "summary.channels", NULL, NULL, false},
	{"Keys ready", "keys_ready", NULL, NULL, false},
	{"Events lost", "events_lost", NULL, NULL, false},
};

static const struct column problem_columns[] = {
	{"OBJECT", "object", NULL, NULL, false},
	{"PROBLEM", "text", NULL, colour_text, false},
};

static const struct column km_columns[] = {
	{"PEER KM", "name", NULL, NULL, false},
	{"STATE", "up", format_up, colour_up, false},
	{"SINCE", "since", format_ago, NULL, false},
	{"ROUND TRIP", "round_trip_us", format_us, NULL, true},
	{"RECONNECTS", "reconnects", NULL, NULL, true},
	{"LAST ERROR", "last_error", format_text, colour_text, false},
};

static const struct column qkd_columns[] = {
	{"QKD LINK", "name", NULL, NULL, false},
	{"PEER KM", "peer", NULL, NULL, false},
	{"ROLE", "role", NULL, NULL, false},
	{"DEVICE", "up", format_up, colour_up, false},
	{"QBER", "qber", format_percent, NULL, true},
	{"SKR", "skr_bps", format_bps, NULL, true},
	{"AT DEVICE", "stored_keys", NULL, NULL, true},
	{"READY", "keys_ready", NULL, NULL, true},
	{"PENDING", "keys_pending", NULL, NULL, true},
	{"USED", "keys_used", NULL, NULL, true},
	SIM_COLUMN,
	{"LAST ERROR", "last_error", format_text, colour_text, false},
};

static const struct column channel_columns[] = {
	{"CHANNEL", "name", NULL, NULL, false},
	{"KIND", "kind", NULL, NULL, false},
	{"LINK", "link", NULL, NULL, false},
	{"STATE", "state", NULL, colour_state, false},
	{"EPOCH", "epoch_out", NULL, NULL, true},
	{"READY", "ready", NULL, NULL, true},
	{"ROLLOVERS", "rollovers", NULL, NULL, true},
	{"LAST ROLLOVER", "last_rollover", format_ago, NULL, true},
	{"WAITS FOR", "waits", format_text, colour_text, false},
	SIM_COLUMN,
	{"LAST ERROR", "last_error", format_text, colour_text, false},
};

static const struct column show_columns[] = {
	{"Channel", "name", NULL, NULL, false},
	{"State", "state", NULL, colour_state, false},
	{"Mark", "mark", format_text, colour_text, false},
	{"Waits for", "waits", format_text, colour_text, false},
	{"Last error", "last_error", format_text, colour_text, false},
	{"Kind", "kind", NULL, NULL, false},
	{"Cipher", "cipher", NULL, NULL, false},
	{"Key input", "combine", NULL, NULL, false},
	{"QKD link", "link", NULL, NULL, false},
	{"Peer KM", "peer", NULL, NULL, false},
	{"Role", "role", NULL, NULL, false},
	{"Configured by", "origin", NULL, NULL, false},
	{"Local", "esp.local", format_text, NULL, false},
	{"Remote", "esp.remote", format_text, NULL, false},
	{"Local networks", "esp.local_nets", format_text, NULL, false},
	{"Remote networks", "esp.remote_nets", format_text, NULL, false},
	{"Request ID", "reqid", format_text, NULL, false},
	{"Device", "macsec.device", format_text, NULL, false},
	{"Peer MAC", "macsec.peer_mac", format_text, NULL, false},
	{"Rollover each", "rollover_ms", format_ms, NULL, false},
	{"Earlier by up to", "jitter_ms", format_ms, NULL, false},
	{"Rollover after octets", "soft_bytes", format_limit_count, NULL, false},
	{"Rollover after packets", "soft_packets", format_limit_count, NULL, false},
	{"Hard limit, octets", "hard_bytes", format_limit_count, NULL, false},
	{"Hard limit, packets", "hard_packets", format_limit_count, NULL, false},
	{"Grace time", "grace_ms", format_ms, NULL, false},
	{"Out of keys", "on_exhausted", NULL, NULL, false},
	{"Hard limit, time", "hard_ms", format_limit, NULL, false},
	{"Lookahead", "lookahead", NULL, NULL, false},
	{"Epoch in use", "epoch_out", NULL, NULL, false},
	{"Inbound epochs", "epochs_in", NULL, NULL, false},
	{"Peer's epochs", "epochs_peer", NULL, NULL, false},
	{"Epochs ready", "ready", NULL, NULL, false},
	{"Epochs queued", "queued", NULL, NULL, false},
	{"Last rollover", "last_rollover", format_ago, NULL, false},
	{"Rollovers", "rollovers", NULL, NULL, false},
	{"On a soft limit", "limit_rollovers", NULL, NULL, false},
	{"Of these delayed", "delayed", NULL, NULL, false},
	{"Longest switch", "activation_max_ns", format_ns, NULL, false},
	{"Installed", "installed", NULL, NULL, false},
	{"Retired", "retired", NULL, NULL, false},
	{"Failed", "failed", NULL, NULL, false},
	{"Exhausted", "exhausted", NULL, NULL, false},
	{"Blocked", "blocked", NULL, NULL, false},
	{"At a hard limit", "hard_expiries", NULL, NULL, false},
	{"Pool hits", "pool_hits", NULL, NULL, false},
	{"Pool misses", "pool_misses", NULL, NULL, false},
	{"Events lost", "events_lost", NULL, NULL, false},
};

static const struct column key_columns[] = {
	{"QKD LINK", "name", NULL, NULL, false},
	{"LEVEL", "level", NULL, colour_state, false},
	{"READY", "keys_ready", NULL, NULL, true},
	{"TARGET", "keys_target", NULL, NULL, true},
	{"LOW", "keys_low", NULL, NULL, true},
	{"PENDING", "keys_pending", NULL, NULL, true},
	{"USED", "keys_used", NULL, NULL, true},
	{"DISCARDED", "keys_discarded", NULL, NULL, true},
	{"AT DEVICE", "stored_keys", NULL, NULL, true},
	{"SKR", "skr_bps", format_bps, NULL, true},
	SIM_COLUMN,
};

static const struct column sa_columns[] = {
	{"CHANNEL", "channel", NULL, NULL, false},
	{"EPOCH", "epoch", NULL, NULL, true},
	{"DIR", "direction", NULL, NULL, false},
	{"STATE", "state", NULL, colour_state, false},
	{"SPI", "spi", NULL, NULL, false},
	{"AN", "an", NULL, NULL, true},
	{"KEY ID", "key_id", NULL, NULL, false},
	{"PACKETS", "packets", NULL, NULL, true},
	{"BYTES", "bytes", format_bytes, NULL, true},
	SIM_COLUMN,
};

const struct section status_sections[] = {
	{"", NULL, NULL, status_columns, COUNT(status_columns), true},
	{"problems", "Problems", "No problems.", problem_columns, COUNT(problem_columns), false},
};

const struct section link_sections[] = {
	{"km_links", "KM links", "No KM links: the configuration names no peers.", km_columns,
	 COUNT(km_columns), false},
	{"qkd_links", "QKD links", "No QKD links: the configuration names no links.", qkd_columns,
	 COUNT(qkd_columns), false},
};

const struct section channel_sections[] = {
	{"channels", NULL, "No channels. Add one: qkdctl channel add --help", channel_columns,
	 COUNT(channel_columns), false},
};

const struct section show_sections[] = {
	{"channel", NULL, NULL, show_columns, COUNT(show_columns), true},
};

const struct section key_sections[] = {
	{"links", NULL, "No QKD links: the configuration names no links.", key_columns,
	 COUNT(key_columns), false},
};

const struct section sa_sections[] = {
	{"sas", NULL, "No SAs: no channel has an epoch installed.", sa_columns, COUNT(sa_columns),
	 false},
};
