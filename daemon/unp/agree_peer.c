// SPDX-License-Identifier: GPL-2.0-or-later
/* The peer's epochs as it reports them, and what follows; see agree.h. */
#include "unp/agree_internal.h"
#include "log.h"
#include "spi.h"
#include "unp/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool agree_peer_holds(const struct agree *a, uint64_t epoch)
{
	uint16_t low = 0, high = a->peer.count;

	while (low < high) { /* they ascend */
		uint16_t middle = (uint16_t)((low + high) / 2);

		if (a->peer.epoch[middle] == epoch)
			return true;
		if (a->peer.epoch[middle] < epoch)
			low = (uint16_t)(middle + 1);
		else
			high = middle;
	}
	return false;
}

/* Put at both ends, and not heard of yet: there it is queued, or its state is on the way. */
static uint32_t unheard(const struct agree *a)
{
	uint32_t n = 0, i;

	for (i = 0; i < a->own_count; i++)
		n += agree_waits(&a->own[i]) && a->own[i].epoch >= a->peer.settled &&
		     !agree_peer_holds(a, a->own[i].epoch);
	return n;
}

/*
 * Epochs that wait at the peer: queued, or installed and not passed by its
 * outbound SA. A peer without one would use any that we hold too at once, so of
 * those that it passed before it blocked none count.
 */
uint32_t agree_peer_waiting(const struct agree *a)
{
	uint32_t ready = unheard(a);
	uint16_t i;

	for (i = 0; i < a->peer.count; i++) {
		const struct agree_epoch *own = agree_own_find(a, a->peer.epoch[i]);

		if (a->peer.out != QKD_EPOCH_NONE)
			ready += a->peer.epoch[i] > a->peer.out;
		else
			ready += own && agree_waits(own);
	}
	return ready;
}

/* Whether the association number of @epoch is in use at the peer, as far as it says. */
bool agree_peer_number(const struct agree *a, uint64_t epoch)
{
	uint32_t count = a->config.epochs.an_count;
	uint16_t i;

	for (i = 0; count && i < a->peer.count; i++)
		if (a->peer.epoch[i] % count == epoch % count)
			return true;
	return false;
}

/* -------- what follows: RETIRE and WATERMARK -------- */

static void ignore_done(void *arg, int err, const void *record)
{
	agree_release(arg);
}

static void retire_done(void *arg, int err, const void *record)
{
	struct agree *a = arg;
	const struct qkd_retire *retire = record;

	/* In use after all, or the backend is in trouble: look again. */
	if (!a->dead && (err || (retire->status && retire->status != -ENOENT)))
		agree_own_list(a);
	agree_release(a);
}

static void submit(struct agree *a, uint32_t cmd, const void *record, backend_done_fn done)
{
	agree_hold(a);
	if (a->ops->submit(a->arg, cmd, record, done, a))
		agree_release(a);
}

/*
 * Ready or queued here, and the peer will never hold it: the answer to an offer
 * was lost, the peer rebooted, its kernel refused it, its store is new.
 */
static void retire_unheld(struct agree *a)
{
	uint32_t i;

	for (i = 0; i < a->own_count; i++) {
		struct agree_epoch *e = &a->own[i];
		struct qkd_retire retire = {.channel = a->config.id, .epoch = e->epoch};

		if (!agree_waits(e) || e->retiring || e->epoch >= a->peer.settled ||
		    agree_peer_holds(a, e->epoch))
			continue;
		e->retiring = true;
		log_debug("channel %s: epoch %llu is not at the peer: retired", a->name,
			  (unsigned long long)e->epoch);
		submit(a, QKD_CMD_RETIRE, &retire, retire_done);
	}
}

/* Whether no further epoch can be put or installed here, and nothing stands ready that would change
 * it. */
static bool stuck(const struct agree *a)
{
	uint32_t numbers = a->config.epochs.an_count, i;

	if (agree_own_ready(a))
		return false;
	if (agree_own_waiting(a))
		return true; /* the first of the queue finds its number taken */
	for (i = 0; i < numbers; i++)
		if (!agree_own_number(a, i))
			return false;
	return numbers || a->own_count >= a->capacity;
}

/* It does not hold what it has to hold for us, and sends nothing. */
static bool peer_rebooted(const struct agree *a)
{
	uint64_t out = agree_out_or_last(a);

	return a->peer.out == QKD_EPOCH_NONE && out != QKD_EPOCH_NONE && !agree_peer_holds(a, out);
}

/*
 * A peer that has rebooted does not say that it left the epochs which stand
 * here for it to send with: it has no outbound SA at all. Where they are in
 * the way of new ones, they go.
 */
static void make_room(struct agree *a)
{
	uint32_t i;

	if (!peer_rebooted(a) || !stuck(a))
		return;
	for (i = 0; i < a->own_count; i++) {
		struct agree_epoch *e = &a->own[i];
		struct qkd_retire retire = {.channel = a->config.id, .epoch = e->epoch};

		if (e->in != QKD_SA_ACTIVE || e->out == QKD_SA_ACTIVE || e->retiring ||
		    e->epoch >= a->peer.settled || agree_peer_holds(a, e->epoch))
			continue;
		e->retiring = true;
		submit(a, QKD_CMD_RETIRE, &retire, retire_done);
	}
}

/* Lowest epoch that may become usable here and does not stand at the peer (yet). */
static uint64_t first_unheld(const struct agree *a)
{
	uint64_t lowest = QKD_EPOCH_NONE;
	uint32_t i;

	for (i = 0; i < a->own_count; i++) {
		const struct agree_epoch *e = &a->own[i];

		if (agree_waits(e) && !e->retiring && e->epoch < lowest &&
		    !agree_peer_holds(a, e->epoch))
			lowest = e->epoch;
	}
	for (i = 0; i < a->slots; i++)
		if (a->slot[i].state == SLOT_PUTTING && a->slot[i].epoch < lowest &&
		    !agree_peer_holds(a, a->slot[i].epoch))
			lowest = a->slot[i].epoch;
	return lowest;
}

/* The range of the watermark must hold no epoch that the peer lacks. */
static void make_watermark(const struct agree *a, struct qkd_watermark *w)
{
	uint64_t end = first_unheld(a);
	uint16_t i;

	memset(w, 0, sizeof(*w));
	w->channel = a->config.id;
	w->peer_out = a->peer.out;
	w->flags = QKD_WATERMARK_NONE;
	for (i = 0; i < a->peer.count && a->peer.epoch[i] < end; i++) {
		if (w->flags)
			w->first = a->peer.epoch[i];
		w->flags = 0;
		w->last = a->peer.epoch[i];
	}
}

static void watermark_done(void *arg, int err, const void *record)
{
	struct agree *a = arg;

	if (!a->dead && (err || ((const struct qkd_watermark *)record)->status))
		a->watermark.valid = false; /* the next state brings it again */
	agree_release(a);
}

static void send_watermark(struct agree *a)
{
	struct qkd_watermark w;

	make_watermark(a, &w);
	if (a->watermark.valid && !memcmp(&w, &a->watermark.record, sizeof(w)))
		return;
	a->watermark.record = w;
	a->watermark.valid = true;
	agree_hold(a);
	if (a->ops->submit(a->arg, QKD_CMD_WATERMARK, &w, watermark_done, a)) {
		a->watermark.valid = false;
		agree_release(a);
	}
}

void agree_peer_apply(struct agree *a)
{
	if (!a->attached || a->stale || !a->peer.known)
		return;
	retire_unheld(a);
	make_room(a);
	send_watermark(a);
}

/* -------- the two ends keep pace -------- */

/*
 * Both ends switch by their own clocks and count their own packets. The one
 * that comes later follows at once, as keys are left only when both have: but
 * for the last step if its own switch may be so near that it happens before the
 * command arrives, and the two would make a double step.
 */
/* Switches that we are behind: ready epochs up to the one that the peer uses. */
static uint32_t behind(const struct agree *a)
{
	uint32_t count = 0, i;

	if (a->out == QKD_EPOCH_NONE || a->peer.out == QKD_EPOCH_NONE || a->peer.out <= a->out)
		return 0;
	for (i = 0; i < a->own_count; i++)
		count += a->own[i].out == QKD_SA_READY && a->own[i].epoch <= a->peer.out;
	return count;
}

/* Both fall due about now, by the clock. */
static bool due_soon(const struct agree *a)
{
	const struct qkd_epochs_config *c = &a->config.epochs;
	uint64_t earliest = a->switched_at + c->rollover_ms - c->jitter_ms;
	uint64_t soon = c->rollover_ms / 4;

	return agree_now(a) + (soon < AGREE_SOON_MS ? soon : AGREE_SOON_MS) > earliest;
}

void agree_follow(struct agree *a)
{
	struct qkd_rollover rollover = {.channel = a->config.id};
	uint32_t steps = a->up && a->attached && a->peer.known ? behind(a) : 0;

	if (!steps || a->followed == a->peer.out)
		return; /* no new switch of the peer */
	a->followed = a->peer.out;
	if (due_soon(a))
		steps--;
	while (steps--)
		submit(a, QKD_CMD_ROLLOVER, &rollover, ignore_done);
}

/* -------- the peer's report -------- */

void agree_peer_gone(struct agree *a, const char *why)
{
	a->peer.known = false;
	agree_error(a, "%s", why);
	agree_offers_drop(a);
	agree_waiting_drop(a, QKD_EPOCH_NONE);
}

static bool same_state(const struct agree *a, const struct kx_channel_state *s)
{
	return a->peer.known && a->peer.settled == s->settled && a->peer.out == s->out &&
	       a->peer.count == s->count &&
	       !memcmp(a->peer.epoch, s->epoch, s->count * sizeof(s->epoch[0]));
}

void agree_peer_implausible(struct agree *a, uint64_t epoch)
{
	char why[sizeof(a->error)];

	snprintf(why, sizeof(why),
		 "the peer speaks of epoch %llu, here %llu is next: too far apart to be true; if "
		 "the "
		 "key store of an end was lost or put back, start with an empty one at both ends, "
		 "or "
		 "give the channel another name at both",
		 (unsigned long long)epoch, (unsigned long long)a->unused);
	agree_peer_gone(a, why);
}

/*
 * Epochs at or below what the peer holds, or below what it has settled, are
 * not ours to use any more: it has seen them, if we (or our store) have not.
 */
static uint64_t next_of(const struct kx_channel_state *s)
{
	uint64_t next = s->settled;

	if (s->count && s->epoch[s->count - 1] >= next)
		next = s->epoch[s->count - 1] + 1;
	return next;
}

/* Nobody would offer, or nobody would take. */
static bool same_role(struct agree *a, const struct kx_channel_state *s)
{
	bool initiator = a->config.initiator;

	if (s->role != (initiator ? KX_INITIATOR : KX_RESPONDER))
		return false;
	a->clash = true;
	agree_peer_gone(a, initiator ? "both ends of the link have the role initiator: one must be "
				       "responder"
				     : "both ends of the link have the role responder: one must be "
				       "initiator");
	return true;
}

int agree_peer_state(struct agree *a, const struct kx_channel_state *s)
{
	bool known = a->peer.known;

	if (memcmp(s->digest, a->config.digest, sizeof(s->digest)) != 0) {
		char why[sizeof(a->error)];

		snprintf(why, sizeof(why),
			 "the peer's channel of this name has other parameters; compare at both "
			 "ends: %s",
			 digest_fields(a->config.kind));
		agree_peer_gone(a, why);
		return 0;
	}
	if (same_state(a, s) || a->clash)
		return 0;
	if (s->count > KX_EPOCHS_MAX)
		return -EPROTO;
	if (same_role(a, s))
		return 0;
	if (!agree_plausible(a, next_of(s))) {
		agree_peer_implausible(a, next_of(s));
		return 0;
	}
	a->peer.known = true;
	a->peer.settled = s->settled;
	a->peer.out = s->out;
	a->peer.count = s->count;
	memcpy(a->peer.epoch, s->epoch, s->count * sizeof(s->epoch[0]));
	a->refused = false;
	if (!known) {
		a->error[0] = '\0';
		a->dirty = true; /* it may not have heard ours */
		a->failures = 0;
		a->pause_until = 0;
	}
	if (next_of(s) > a->next) {
		agree_raise_next(a, next_of(s));
		a->dirty = true;
	}
	agree_waiting_drop(a, s->settled);
	return 0;
}
