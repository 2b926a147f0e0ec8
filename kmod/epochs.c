// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a channel's epochs; see epochs.h. */
#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <string.h>
#endif
#include "epochs.h"
#include "record.h"
#include "spi.h"

struct qkd_epochs_config qkd_epochs_config_of(const struct qkd_channel *r)
{
	return (struct qkd_epochs_config){
		.lookahead = r->lookahead,
		.rollover_ms = r->rollover_ms,
		.jitter_ms = r->jitter_ms,
		.grace_ms = r->grace_ms,
		.hard_ms = r->hard_ms,
		.on_exhausted = r->on_exhausted,
		.an_count = r->kind == QKD_KIND_MACSEC ? QKD_MACSEC_ANS : 0,
	};
}

static u32 load_le32(const u8 *p)
{
	return (u32)p[3] << 24 | (u32)p[2] << 16 | (u32)p[1] << 8 | p[0];
}

u32 qkd_epochs_random(const struct qkd_key *key)
{
	return load_le32(key->key_id) ^ load_le32(key->key_id + 12);
}

bool qkd_epochs_stands(u8 state)
{
	return state != QKD_SA_NONE && state != QKD_SA_QUEUED;
}

static struct qkd_epoch_slot *find(const struct qkd_epochs *e, u64 epoch)
{
	u32 i;

	for (i = 0; i < e->count; i++)
		if (e->slot[i].epoch == epoch)
			return &e->slot[i];
	return NULL;
}

/* The next epoch to encrypt with: ready here, standing at the peer. */
static struct qkd_epoch_slot *candidate(const struct qkd_epochs *e)
{
	u32 i;

	if (e->peer_first == QKD_EPOCH_NONE)
		return NULL;
	for (i = 0; i < e->count; i++) {
		struct qkd_epoch_slot *s = &e->slot[i];

		if (s->out == QKD_SA_READY && s->epoch >= e->peer_first && s->epoch <= e->peer_last)
			return s;
	}
	return NULL;
}

/* The peer no longer holds what is in use here: it rebooted. */
static bool peer_lost_ours(const struct qkd_epochs *e)
{
	return e->out != QKD_EPOCH_NONE && e->peer_first != QKD_EPOCH_NONE &&
	       e->out < e->peer_first;
}

/* Whether a switch waits for an epoch alone, not for a time. */
static bool switch_wanted(const struct qkd_epochs *e)
{
	return e->state != QKD_CHANNEL_ACTIVE || e->forced || peer_lost_ours(e);
}

static u64 earlier(u64 a, u64 b)
{
	return a < b ? a : b;
}

static void retire_in(struct qkd_epochs *e, struct qkd_epoch_slot *s, u64 until)
{
	if (s->in == QKD_SA_ACTIVE || (s->in == QKD_SA_GRACE && s->in_until > until)) {
		s->in = QKD_SA_GRACE;
		s->in_until = until;
		e->removal = earlier(e->removal, until);
	}
}

static void retire_out(struct qkd_epochs *e, struct qkd_epoch_slot *s, u64 until)
{
	s->out = QKD_SA_GRACE;
	s->out_until = until;
	e->removal = earlier(e->removal, until);
}

/* Nothing was installed of it: it is only to be forgotten. */
static void leave_queue(struct qkd_epochs *e, struct qkd_epoch_slot *s)
{
	s->in = QKD_SA_NONE;
	s->out = QKD_SA_NONE;
	e->removal = 0;
	e->unusable = true;
}

static bool peer_dropped(const struct qkd_epochs *e, u64 epoch)
{
	return e->peer_first != QKD_EPOCH_NONE && epoch < e->peer_first;
}

static bool is_passed(const struct qkd_epochs *e, u64 epoch)
{
	return e->out != QKD_EPOCH_NONE && epoch < e->out;
}

/*
 * Ready epochs that can never be used any more: the peer holds later ones
 * only, or this end has moved past them. Their outbound SA goes at once. The
 * inbound one stays a grace time if the peer dropped the epoch; if only this
 * end has passed it, the peer may still use it, so it stays.
 */
static void retire_unusable(struct qkd_epochs *e, u64 now)
{
	u32 i;

	for (i = 0; i < e->count; i++) {
		struct qkd_epoch_slot *s = &e->slot[i];
		bool dropped = peer_dropped(e, s->epoch);

		if (!dropped && !is_passed(e, s->epoch))
			continue;
		if (s->out == QKD_SA_QUEUED)
			leave_queue(e, s);
		if (s->out != QKD_SA_READY)
			continue;
		retire_out(e, s, now);
		if (dropped)
			retire_in(e, s, now + e->config.grace_ms);
	}
}

/*
 * MACsec: one slot per association number, and the queue. ESP: the ready ones
 * here, as many that the peer has yet to leave, those in grace at full pace, the
 * one in use at either end, and one that is on its way out.
 */
u32 qkd_epochs_capacity(const struct qkd_epochs_config *config)
{
	if (config->an_count)
		return config->an_count + config->lookahead;
	return 2 * config->lookahead + config->grace_ms / config->rollover_ms + 4;
}

void qkd_epochs_init(struct qkd_epochs *e, const struct qkd_epochs_config *config,
		     struct qkd_epoch_slot *slot, u32 capacity, u64 first)
{
	memset(e, 0, sizeof(*e));
	e->config = *config;
	e->slot = slot;
	e->capacity = capacity;
	e->next = first;
	e->out = QKD_EPOCH_NONE;
	e->peer_first = QKD_EPOCH_NONE;
	e->peer_last = QKD_EPOCH_NONE;
	e->peer_out = QKD_EPOCH_NONE;
	e->removal = ~0ULL;
	e->state = QKD_CHANNEL_IDLE;
}

static bool same_number(const struct qkd_epochs *e, u64 a, u64 b)
{
	return a % e->config.an_count == b % e->config.an_count;
}

/* The SA that has the number of @epoch. */
static struct qkd_epoch_slot *number_holder(const struct qkd_epochs *e, u64 epoch)
{
	u32 i;

	for (i = 0; i < e->count && e->slot[i].out != QKD_SA_QUEUED; i++)
		if (same_number(e, e->slot[i].epoch, epoch))
			return &e->slot[i];
	return NULL;
}

/*
 * The channel moves on from an epoch when there is a later one. One with the
 * same number that comes next would wait for its predecessor to go, and that
 * one for it.
 */
static bool never_free(const struct qkd_epochs *e, u64 epoch)
{
	return e->config.an_count && e->count && same_number(e, e->slot[e->count - 1].epoch, epoch);
}

static bool is_full(const struct qkd_epochs *e)
{
	if (e->count < e->config.lookahead)
		return false;
	return e->count >= e->capacity || qkd_epochs_ahead(e) >= e->config.lookahead;
}

int qkd_epochs_may_put(const struct qkd_epochs *e, u64 epoch)
{
	if (epoch >= QKD_SPI_EPOCHS)
		return -ERANGE;
	if (epoch < e->next)
		return -ESTALE;
	return is_full(e) || never_free(e, epoch) ? -ENOBUFS : 0;
}

bool qkd_epochs_must_queue(const struct qkd_epochs *e, u64 epoch)
{
	if (!e->config.an_count)
		return false;
	return qkd_epochs_queued(e) || number_holder(e, epoch);
}

void qkd_epochs_spend(struct qkd_epochs *e, u64 epoch)
{
	if (epoch >= e->next)
		e->next = epoch + 1;
}

void qkd_epochs_put(struct qkd_epochs *e, u64 epoch, u32 random, void *sa)
{
	bool queue = qkd_epochs_must_queue(e, epoch);

	/* Epochs only grow, so the array stays in order. */
	e->slot[e->count++] = (struct qkd_epoch_slot){
		.epoch = epoch,
		.in = queue ? QKD_SA_QUEUED : QKD_SA_ACTIVE,
		.out = queue ? QKD_SA_QUEUED : QKD_SA_READY,
		.random = random,
		.sa = sa,
	};
	e->unusable |= queue || peer_dropped(e, epoch) || is_passed(e, epoch);
	qkd_epochs_spend(e, epoch);
}

int qkd_epochs_watermark(struct qkd_epochs *e, u64 now, u64 first, u64 last, u64 peer_out,
			 bool none)
{
	u64 before = e->peer_first;
	u32 i;

	if (!none && (first > last || last == QKD_EPOCH_NONE))
		return -EINVAL;
	e->peer_first = none ? QKD_EPOCH_NONE : first;
	e->peer_last = none ? QKD_EPOCH_NONE : last;
	e->peer_out = peer_out;
	for (i = 0; i < e->count && peer_out != QKD_EPOCH_NONE; i++)
		if (e->slot[i].epoch < peer_out)
			retire_in(e, &e->slot[i], now + e->config.grace_ms);
	if (e->peer_first != before)
		retire_unusable(e, now);
	return 0;
}

int qkd_epochs_force(struct qkd_epochs *e)
{
	if (!candidate(e))
		return -EAGAIN;
	e->forced = true;
	return 0;
}

int qkd_epochs_retire(struct qkd_epochs *e, u64 now, u64 epoch)
{
	struct qkd_epoch_slot *s = find(e, epoch);

	if (!s)
		return -ENOENT;
	if (s->out == QKD_SA_ACTIVE)
		return -EBUSY;
	if (s->out == QKD_SA_QUEUED)
		leave_queue(e, s);
	retire_in(e, s, now);
	if (s->out != QKD_SA_NONE)
		retire_out(e, s, now);
	return 0;
}

bool qkd_epochs_limit(struct qkd_epochs *e, u64 now)
{
	u64 at = e->switched + QKD_LIMIT_INTERVAL_MS;
	bool wait = at > now;

	if (e->state != QKD_CHANNEL_ACTIVE || e->limited)
		return false;
	e->due = earlier(e->due, wait ? at : now);
	e->limited = true;
	return wait;
}

struct qkd_epoch_slot *qkd_epochs_standby(const struct qkd_epochs *e)
{
	return switch_wanted(e) || e->limited || e->expired ? NULL : candidate(e);
}

u64 qkd_epochs_soft(const struct qkd_epochs *e, u64 epoch, u64 limit)
{
	/* In 64ths: the jitter is half of the time at most, so all of it fits. */
	u32 share = (e->config.jitter_ms << 6) / e->config.rollover_ms;
	const struct qkd_epoch_slot *s = find(e, epoch);

	return s ? limit - (limit >> 6) * (s->random % (share + 1)) : limit;
}

/* Older ones in their grace time too: packets would find them now. */
static void retire_outbound(struct qkd_epochs *e, u64 now)
{
	u32 i;

	for (i = 0; i < e->count; i++)
		if (e->slot[i].out == QKD_SA_ACTIVE || e->slot[i].out == QKD_SA_GRACE)
			retire_out(e, &e->slot[i], now);
	e->out = QKD_EPOCH_NONE;
}

void qkd_epochs_expired(struct qkd_epochs *e)
{
	if (e->out == QKD_EPOCH_NONE)
		return;
	e->state = QKD_CHANNEL_OVERDUE;
	e->expired = true;
}

bool qkd_epochs_lost(struct qkd_epochs *e, u64 now, struct qkd_epoch_slot *slot, bool in, bool out)
{
	in = in && slot->in == QKD_SA_ACTIVE;
	out = out && slot->out == QKD_SA_ACTIVE;
	if (in) {
		retire_in(e, slot, now);
		if (slot->out == QKD_SA_READY)
			retire_out(e, slot, now);
	}
	if (out) {
		retire_outbound(e, now);
		e->expired = false;
		e->limited = false;
		e->state = QKD_CHANNEL_IDLE;
	}
	return in || out;
}

static bool plan(struct qkd_action *action, enum qkd_action_type type, struct qkd_epoch_slot *s)
{
	action->type = type;
	action->epoch = s ? s->epoch : QKD_EPOCH_NONE;
	action->slot = s;
	return true;
}

/* When the outbound side goes down for want of a key; ~0: not now. */
static u64 block_time(const struct qkd_epochs *e)
{
	bool hold = e->config.on_exhausted == QKD_EXHAUSTED_HOLD;
	u64 when = e->due + (hold ? e->config.hard_ms : 0);

	if (e->state != QKD_CHANNEL_OVERDUE)
		return ~0ULL;
	if (e->expired)
		return e->retry;
	if (hold && !e->config.hard_ms)
		return ~0ULL;
	return when > e->retry ? when : e->retry;
}

/*
 * To block is to send nothing more. An older SA in its grace time would still
 * be found by packets once the one in use is gone, so those go first. One that
 * cannot be removed now is tried again later and does not keep the rest.
 */
static bool plan_block(struct qkd_epochs *e, struct qkd_action *action)
{
	u32 i;

	for (i = 0; i < e->count; i++)
		if (e->slot[i].out == QKD_SA_GRACE && !e->slot[i].stuck)
			return plan(action, QKD_ACTION_REMOVE_OUT, &e->slot[i]);
	return plan(action, QKD_ACTION_BLOCK, find(e, e->out));
}

/* Steps of the outbound side: move on, or say that there is nowhere to go. */
static bool plan_switch(struct qkd_epochs *e, u64 now, struct qkd_action *action)
{
	bool due = e->state == QKD_CHANNEL_ACTIVE && now >= e->due;
	struct qkd_epoch_slot *next;

	if (!due && !switch_wanted(e))
		return false;
	next = candidate(e);
	if (next)
		return plan(action, QKD_ACTION_ACTIVATE, next);
	e->forced = false;
	if (due)
		return plan(action, QKD_ACTION_EXHAUSTED, NULL);
	return now >= block_time(e) && plan_block(e, action);
}

static bool plan_removal(struct qkd_epochs *e, u64 now, struct qkd_action *action)
{
	u64 next = ~0ULL;
	u32 i;

	if (now < e->removal)
		return false;
	for (i = 0; i < e->count; i++) {
		struct qkd_epoch_slot *s = &e->slot[i];

		if (s->out == QKD_SA_GRACE && now >= s->out_until)
			return plan(action, QKD_ACTION_REMOVE_OUT, s);
		if (s->in == QKD_SA_GRACE && now >= s->in_until)
			return plan(action, QKD_ACTION_REMOVE_IN, s);
		if (s->in == QKD_SA_NONE && s->out == QKD_SA_NONE)
			return plan(action, QKD_ACTION_FORGET, s);
		if (s->out == QKD_SA_GRACE)
			next = earlier(next, s->out_until);
		if (s->in == QKD_SA_GRACE)
			next = earlier(next, s->in_until);
	}
	e->removal = next;
	return false;
}

/*
 * Whether @holder will leave its number: each of its SAs does already, or there is a
 * later one, for this end to move on to or for the peer.
 */
static bool is_succeeded(const struct qkd_epoch_slot *holder, const struct qkd_epoch_slot *queued)
{
	bool in = holder->in != QKD_SA_ACTIVE;
	bool out = holder->out == QKD_SA_GRACE || holder->out == QKD_SA_NONE;
	const struct qkd_epoch_slot *s;

	for (s = holder + 1; s < queued; s++) {
		in |= s->in == QKD_SA_ACTIVE;
		out |= s->out == QKD_SA_READY || s->out == QKD_SA_ACTIVE;
	}
	return in && out;
}

/*
 * The first of the queue takes its number when that is free. If what lay between
 * it and the holder of its number was retired meanwhile, it never will be: the
 * epoch is given up, and a later one can be put.
 */
static bool plan_install(struct qkd_epochs *e, struct qkd_action *action)
{
	struct qkd_epoch_slot *holder;
	u32 i = 0;

	while (i < e->count && e->slot[i].out != QKD_SA_QUEUED)
		i++;
	if (i == e->count)
		return false;
	holder = number_holder(e, e->slot[i].epoch);
	if (!holder)
		return plan(action, QKD_ACTION_INSTALL, &e->slot[i]);
	if (!is_succeeded(holder, &e->slot[i]))
		leave_queue(e, &e->slot[i]);
	return false;
}

bool qkd_epochs_next(struct qkd_epochs *e, u64 now, struct qkd_action *action)
{
	if (e->unusable) {
		e->unusable = false;
		retire_unusable(e, now);
	}
	if (plan_switch(e, now, action))
		return true;
	if (e->config.an_count && plan_install(e, action))
		return true;
	return plan_removal(e, now, action);
}

/*
 * A switch on time keeps the pace of the one before; a late one does not make
 * the next epoch shorter.
 */
static void set_due(struct qkd_epochs *e, u64 now, u32 random)
{
	bool on_time = e->state == QKD_CHANNEL_ACTIVE && now >= e->due &&
		       now - e->due < e->config.rollover_ms / 2;

	e->due = (on_time ? e->due : now) + e->config.rollover_ms -
		 random % (e->config.jitter_ms + 1);
	e->switched = now;
	e->limited = false;
	e->expired = false;
}

static void activated(struct qkd_epochs *e, u64 now, u64 epoch)
{
	struct qkd_epoch_slot *old = find(e, e->out);
	struct qkd_epoch_slot *s = find(e, epoch);

	if (old && old->out == QKD_SA_ACTIVE)
		retire_out(e, old, now + e->config.grace_ms);
	if (s)
		s->out = QKD_SA_ACTIVE;
	set_due(e, now, s ? s->random : 0);
	e->out = epoch;
	e->state = QKD_CHANNEL_ACTIVE;
	e->forced = false;
	e->retry = 0;
	retire_unusable(e, now);
}

static void removed(struct qkd_epochs *e, struct qkd_epoch_slot *s, u64 now, bool out, int err)
{
	if (err) {
		*(out ? &s->out_until : &s->in_until) = now + QKD_EPOCHS_RETRY_MS;
		s->stuck |= out;
	} else {
		*(out ? &s->out : &s->in) = QKD_SA_NONE;
		e->removal = 0; /* it may be to be forgotten */
	}
}

static void blocked(struct qkd_epochs *e, struct qkd_epoch_slot *s, u64 now, int err)
{
	if (err) {
		e->retry = now + QKD_EPOCHS_RETRY_MS;
		return;
	}
	if (s)
		s->out = QKD_SA_NONE;
	e->removal = 0;
	e->expired = false;
	e->limited = false;
	e->out = QKD_EPOCH_NONE;
	e->state = QKD_CHANNEL_BLOCKED;
}

static void forget(struct qkd_epochs *e, struct qkd_epoch_slot *s)
{
	u32 behind = e->count - (u32)(s - e->slot) - 1;

	memmove(s, s + 1, behind * sizeof(*s));
	e->count--;
}

static void installed(struct qkd_epochs *e, struct qkd_epoch_slot *s, int err)
{
	if (err) {
		leave_queue(e, s);
		return;
	}
	s->in = QKD_SA_ACTIVE;
	s->out = QKD_SA_READY;
	e->unusable = true;
}

/* It has moved if others were forgotten since the action was planned. */
static struct qkd_epoch_slot *slot_of(const struct qkd_epochs *e, const struct qkd_action *action)
{
	struct qkd_epoch_slot *s = action->slot;

	return s && s < e->slot + e->count && s->epoch == action->epoch ? s
									: find(e, action->epoch);
}

void qkd_epochs_done(struct qkd_epochs *e, u64 now, const struct qkd_action *action, int err)
{
	struct qkd_epoch_slot *s = slot_of(e, action);

	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		if (!err)
			activated(e, now, action->epoch);
		else if (s)
			retire_out(e, s, now);
		break;
	case QKD_ACTION_REMOVE_IN:
	case QKD_ACTION_REMOVE_OUT:
		if (s)
			removed(e, s, now, action->type == QKD_ACTION_REMOVE_OUT, err);
		break;
	case QKD_ACTION_FORGET:
		if (s)
			forget(e, s);
		break;
	case QKD_ACTION_EXHAUSTED:
		e->state = QKD_CHANNEL_OVERDUE;
		break;
	case QKD_ACTION_BLOCK:
		blocked(e, s, now, err);
		break;
	case QKD_ACTION_INSTALL:
		if (s)
			installed(e, s, err);
		break;
	}
}

static u64 switch_deadline(const struct qkd_epochs *e)
{
	if (switch_wanted(e) && candidate(e))
		return 0;
	if (e->state == QKD_CHANNEL_ACTIVE)
		return e->due;
	return block_time(e);
}

u64 qkd_epochs_deadline(const struct qkd_epochs *e)
{
	return e->unusable ? 0 : earlier(switch_deadline(e), e->removal);
}

u64 qkd_epochs_wake(const struct qkd_epochs *e, u32 step)
{
	u64 removal = e->removal;

	if (removal != ~0ULL && removal & (step - 1))
		removal = (removal | (step - 1)) + 1;
	return e->unusable ? 0 : earlier(switch_deadline(e), removal);
}

static u32 count_out(const struct qkd_epochs *e, u8 out)
{
	u32 n = 0, i;

	for (i = 0; i < e->count; i++)
		n += e->slot[i].out == out;
	return n;
}

u32 qkd_epochs_ready(const struct qkd_epochs *e)
{
	return count_out(e, QKD_SA_READY);
}

u32 qkd_epochs_queued(const struct qkd_epochs *e)
{
	return e->config.an_count ? count_out(e, QKD_SA_QUEUED) : 0;
}

u32 qkd_epochs_ahead(const struct qkd_epochs *e)
{
	return qkd_epochs_ready(e) + qkd_epochs_queued(e);
}

bool qkd_epochs_is_low(const struct qkd_epochs *e, u32 ahead)
{
	return 2 * ahead < e->config.lookahead;
}

bool qkd_epochs_inbound(const struct qkd_epochs *e, u64 *first, u64 *last)
{
	bool any = false;
	u32 i;

	for (i = 0; i < e->count; i++) {
		/* One in grace is about to go: the peer must not move to it. */
		if (e->slot[i].in != QKD_SA_ACTIVE)
			continue;
		if (!any)
			*first = e->slot[i].epoch;
		*last = e->slot[i].epoch;
		any = true;
	}
	return any;
}
