// SPDX-License-Identifier: GPL-2.0-or-later
/* When a channel's keys change: times, limits, and what happens without a next key. */
#include "config/config_parts.h"

#include <inttypes.h>

#define DEFAULT_ROLLOVER_MS 60000
#define DEFAULT_GRACE_MS    2000
#define DEFAULT_ESP	    4
#define DEFAULT_MACSEC	    2
#define LOOKAHEAD_MAX	    256

static bool is_given(const struct config_node *node, const char *field)
{
	return config_node_get(node, field) != NULL;
}

/* MACsec has four association numbers: see struct qkd_channel. */
static void check_grace(struct config_channel *channel, const struct config_node *node,
			struct config_reports *reports)
{
	bool macsec = channel->kind == QKD_KIND_MACSEC;

	if (!is_given(node, "grace_ms")) {
		channel->grace_ms = DEFAULT_GRACE_MS;
		if (macsec && channel->grace_ms > channel->rollover_ms / 2)
			channel->grace_ms = channel->rollover_ms / 2;
		if (channel->grace_ms < 100)
			channel->grace_ms = 100;
	}
	if (config_check_range(channel->grace_ms, 100, 60000, "ms", node, "grace_ms", reports) &&
	    macsec && channel->grace_ms >= channel->rollover_ms)
		config_report(reports, node, "grace_ms",
			      "%" PRIu32 " ms must be below rollover_ms (%" PRIu32
			      ") for kind macsec, which has only four association numbers",
			      channel->grace_ms, channel->rollover_ms);
}

static void check_jitter(const struct config_channel *channel, const struct config_node *node,
			 struct config_reports *reports)
{
	if (channel->jitter_ms > channel->rollover_ms / 2)
		config_report(reports, node, "jitter_ms",
			      "%" PRIu32 " ms may be at most half of rollover_ms, %" PRIu32
			      "; write less, or a longer rollover_ms",
			      channel->jitter_ms, channel->rollover_ms / 2);
}

static void check_times(struct config_channel *channel, const struct config_node *node,
			struct config_reports *reports)
{
	if (!is_given(node, "rollover_ms"))
		channel->rollover_ms = DEFAULT_ROLLOVER_MS;
	if (!config_check_range(channel->rollover_ms, 100, 86400000, "ms", node, "rollover_ms",
				reports))
		return;
	check_grace(channel, node, reports);
	check_jitter(channel, node, reports);
}

static void check_lookahead(struct config_channel *channel, const struct config_node *node,
			    struct config_reports *reports)
{
	if (!is_given(node, "lookahead"))
		channel->lookahead =
			channel->kind == QKD_KIND_MACSEC ? DEFAULT_MACSEC : DEFAULT_ESP;
	config_check_range(channel->lookahead, 1, LOOKAHEAD_MAX, "epochs", node, "lookahead",
			   reports);
}

/* A pair of limits: the hard one stands behind the soft one, as kmod/record.c demands. */
struct limits {
	uint64_t soft;
	uint64_t hard;
	uint64_t least;
	const char *soft_field;
	const char *hard_field;
	const char *unit;
};

static void check_limits(const struct limits *l, const struct config_node *node,
			 struct config_reports *reports)
{
	if (l->soft && l->soft < l->least)
		config_report(reports, node, l->soft_field,
			      "%" PRIu64 " is too little; it must be at least %" PRIu64
			      " %s, or 0 for no limit",
			      l->soft, l->least, l->unit);
	else if (l->hard && !l->soft)
		config_report(reports, node, l->hard_field,
			      "needs %s, which brings the next key before this limit stops the "
			      "traffic; give both, or none",
			      l->soft_field);
	else if (l->hard && l->hard <= l->soft)
		config_report(reports, node, l->hard_field,
			      "%" PRIu64 " must be above %s, which is %" PRIu64
			      ": leave room for what is sent until the next key is in use",
			      l->hard, l->soft_field, l->soft);
}

static void check_exhausted(const struct config_channel *channel, const struct config_node *node,
			    struct config_reports *reports)
{
	if (!channel->on_exhausted)
		config_report(reports, node, "on_exhausted",
			      "is missing; it is your choice what happens when keys run out: hold "
			      "(keep the last key, see hard_ms) or block (send nothing)");
	else if (channel->on_exhausted == QKD_EXHAUSTED_BLOCK && channel->hard_ms)
		config_report(reports, node, "hard_ms",
			      "has no meaning with on_exhausted: block; remove it, or write hold");
}

void config_check_rollover(struct config_channel *channel, const struct config_node *node,
			   struct config_reports *reports)
{
	const struct limits bytes = {
		.soft = channel->soft_bytes,
		.hard = channel->hard_bytes,
		.least = QKD_SOFT_BYTES_MIN,
		.soft_field = "soft_bytes",
		.hard_field = "hard_bytes",
		.unit = "octets",
	};
	const struct limits packets = {
		.soft = channel->soft_packets,
		.hard = channel->hard_packets,
		.least = QKD_SOFT_PACKETS_MIN,
		.soft_field = "soft_packets",
		.hard_field = "hard_packets",
		.unit = "packets",
	};

	check_times(channel, node, reports);
	check_limits(&bytes, node, reports);
	check_limits(&packets, node, reports);
	check_lookahead(channel, node, reports);
	check_exhausted(channel, node, reports);
}
