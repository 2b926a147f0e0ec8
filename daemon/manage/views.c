// SPDX-License-Identifier: GPL-2.0-or-later
/* The node as JSON: status, links, keys, events. Fields: docs/admin-protocol.md. */
#include "km/kx.h"
#include "km/pool.h"
#include "manage/admin_parts.h"
#include "quantum/source.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t view_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

json_t *view_time(uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	char text[40];
	char whole[56];
	struct tm tm;

	if (!ns || !gmtime_r(&seconds, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
		return json_null();
	snprintf(whole, sizeof(whole), "%s.%03uZ", text, (unsigned int)(ns / 1000000 % 1000));
	return json_string(whole);
}

/* Loop time (CLOCK_BOOTTIME) as RFC 3339. */
static json_t *loop_time(struct node *node, uint64_t at_ms)
{
	uint64_t now = loop_now_ms(node->loop);
	uint64_t ago = now > at_ms ? now - at_ms : 0;

	return at_ms ? view_time(view_now_ns() - ago * 1000000) : json_null();
}

/* What others told us (an error of a device, say) may not be UTF-8. */
static json_t *safe_text(const char *text)
{
	json_t *string = text ? json_string(text) : json_null();
	char ascii[256];
	size_t i;

	if (string)
		return string;
	for (i = 0; i < sizeof(ascii) - 1 && text[i]; i++)
		ascii[i] = (unsigned char)text[i] < 0x20 || (unsigned char)text[i] > 0x7e ? '?'
											  : text[i];
	ascii[i] = '\0';
	return json_string(ascii);
}

static json_t *or_null(bool told, double value)
{
	return told ? json_real(value) : json_null();
}

/* -------- links -------- */

static json_t *view_km_link(struct node *node, const struct config_peer *peer)
{
	const struct kx_peer *link = kx_find(node->kx, peer->name);
	struct kx_peer_status status = {.name = peer->name, .last_error = ""};

	if (link)
		kx_peer_status(link, &status);
	return json_pack("{s:s, s:s?, s:i, s:b, s:o, s:I, s:o, s:o}", "name", peer->name, "address",
			 peer->address, "port", (int)peer->port, "up", status.up, "since",
			 loop_time(node, status.since_ms), "reconnects",
			 (json_int_t)status.reconnects, "round_trip_us",
			 status.round_trip_us ? json_integer(status.round_trip_us) : json_null(),
			 "last_error", safe_text(status.last_error));
}

static const char *level_of(const struct config_link *link, const struct pool_status *pool)
{
	if (!pool->ready)
		return "empty";
	return pool->ready < link->keys_low ? "low" : "ok";
}

static void get_link(struct node *node, unsigned int i, struct pool_status *pool,
		     struct source_status *source)
{
	memset(pool, 0, sizeof(*pool));
	memset(source, 0, sizeof(*source));
	source->qber = -1;
	source->skr_bps = -1;
	if (node->pools && node->pools[i])
		pool_status(node->pools[i], pool);
	if (node->sources && node->sources[i])
		*source = *source_status(node->sources[i]);
}

static json_t *view_qkd_link(struct node *node, unsigned int i)
{
	const struct config_link *link = &node->config->links[i];
	struct source_status source;
	struct pool_status pool;

	get_link(node, i, &pool, &source);
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:I, s:I, s:s, s:I, s:I, s:I, "
		"s:I, s:I, s:I, s:o, s:i}",
		"name", link->name, "peer", link->peer, "role",
		link->role == CONFIG_INITIATOR ? "initiator" : "responder", "url", link->source.url,
		"up", source.reachable, "simulated", source.simulated || pool.simulated, "qber",
		or_null(source.qber >= 0, source.qber), "skr_bps",
		or_null(source.skr_bps >= 0, source.skr_bps), "stored_keys",
		(json_int_t)source.stored_keys, "key_bits", (json_int_t)source.key_bits, "level",
		level_of(link, &pool), "keys_ready", (json_int_t)pool.ready, "keys_pending",
		(json_int_t)pool.pending, "keys_used", (json_int_t)pool.used, "keys_discarded",
		(json_int_t)pool.discarded, "keys_target", (json_int_t)link->keys_target,
		"keys_low", (json_int_t)link->keys_low, "last_error",
		safe_text(source.last_error_text), "error", source.last_error);
}

static json_t *all_km_links(struct node *node)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < node->config->peers_count; i++)
		json_array_append_new(list, view_km_link(node, &node->config->peers[i]));
	return list;
}

static json_t *all_qkd_links(struct node *node)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < node->config->links_count; i++)
		json_array_append_new(list, view_qkd_link(node, i));
	return list;
}

json_t *view_links(struct node *node)
{
	return json_pack("{s:o, s:o}", "km_links", all_km_links(node), "qkd_links",
			 all_qkd_links(node));
}

json_t *view_keys(struct node *node)
{
	return json_pack("{s:o}", "links", all_qkd_links(node));
}

/* -------- status -------- */

/** struct summary - @states: by enum qkd_channel_state, 0: not in the kernel */
struct summary {
	struct node *node;
	json_t *problems;
	unsigned int channels;
	unsigned int states[QKD_CHANNEL_BLOCKED + 1];
	uint64_t events_lost;
	bool simulated;
};

__attribute__((format(printf, 4, 5))) static void
add_problem(struct summary *sum, const char *kind, const char *object, const char *fmt, ...)
{
	char name[64];
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(name, sizeof(name), "%s %s", kind, object);
	json_array_append_new(sum->problems,
			      json_pack("{s:s, s:o}", "object", name, "text", safe_text(text)));
}

static void look_at_km_links(struct summary *sum, unsigned int *up)
{
	const struct config *config = sum->node->config;

	*up = 0;
	for (unsigned int i = 0; i < config->peers_count; i++) {
		const struct kx_peer *peer = kx_find(sum->node->kx, config->peers[i].name);
		struct kx_peer_status status = {.last_error = ""};

		if (peer)
			kx_peer_status(peer, &status);
		*up += status.up;
		if (!status.up)
			add_problem(sum, "km_link", config->peers[i].name, "is down%s%s",
				    *status.last_error ? ": " : "", status.last_error);
	}
}

static void look_at_qkd_link(struct summary *sum, unsigned int i, unsigned int *up, uint64_t *ready)
{
	const struct config_link *link = &sum->node->config->links[i];
	struct source_status source;
	struct pool_status pool;

	get_link(sum->node, i, &pool, &source);
	*up += source.reachable;
	*ready += pool.ready;
	sum->simulated = sum->simulated || source.simulated || pool.simulated;
	if (!source.reachable)
		add_problem(sum, "qkd_link", link->name, "the QKD device does not answer%s%s",
			    *source.last_error_text ? ": " : "", source.last_error_text);
	if (pool.problem && *pool.problem)
		add_problem(sum, "qkd_link", link->name, "%s", pool.problem);
	if (pool.ready < link->keys_low || !pool.ready)
		add_problem(sum, "qkd_link", link->name,
			    "%" PRIu64 " keys are ready, below keys_low (%" PRIu32 ")", pool.ready,
			    link->keys_low);
}

static const char *waits_sentence(enum channel_waits waits)
{
	switch (waits) {
	case CHANNEL_WAITS_KM_LINK:
		return "; the peer KM cannot be reached";
	case CHANNEL_WAITS_KEYS:
		return "; no key is ready";
	case CHANNEL_WAITS_PEER:
		return "; the peer has no matching channel";
	case CHANNEL_WAITS_BACKEND:
		return "; the kernel refuses it";
	default:
		return "";
	}
}

static void look_at_channel(const struct channel_view *view, void *arg)
{
	struct summary *sum = arg;
	const char *error = view->last_error ? view->last_error : "";

	if (view->orphaned) {
		add_problem(sum, "channel", view->config->name, "is orphaned: %s", error);
		return;
	}
	sum->channels++;
	if (view->state < sizeof(sum->states) / sizeof(sum->states[0]))
		sum->states[view->state]++;
	sum->simulated = sum->simulated || view_simulated(sum->node, view);
	if (view->events_lost > sum->events_lost)
		sum->events_lost = view->events_lost;
	if (view->state != QKD_CHANNEL_ACTIVE)
		add_problem(sum, "channel", view->config->name, "is %s%s%s%s", view_state(view),
			    waits_sentence(view->waits), *error ? ": " : "", error);
	else if (view->waits == CHANNEL_WAITS_PEER || view->waits == CHANNEL_WAITS_BACKEND)
		add_problem(sum, "channel", view->config->name, "gets no new keys%s%s%s",
			    waits_sentence(view->waits), *error ? ": " : "", error);
}

/* Netlink where nobody asked for it: keys are in each dump of the kernel's SAs. */
static void look_at_backend(struct summary *sum, const char *backend)
{
	if (backend && sum->node->config->backend == CONFIG_BACKEND_AUTO &&
	    !strcmp(backend, "netlink"))
		add_problem(sum, "backend", backend,
			    "the module is not there: `ip xfrm state` shows keys, and no rollover "
			    "happens while qkdkeyd is away; load qkd.ko, or say backend: netlink");
}

static void counted(char *text, size_t size, unsigned int part, unsigned int whole,
		    const char *word)
{
	if (!whole)
		snprintf(text, size, "none");
	else
		snprintf(text, size, "%u of %u %s", part, whole, word);
}

static json_t *pack_status(struct summary *sum, unsigned int km_up, unsigned int qkd_up,
			   uint64_t ready)
{
	struct node *node = sum->node;
	const struct backend *backend = node->channels ? channels_backend(node->channels) : NULL;
	bool degraded = json_array_size(sum->problems) > 0;
	char km[48], qkd[48], channels[48];

	counted(km, sizeof(km), km_up, node->config->peers_count, "up");
	counted(qkd, sizeof(qkd), qkd_up, node->config->links_count, "up");
	counted(channels, sizeof(channels), sum->states[QKD_CHANNEL_ACTIVE], sum->channels,
		"active");
	return json_pack(
		"{s:s, s:s, s:s, s:i, s:o, s:I, s:o, s:s?, s:b, s:b, s:s?, s:I, s:I,"
		" s:{s:s, s:s, s:s}, s:{s:i, s:i}, s:{s:i, s:i},"
		" s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:O}",
		"node", node->config->node, "version", NODE_VERSION, "state",
		degraded ? "degraded" : "ok", "pid", (int)getpid(), "started",
		view_time(node->started_ns), "uptime_ms",
		(json_int_t)((view_now_ns() - node->started_ns) / 1000000), "config",
		safe_text(node->config_path), "backend", backend ? backend_name(backend) : NULL,
		"degraded", degraded, "simulated", sum->simulated, "mark",
		sum->simulated ? "SIM (simulated keys)" : NULL, "keys_ready", (json_int_t)ready,
		"events_lost", (json_int_t)sum->events_lost, "summary", "km_links", km, "qkd_links",
		qkd, "channels", channels, "km_links", "total", (int)node->config->peers_count,
		"up", (int)km_up, "qkd_links", "total", (int)node->config->links_count, "up",
		(int)qkd_up, "channels", "total", (int)sum->channels, "idle",
		(int)sum->states[QKD_CHANNEL_IDLE], "active", (int)sum->states[QKD_CHANNEL_ACTIVE],
		"overdue", (int)sum->states[QKD_CHANNEL_OVERDUE], "blocked",
		(int)sum->states[QKD_CHANNEL_BLOCKED], "absent", (int)sum->states[0], "problems",
		sum->problems);
}

json_t *view_status(struct node *node)
{
	struct summary sum = {.node = node, .problems = json_array()};
	unsigned int km_up;
	unsigned int qkd_up = 0;
	uint64_t ready = 0;
	json_t *status;

	if (node->channels && channels_backend(node->channels))
		look_at_backend(&sum, backend_name(channels_backend(node->channels)));
	look_at_km_links(&sum, &km_up);
	for (unsigned int i = 0; i < node->config->links_count; i++)
		look_at_qkd_link(&sum, i, &qkd_up, &ready);
	if (node->channels)
		channels_visit(node->channels, look_at_channel, &sum);
	status = pack_status(&sum, km_up, qkd_up, ready);
	json_decref(sum.problems);
	return status;
}

/* -------- events -------- */

json_t *view_event(struct node *node, const struct channel_event *event)
{
	struct channel_view view;
	bool simulated = node->channels && event->channel &&
			 channels_view(node->channels, event->channel, &view) &&
			 view_simulated(node, &view);

	return json_pack("{s:s, s:{s:o, s:s?, s:s, s:o, s:o, s:b}}", "schema", ADMIN_SCHEMA,
			 "event", "time", view_time(event->time_ns), "channel", event->channel,
			 "type", event->type, "epoch",
			 event->epoch == QKD_EPOCH_NONE ? json_null()
							: json_integer((json_int_t)event->epoch),
			 "text", safe_text(event->text ? event->text : ""), "simulated", simulated);
}
