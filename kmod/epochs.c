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
#include "spi.h"

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

static void retire_in(struct qkd_epoch_slot *s, u64 until)
{
	if (s->in == QKD_SA_ACTIVE || (s->in == QKD_SA_GRACE && s->in_until > until)) {
		s->in = QKD_SA_GRACE;
		s->in_until = until;
	}
}

static void retire_out(struct qkd_epoch_slot *s, u64 until)
{
	s->out = QKD_SA_GRACE;
	s->out_until = until;
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
		bool dropped = e->peer_first != QKD_EPOCH_NONE && s->epoch < e->peer_first;
		bool passed = e->out != QKD_EPOCH_NONE && s->epoch < e->out;

		if (s->out != QKD_SA_READY || (!dropped && !passed))
			continue;
		retire_out(s, now);
		if (dropped)
			retire_in(s, now + e->config.grace_ms);
	}
}

/*
 * MACsec: one slot per association number. ESP: the ready ones here, as many
 * that the peer has yet to leave, those in grace at full pace, the one in use
 * at either end, and one that is on its way out.
 */
u32 qkd_epochs_capacity(const struct qkd_epochs_config *config)
{
	if (config->an_count)
		return config->an_count;
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
	e->state = QKD_CHANNEL_IDLE;
}

static bool number_taken(const struct qkd_epochs *e, u64 epoch)
{
	u32 i;

	for (i = 0; e->config.an_count && i < e->count; i++)
		if (e->slot[i].epoch % e->config.an_count == epoch % e->config.an_count)
			return true;
	return false;
}

int qkd_epochs_may_put(const struct qkd_epochs *e, u64 epoch)
{
	if (epoch >= QKD_SPI_EPOCHS)
		return -ERANGE;
	if (epoch < e->next)
		return -ESTALE;
	if (e->count >= e->capacity || qkd_epochs_ready(e) >= e->config.lookahead ||
	    number_taken(e, epoch))
		return -ENOBUFS;
	return 0;
}

void qkd_epochs_spend(struct qkd_epochs *e, u64 epoch)
{
	if (epoch >= e->next)
		e->next = epoch + 1;
}

void qkd_epochs_put(struct qkd_epochs *e, u64 epoch, void *sa)
{
	/* Epochs only grow, so the array stays in order. */
	e->slot[e->count++] = (struct qkd_epoch_slot){
		.epoch = epoch,
		.in = QKD_SA_ACTIVE,
		.out = QKD_SA_READY,
		.sa = sa,
	};
	qkd_epochs_spend(e, epoch);
}

int qkd_epochs_watermark(struct qkd_epochs *e, u64 now, u64 first, u64 last, u64 peer_out,
			 bool none)
{
	u32 i;

	if (!none && (first > last || last == QKD_EPOCH_NONE))
		return -EINVAL;
	e->peer_first = none ? QKD_EPOCH_NONE : first;
	e->peer_last = none ? QKD_EPOCH_NONE : last;
	e->peer_out = peer_out;
	for (i = 0; i < e->count && peer_out != QKD_EPOCH_NONE; i++)
		if (e->slot[i].epoch < peer_out)
			retire_in(&e->slot[i], now + e->config.grace_ms);
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
	retire_in(s, now);
	if (s->out != QKD_SA_NONE)
		retire_out(s, now);
	return 0;
}

bool qkd_epochs_lost(struct qkd_epochs *e, u64 now, struct qkd_epoch_slot *slot, bool in, bool out)
{
	in = in && slot->in == QKD_SA_ACTIVE;
	out = out && slot->out == QKD_SA_ACTIVE;
	if (in) {
		retire_in(slot, now);
		if (slot->out == QKD_SA_READY)
			retire_out(slot, now);
	}
	if (out) {
		retire_out(slot, now);
		e->out = QKD_EPOCH_NONE;
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

	if (e->state != QKD_CHANNEL_OVERDUE || (hold && !e->config.hard_ms))
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
	struct qkd_epoch_slot *next = candidate(e);
	bool due = e->state == QKD_CHANNEL_ACTIVE && now >= e->due;

	if (next && (due || switch_wanted(e)))
		return plan(action, QKD_ACTION_ACTIVATE, next);
	if (!next)
		e->forced = false;
	if (due)
		return plan(action, QKD_ACTION_EXHAUSTED, NULL);
	return now >= block_time(e) && plan_block(e, action);
}

static bool plan_removal(struct qkd_epochs *e, u64 now, struct qkd_action *action)
{
	u32 i;

	for (i = 0; i < e->count; i++) {
		struct qkd_epoch_slot *s = &e->slot[i];

		if (s->out == QKD_SA_GRACE && now >= s->out_until)
			return plan(action, QKD_ACTION_REMOVE_OUT, s);
		if (s->in == QKD_SA_GRACE && now >= s->in_until)
			return plan(action, QKD_ACTION_REMOVE_IN, s);
		if (s->in == QKD_SA_NONE && s->out == QKD_SA_NONE)
			return plan(action, QKD_ACTION_FORGET, s);
	}
	return false;
}

bool qkd_epochs_next(struct qkd_epochs *e, u64 now, struct qkd_action *action)
{
	retire_unusable(e, now);
	return plan_switch(e, now, action) || plan_removal(e, now, action);
}

/*
 * A switch on time keeps the pace of the one before; a late one does not make
 * the next epoch shorter.
 */
static void set_due(struct qkd_epochs *e, u64 now)
{
	bool on_time = e->state == QKD_CHANNEL_ACTIVE && now >= e->due &&
		       now - e->due < e->config.rollover_ms / 2;

	e->due = (on_time ? e->due : now) + e->config.rollover_ms;
}

static void activated(struct qkd_epochs *e, u64 now, u64 epoch)
{
	struct qkd_epoch_slot *old = find(e, e->out);
	struct qkd_epoch_slot *s = find(e, epoch);

	if (old && old->out == QKD_SA_ACTIVE)
		retire_out(old, now + e->config.grace_ms);
	if (s)
		s->out = QKD_SA_ACTIVE;
	set_due(e, now);
	e->out = epoch;
	e->state = QKD_CHANNEL_ACTIVE;
	e->forced = false;
	e->retry = 0;
	retire_unusable(e, now);
}

static void removed(struct qkd_epoch_slot *s, u64 now, bool out, int err)
{
	if (err) {
		*(out ? &s->out_until : &s->in_until) = now + QKD_EPOCHS_RETRY_MS;
		s->stuck |= out;
	} else {
		*(out ? &s->out : &s->in) = QKD_SA_NONE;
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
	e->out = QKD_EPOCH_NONE;
	e->state = QKD_CHANNEL_BLOCKED;
}

static void forget(struct qkd_epochs *e, struct qkd_epoch_slot *s)
{
	u32 behind = e->count - (u32)(s - e->slot) - 1;

	memmove(s, s + 1, behind * sizeof(*s));
	e->count--;
}

void qkd_epochs_done(struct qkd_epochs *e, u64 now, const struct qkd_action *action, int err)
{
	struct qkd_epoch_slot *s = find(e, action->epoch);

	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		if (!err)
			activated(e, now, action->epoch);
		else if (s)
			retire_out(s, now);
		break;
	case QKD_ACTION_REMOVE_IN:
	case QKD_ACTION_REMOVE_OUT:
		if (s)
			removed(s, now, action->type == QKD_ACTION_REMOVE_OUT, err);
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
	}
}

static u64 earlier(u64 a, u64 b)
{
	return a < b ? a : b;
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
	u64 when = switch_deadline(e);
	u32 i;

	for (i = 0; i < e->count; i++) {
		const struct qkd_epoch_slot *s = &e->slot[i];

		if (s->out == QKD_SA_GRACE)
			when = earlier(when, s->out_until);
		if (s->in == QKD_SA_GRACE)
			when = earlier(when, s->in_until);
		if (s->in == QKD_SA_NONE && s->out == QKD_SA_NONE)
			when = 0;
	}
	return when;
}

u32 qkd_epochs_ready(const struct qkd_epochs *e)
{
	u32 ready = 0, i;

	for (i = 0; i < e->count; i++)
		ready += e->slot[i].out == QKD_SA_READY;
	return ready;
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
