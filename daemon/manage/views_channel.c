// SPDX-License-Identifier: GPL-2.0-or-later
/* Channels and SAs as JSON. Fields: docs/admin-protocol.md. */
#include "km/key.h"
#include "km/pool.h"
#include "manage/admin_parts.h"
#include "quantum/source.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *view_state(const struct channel_view *view)
{
	if (view->orphaned)
		return "orphaned";
	switch (view->state) {
	case QKD_CHANNEL_IDLE:
		return "idle";
	case QKD_CHANNEL_ACTIVE:
		return "active";
	case QKD_CHANNEL_OVERDUE:
		return "overdue";
	case QKD_CHANNEL_BLOCKED:
		return "blocked";
	default:
		return "absent";
	}
}

/* The link's source speaks for the keys that the kernel holds: it cannot say itself. */
bool view_simulated(struct node *node, const struct channel_view *view)
{
	if (view->simulated)
		return true;
	for (unsigned int i = 0; i < node->config->links_count; i++) {
		struct pool_status pool = {0};

		if (strcmp(node->config->links[i].name, view->config->link))
			continue;
		if (node->pools && node->pools[i])
			pool_status(node->pools[i], &pool);
		return pool.simulated || (node->sources && node->sources[i] &&
					  source_status(node->sources[i])->simulated);
	}
	return false;
}

static const char *waits_word(enum channel_waits waits)
{
	switch (waits) {
	case CHANNEL_WAITS_KM_LINK:
		return "km_link";
	case CHANNEL_WAITS_KEYS:
		return "keys";
	case CHANNEL_WAITS_PEER:
		return "peer";
	case CHANNEL_WAITS_BACKEND:
		return "backend";
	default:
		return "";
	}
}

static json_t *epoch_or_null(uint64_t epoch)
{
	return epoch == QKD_EPOCH_NONE ? json_null() : json_integer((json_int_t)epoch);
}

static json_t *range(uint64_t first, uint64_t last)
{
	char text[48];

	if (first == QKD_EPOCH_NONE || last == QKD_EPOCH_NONE)
		return json_null();
	snprintf(text, sizeof(text), "%" PRIu64 "-%" PRIu64, first, last);
	return json_string(text);
}

static json_t *texts(char *const *list, unsigned int count)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

static json_t *view_esp(const struct config_esp *esp)
{
	char mark[16], mask[16];

	snprintf(mark, sizeof(mark), "0x%" PRIx32, esp->mark);
	snprintf(mask, sizeof(mask), "0x%" PRIx32, esp->mark_mask);
	return json_pack("{s:s, s:s, s:o, s:o, s:b, s:I, s:I, s:s, s:s}", "local", esp->local,
			 "remote", esp->remote, "local_nets",
			 texts(esp->local_nets, esp->local_nets_count), "remote_nets",
			 texts(esp->remote_nets, esp->remote_nets_count), "esn", esp->esn,
			 "replay_window", (json_int_t)esp->replay_window, "if_id",
			 (json_int_t)esp->if_id, "mark", mark, "mark_mask", mask);
}

static json_t *view_macsec(const struct config_macsec *macsec)
{
	return json_pack("{s:s, s:s?, s:s, s:i, s:i, s:I}", "device", macsec->device, "parent",
			 macsec->parent, "peer_mac", macsec->peer_mac, "port", (int)macsec->port,
			 "peer_port", (int)macsec->peer_port, "replay_window",
			 (json_int_t)macsec->replay_window);
}

static const char *view_role(const struct channel_view *view)
{
	if (view->orphaned)
		return "";
	return view->initiator ? "initiator" : "responder";
}

static const char *view_origin(const struct channel_view *view)
{
	if (view->orphaned)
		return "";
	return view->from_file ? "file" : "qkdctl";
}

static json_t *view_identity(struct node *node, const struct channel_view *view)
{
	const struct config_channel *config = view->config;
	bool simulated = view_simulated(node, view);

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s?, s:s, s:s, s:s, s:s, s:b, s:s?, s:I, s:o, s:o}",
		"name", config->name, "kind", config_kind_name(config->kind), "cipher",
		config_cipher_name(config->cipher), "combine",
		config->combine == CONFIG_COMBINE_QKD ? "qkd" : "qkd+tls", "link", config->link,
		"peer", view->peer, "role", view_role(view), "origin", view_origin(view), "state",
		view_state(view), "waits", waits_word(view->waits), "simulated", simulated, "mark",
		simulated ? "SIM (simulated keys)" : NULL, "id", (json_int_t)view->id, "reqid",
		view->reqid ? json_integer(view->reqid) : json_null(), "last_error",
		json_string(view->last_error ? view->last_error : ""));
}

static json_t *view_counters(const struct channel_view *view)
{
	static const struct qkd_counters none = {
		.out_epoch = QKD_EPOCH_NONE,
		.in_first = QKD_EPOCH_NONE,
		.in_last = QKD_EPOCH_NONE,
		.peer_first = QKD_EPOCH_NONE,
		.peer_last = QKD_EPOCH_NONE,
	};
	const struct qkd_counters *c = view->counters && view->state ? view->counters : &none;

	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:o}",
		"epoch_out", epoch_or_null(c->out_epoch), "epoch_in_first",
		epoch_or_null(c->in_first), "epoch_in_last", epoch_or_null(c->in_last), "epochs_in",
		range(c->in_first, c->in_last), "epoch_peer_first", epoch_or_null(c->peer_first),
		"epoch_peer_last", epoch_or_null(c->peer_last), "epochs_peer",
		range(c->peer_first, c->peer_last), "ready", (json_int_t)c->ready, "rollovers",
		(json_int_t)c->rollovers, "installed", (json_int_t)c->installed, "retired",
		(json_int_t)c->retired, "failed", (json_int_t)c->failed, "exhausted",
		(json_int_t)c->exhausted, "blocked", (json_int_t)c->blocked, "last_rollover",
		view_time(view->time_last_rollover_ns));
}

/* What happened on limits of octets and packets, and how quickly. */
static json_t *view_more_counters(const struct channel_view *view)
{
	static const struct qkd_counters none;
	const struct qkd_counters *c = view->counters && view->state ? view->counters : &none;

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "queued",
			 (json_int_t)c->queued, "limit_rollovers", (json_int_t)c->limit_rollovers,
			 "delayed", (json_int_t)c->delayed, "hard_expiries",
			 (json_int_t)c->hard_expiries, "pool_hits", (json_int_t)c->pool_hits,
			 "pool_misses", (json_int_t)c->pool_misses, "activation_max_ns",
			 (json_int_t)c->activation_max_ns, "events_lost",
			 (json_int_t)view->events_lost);
}

static json_t *view_limits(const struct config_channel *config)
{
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "rollover_ms",
		(json_int_t)config->rollover_ms, "jitter_ms", (json_int_t)config->jitter_ms,
		"grace_ms", (json_int_t)config->grace_ms, "hard_ms", (json_int_t)config->hard_ms,
		"soft_bytes", (json_int_t)config->soft_bytes, "soft_packets",
		(json_int_t)config->soft_packets, "hard_bytes", (json_int_t)config->hard_bytes,
		"hard_packets", (json_int_t)config->hard_packets, "lookahead",
		(json_int_t)config->lookahead, "on_exhausted",
		config_exhausted_name(config->on_exhausted));
}

static bool merge(json_t *into, json_t *part)
{
	bool good = part && !json_object_update(into, part);

	json_decref(part);
	return good;
}

json_t *view_channel(struct node *node, const struct channel_view *view, bool whole)
{
	json_t *channel = view_identity(node, view);

	if (!channel || !merge(channel, view_counters(view)) ||
	    !merge(channel, view_more_counters(view)) || !merge(channel, view_limits(view->config)))
		goto fail;
	if (whole && view->config->esp &&
	    json_object_set_new(channel, "esp", view_esp(view->config->esp)))
		goto fail;
	if (whole && view->config->macsec &&
	    json_object_set_new(channel, "macsec", view_macsec(view->config->macsec)))
		goto fail;
	return channel;
fail:
	json_decref(channel);
	return NULL;
}

static const char *sa_state(uint8_t state)
{
	switch (state) {
	case QKD_SA_READY:
		return "ready";
	case QKD_SA_ACTIVE:
		return "active";
	case QKD_SA_GRACE:
		return "grace";
	case QKD_SA_QUEUED:
		return "queued";
	default:
		return NULL;
	}
}

static json_t *spi_text(uint32_t spi)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%08" PRIx32, ntohl(spi));
	return json_string(text);
}

/* MACsec: of what the device sent, where the backend counts it. */
static json_t *traffic(uint64_t value, bool macsec)
{
	return macsec && !value ? json_null() : json_integer((json_int_t)value);
}

json_t *view_sa(struct node *node, const struct channel_view *view, const struct qkd_epoch *epoch,
		bool outbound)
{
	bool macsec = view->config->kind == QKD_KIND_MACSEC;
	const char *state = sa_state(outbound ? epoch->out : epoch->in);
	struct km_key_id id;
	char key_id[KM_KEY_ID_TEXT];
	uint64_t packets = outbound ? epoch->packets_out : epoch->packets_in;
	uint64_t bytes = outbound ? epoch->bytes_out : epoch->bytes_in;

	if (!state)
		return json_null();
	memcpy(id.octet, epoch->key_id, sizeof(id.octet));
	km_key_id_format(&id, key_id);
	return json_pack("{s:s, s:I, s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:b}", "channel",
			 view->config->name, "epoch", (json_int_t)epoch->epoch, "direction",
			 outbound ? "out" : "in", "state", state, "kind",
			 config_kind_name(view->config->kind), "spi",
			 macsec ? json_null() : spi_text(outbound ? epoch->spi_out : epoch->spi_in),
			 "an", macsec ? json_integer(epoch->an) : json_null(), "key_id", key_id,
			 "packets", traffic(packets, macsec), "bytes", traffic(bytes, macsec),
			 "simulated", view_simulated(node, view));
}
