// SPDX-License-Identifier: GPL-2.0-or-later
/* What a channel hears and shows: counters, events, Kx frames, views; see channel.h. */
#include "unp/channel.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* -------- counters -------- */

/*
 * The kernel says with the next event that some were lost. If there is none for
 * long, this says it.
 */
static void look_for_lost(struct channel_env *env, uint64_t all)
{
	uint64_t known = env->lost_before + env->events_lost;

	if (env->lost_before == UINT64_MAX || all < known)
		env->lost_before = all - env->events_lost; /* of before; another backend */
	else if (all > known)
		env->lost(env->list, all - known);
}

static void counted(void *arg, int err, const void *record)
{
	struct channel *c = arg;
	const struct qkd_counters *counters = record;

	c->counting = false;
	if (!err && !counters->status) {
		c->counters = *counters;
		if (!c->gone)
			look_for_lost(c->env, counters->events_lost);
	}
	channel_put(c);
}

void channel_count(struct channel *c)
{
	struct qkd_counters ask = {.channel = c->record.id};

	if (c->phase != CHANNEL_STANDS || c->counting || !c->env->backend)
		return;
	c->counting = true;
	channel_hold(c);
	if (backend_submit(c->env->backend, QKD_CMD_COUNTERS, &ask, counted, c)) {
		c->counting = false;
		channel_put(c);
	}
}

/* -------- events -------- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void emit_at(struct channel *c, uint64_t time_ns, const char *type, uint64_t epoch,
		    const char *text)
{
	struct channel_event event = {
		.time_ns = time_ns,
		.channel = c->config->name,
		.type = type,
		.epoch = epoch,
		.text = text ? text : "",
	};

	if (c->env->event)
		c->env->event(&event, c->env->event_arg);
}

void channel_emit(struct channel *c, const char *type, uint64_t epoch, const char *text)
{
	emit_at(c, now_ns(), type, epoch, text);
}

static void emit_backend_event(struct channel *c, const struct qkd_event *e)
{
	static const char *const type[] = {
		[QKD_EVENT_INSTALLED] = "installed", [QKD_EVENT_ACTIVATED] = "activated",
		[QKD_EVENT_RETIRED] = "retired",     [QKD_EVENT_LOW] = "low",
		[QKD_EVENT_EXHAUSTED] = "exhausted", [QKD_EVENT_BLOCKED] = "blocked",
		[QKD_EVENT_FAILED] = "failed",	     [QKD_EVENT_PEER_MOVED] = "peer_moved",
		[QKD_EVENT_ADDED] = "added",	     [QKD_EVENT_DELETED] = "deleted",
	};
	char text[96] = "";

	if (e->type >= sizeof(type) / sizeof(type[0]) || !type[e->type])
		return;
	if (e->type == QKD_EVENT_LOW)
		snprintf(text, sizeof(text), "epochs ahead: %llu", (unsigned long long)e->value);
	else if (e->type == QKD_EVENT_EXHAUSTED)
		snprintf(text, sizeof(text), "a rollover is due and no epoch is ready");
	else if (e->type == QKD_EVENT_BLOCKED)
		snprintf(text, sizeof(text), "no key is left that may be used: nothing is sent");
	else if (e->error)
		snprintf(text, sizeof(text), "%s", strerror(-e->error));
	emit_at(c, e->time_ns, type[e->type], e->epoch, text);
}

static void follow_state(struct channel *c, const struct qkd_event *e)
{
	if (e->type == QKD_EVENT_ACTIVATED)
		c->state = QKD_CHANNEL_ACTIVE;
	else if (e->type == QKD_EVENT_EXHAUSTED)
		c->state = QKD_CHANNEL_OVERDUE;
	else if (e->type == QKD_EVENT_BLOCKED)
		c->state = QKD_CHANNEL_BLOCKED;
}

void channel_backend_event(struct channel *c, const struct qkd_event *event)
{
	bool switched = event->type == QKD_EVENT_ACTIVATED;

	emit_backend_event(c, event);
	if (c->phase != CHANNEL_STANDS || !c->agree)
		return;
	follow_state(c, event);
	agree_backend_event(c->agree, event);
	if (switched)
		channel_count(c);
}

void channel_events_lost(struct channel *c)
{
	if (c->phase != CHANNEL_STANDS || !c->agree)
		return;
	agree_resync(c->agree);
	channel_count(c);
}

void channel_listed(struct channel *c, const struct qkd_channel *standing)
{
	if (c->phase == CHANNEL_STANDS && c->agree &&
	    !strncmp(standing->name, c->record.name, sizeof(standing->name)))
		c->state = standing->state;
}

/* -------- frames -------- */

int channel_frame(struct channel *c, const struct kx_frame *frame)
{
	struct kx_frame answer = {.type = KX_EPOCH_ANSWER};

	if (c->agree)
		return agree_frame(c->agree, frame);
	/* Not in the kernel yet: our state will say when. */
	if (frame->type != KX_EPOCH_OFFER)
		return 0;
	memcpy(answer.answer.channel, frame->offer.channel, sizeof(answer.answer.channel));
	answer.answer.epoch = frame->offer.epoch;
	answer.answer.status = KX_BUSY;
	kx_send(c->peer, &answer);
	return 0;
}

/* -------- views -------- */

/* By this daemon, or by all that were to read them. */
static uint64_t events_lost(const struct channel *c)
{
	uint64_t ours = c->env->events_lost, all = c->counters.events_lost;

	return ours > all ? ours : all;
}

void channel_fill_view(const struct channel *c, struct channel_view *view)
{
	struct agree_status status = {.waits = CHANNEL_WAITS_BACKEND, .error = c->error};
	struct pool_status pool = {0};

	if (c->agree)
		agree_status(c->agree, &status);
	pool_status(c->pool, &pool);
	*view = (struct channel_view){
		.config = c->config,
		.peer = c->link->peer,
		.initiator = c->link->role == CONFIG_INITIATOR,
		.from_file = c->from_file,
		.simulated =
			c->agree && agree_simulated(c->agree, c->found_known ? c->found_simulated
									     : pool.simulated),
		.state = c->state,
		.waits = status.waits,
		.id = c->record.id,
		.reqid = c->record.reqid,
		.peer_settled = status.peer_settled,
		.time_last_rollover_ns = c->counters.last_rollover_ns,
		.counters = &c->counters,
		.events_lost = events_lost(c),
		.last_error = c->error[0] ? c->error : status.error,
	};
}
