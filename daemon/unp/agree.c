// SPDX-License-Identifier: GPL-2.0-or-later
/* How the two ends of one channel agree: its life; see agree.h. */
#include "unp/agree_internal.h"
#include "km/secret.h"
#include "log.h"
#include "spi.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------- slots -------- */

struct agree_slot *agree_slot_new(struct agree *a)
{
	uint32_t i;

	for (i = 0; i < a->slots; i++) {
		struct agree_slot *slot = &a->slot[i];

		if (slot->state != SLOT_FREE)
			continue;
		memset(slot, 0, sizeof(*slot));
		slot->agree = a;
		return slot;
	}
	return NULL;
}

struct agree_slot *agree_slot_find(struct agree *a, uint64_t epoch, enum agree_slot_state state)
{
	uint32_t i;

	for (i = 0; i < a->slots; i++)
		if (a->slot[i].state == state && a->slot[i].epoch == epoch)
			return &a->slot[i];
	return NULL;
}

uint32_t agree_slots_busy(const struct agree *a)
{
	uint32_t busy = 0, i;

	for (i = 0; i < a->slots; i++)
		busy += a->slot[i].state != SLOT_FREE;
	return busy;
}

void agree_slot_free(struct agree_slot *slot)
{
	secret_free(slot->secret);
	slot->secret = NULL;
	slot->state = SLOT_FREE;
}

/* -------- life -------- */

void agree_hold(struct agree *a)
{
	a->refs++;
}

void agree_release(struct agree *a)
{
	if (--a->refs)
		return;
	free(a->slot);
	free(a->own);
	free(a);
}

int agree_create(const struct agree_config *config, const struct agree_ops *ops, void *arg, bool up,
		 struct agree **agree)
{
	struct agree *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->slots = config->epochs.lookahead + 4;
	a->slot = calloc(a->slots, sizeof(*a->slot));
	if (!a->slot) {
		free(a);
		return -ENOMEM;
	}
	a->config = *config;
	snprintf(a->name, sizeof(a->name), "%s", config->name);
	a->config.name = a->name;
	a->ops = ops;
	a->arg = arg;
	a->refs = 1;
	a->next = config->next;
	a->unused = config->next;
	a->out = QKD_EPOCH_NONE;
	a->peer.out = QKD_EPOCH_NONE;
	a->followed = QKD_EPOCH_NONE;
	a->capacity = qkd_epochs_capacity(&config->epochs);
	a->waits = CHANNEL_WAITS_BACKEND;
	*agree = a;
	a->up = up;
	a->resync_at = agree_now(a) + AGREE_RESYNC_MS;
	agree_own_list(a);
	agree_settle(a);
	return 0;
}

void agree_destroy(struct agree *a)
{
	uint32_t i;

	if (!a)
		return;
	a->dead = true;
	for (i = 0; i < a->slots; i++) {
		secret_free(a->slot[i].secret);
		a->slot[i].secret = NULL;
	}
	agree_release(a);
}

uint64_t agree_now(const struct agree *a)
{
	return a->ops->now_ms(a->arg);
}

void agree_error(struct agree *a, const char *format, ...)
{
	char text[sizeof(a->error)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (strcmp(text, a->error))
		log_warn("channel %s: %s", a->name, text);
	memcpy(a->error, text, sizeof(a->error));
}

/* -------- what we have settled, and say -------- */

void agree_raise_next(struct agree *a, uint64_t next)
{
	if (next > a->next)
		a->next = next;
}

void agree_used(struct agree *a, uint64_t epoch)
{
	agree_raise_next(a, epoch + 1);
	if (epoch >= a->unused)
		a->unused = epoch + 1;
}

bool agree_plausible(const struct agree *a, uint64_t next)
{
	return next <= QKD_SPI_EPOCHS && (next <= a->unused || next - a->unused <= AGREE_LEAP_MAX);
}

uint64_t agree_settled(const struct agree *a)
{
	uint64_t lowest = a->next;
	uint32_t i;

	for (i = 0; i < a->slots; i++) {
		const struct agree_slot *slot = &a->slot[i];
		bool numbered = slot->state == SLOT_WAITING || slot->state == SLOT_SENT ||
				slot->state == SLOT_PUTTING ||
				(slot->state == SLOT_TAKING && !a->config.initiator);

		if (numbered && slot->epoch < lowest)
			lowest = slot->epoch;
	}
	for (i = 0; i < a->own_count; i++)
		if (a->own[i].out == QKD_SA_QUEUED && !a->own[i].retiring &&
		    a->own[i].epoch < lowest)
			lowest = a->own[i].epoch; /* it will stand */
	return lowest;
}

uint64_t agree_out_or_last(const struct agree *a)
{
	uint64_t last = QKD_EPOCH_NONE;
	uint32_t i;

	if (a->out != QKD_EPOCH_NONE)
		return a->out;
	for (i = 0; i < a->own_count; i++)
		if (!agree_waits(&a->own[i]) && (last == QKD_EPOCH_NONE || a->own[i].epoch > last))
			last = a->own[i].epoch;
	return last;
}

static void fill_state(const struct agree *a, struct kx_channel_state *s)
{
	uint32_t i;

	memcpy(s->channel, a->name, sizeof(s->channel));
	memcpy(s->digest, a->config.digest, sizeof(s->digest));
	s->settled = agree_settled(a);
	s->out = agree_out_or_last(a);
	s->role = a->config.initiator ? KX_INITIATOR : KX_RESPONDER;
	for (i = 0; i < a->own_count; i++) {
		/* One in grace is about to go: the peer must not move to it. */
		if (a->own[i].in != QKD_SA_ACTIVE || a->own[i].retiring)
			continue;
		if (s->count == KX_EPOCHS_MAX) {
			if (s->settled > a->own[i].epoch)
				s->settled = a->own[i].epoch; /* of the rest we say nothing */
			break;
		}
		s->epoch[s->count++] = a->own[i].epoch;
	}
}

static void send_state(struct agree *a)
{
	struct kx_frame frame;

	a->state_at = agree_now(a) + AGREE_STATE_MS;
	if (!a->up || !a->attached || a->stale)
		return; /* a list is on its way, and after it this comes again */
	memset(&frame, 0, sizeof(frame));
	frame.type = KX_CHANNEL_STATE;
	fill_state(a, &frame.state);
	/* If it does not go out, the next one does, or the link breaks. */
	a->ops->send(a->arg, &frame);
	a->dirty = false;
}

/* -------- why there are no new keys -------- */

static enum channel_waits waits_for(const struct agree *a)
{
	if (!a->attached || a->put_failed)
		return CHANNEL_WAITS_BACKEND;
	if (!a->up)
		return CHANNEL_WAITS_KM_LINK;
	if (!a->peer.known)
		return CHANNEL_WAITS_PEER;
	if (a->no_keys)
		return CHANNEL_WAITS_KEYS;
	return CHANNEL_WAITS_NOTHING;
}

static void update_waits(struct agree *a)
{
	static const char *const text[] = {
		[CHANNEL_WAITS_NOTHING] = "new keys come",
		[CHANNEL_WAITS_KM_LINK] = "waits for the KM link",
		[CHANNEL_WAITS_KEYS] = "waits for keys: the pool is empty",
		[CHANNEL_WAITS_PEER] = "waits for the peer",
		[CHANNEL_WAITS_BACKEND] = "waits for the kernel",
	};
	enum channel_waits waits = waits_for(a);
	bool why = a->error[0] && (waits == CHANNEL_WAITS_PEER || waits == CHANNEL_WAITS_BACKEND);
	char line[sizeof(a->error) + 64];

	if (waits == a->waits)
		return;
	a->waits = waits;
	snprintf(line, sizeof(line), "%s%s%s", text[waits], why ? ": " : "", why ? a->error : "");
	a->ops->event(a->arg, "waits", QKD_EPOCH_NONE, line);
}

/* -------- time -------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void set_timer(struct agree *a)
{
	uint64_t now = agree_now(a), at = a->resync_at;
	uint32_t i;

	if (a->up)
		at = earlier(at, a->state_at);
	if (a->up && a->pause_until > now)
		at = earlier(at, a->pause_until);
	for (i = 0; i < a->slots; i++)
		if (a->slot[i].state == SLOT_SENT)
			at = earlier(at, a->slot[i].deadline);
	if (a->up && a->dirty && a->attached && !a->stale)
		at = now; /* what else comes in this turn of the loop goes along */
	a->ops->timer(a->arg, at > now ? at - now : 0);
}

void agree_settle(struct agree *a)
{
	if (a->dead)
		return;
	agree_peer_apply(a);
	agree_follow(a);
	if (a->config.initiator)
		agree_offer(a);
	else
		agree_take_waiting(a);
	update_waits(a);
	if (!a->dead)
		set_timer(a);
}

void agree_tick(struct agree *a)
{
	uint64_t now = agree_now(a);

	agree_hold(a);
	if (now >= a->resync_at) {
		a->resync_at = now + AGREE_RESYNC_MS;
		agree_own_list(a);
	}
	agree_offers_expire(a);
	if (a->pause_until <= now)
		a->refused = false;
	if (a->up && (a->dirty || now >= a->state_at)) {
		a->no_keys = a->no_keys && now < a->state_at;
		send_state(a);
	}
	agree_settle(a);
	agree_release(a);
}

/* -------- the link -------- */

void agree_link_up(struct agree *a)
{
	a->up = true;
	a->session++;
	a->clash = false;
	a->dirty = true;
	a->state_at = agree_now(a);
	agree_settle(a);
}

void agree_link_down(struct agree *a)
{
	a->up = false;
	a->peer.known = false;
	agree_offers_drop(a);
	agree_waiting_drop(a, QKD_EPOCH_NONE);
	agree_settle(a);
}

void agree_keys_ready(struct agree *a)
{
	a->no_keys = false;
	agree_settle(a);
}

/* -------- frames -------- */

int agree_frame(struct agree *a, const struct kx_frame *frame)
{
	int err = 0;

	agree_hold(a);
	switch (frame->type) {
	case KX_EPOCH_OFFER:
		err = agree_offered(a, &frame->offer);
		break;
	case KX_EPOCH_ANSWER:
		err = agree_answer(a, &frame->answer);
		break;
	case KX_CHANNEL_STATE:
		err = agree_peer_state(a, &frame->state);
		break;
	case KX_CHANNEL_GONE:
		agree_peer_gone(a, "no channel of this name is configured at the peer");
		break;
	default:
		err = -EPROTO;
	}
	agree_settle(a);
	agree_release(a);
	return err;
}

/* -------- listings -------- */

void agree_status(const struct agree *a, struct agree_status *status)
{
	status->waits = a->waits;
	status->peer_settled = a->peer.settled;
	status->error = a->error;
}

bool agree_simulated(const struct agree *a, bool unknown)
{
	uint32_t i;

	for (i = 0; i < a->own_count; i++)
		if (a->own[i].mark == MARK_SIMULATED || (a->own[i].mark == MARK_UNKNOWN && unknown))
			return true;
	return false;
}
