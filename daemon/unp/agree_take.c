// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Responder: the key that the initiator named, from our pool, for the epoch it
 * named. Offers are served in the order they came. See agree.h.
 */
#include "unp/agree_internal.h"
#include "km/secret.h"
#include "log.h"
#include "spi.h"
#include "unp/digest.h"

#include <errno.h>
#include <string.h>

void agree_reply(struct agree *a, uint64_t epoch, enum kx_status status)
{
	struct kx_frame frame = {.type = KX_EPOCH_ANSWER};

	memcpy(frame.answer.channel, a->name, sizeof(frame.answer.channel));
	frame.answer.epoch = epoch;
	frame.answer.next = a->next;
	frame.answer.status = (uint8_t)status;
	/* If it does not go out, the link breaks and the initiator spends the epoch. */
	a->ops->send(a->arg, &frame);
}

static void refuse(struct agree_slot *slot, enum kx_status status)
{
	struct agree *a = slot->agree;
	uint64_t epoch = slot->epoch;

	agree_slot_free(slot);
	a->dirty = true;
	agree_reply(a, epoch, status);
}

/* -------- room -------- */

enum room {
	ROOM_YES,
	ROOM_LATER,
	ROOM_NO
};

static bool goes_by_itself(const struct agree_epoch *e)
{
	return e->in != QKD_SA_ACTIVE && e->out != QKD_SA_ACTIVE && e->out != QKD_SA_READY;
}

/* Its number here, if it cannot be queued for it. */
static enum room room_for_number(const struct agree *a, const struct agree_slot *slot)
{
	const struct agree_epoch *e = agree_own_number(a, slot->epoch);
	uint32_t i;

	for (i = 0; i < a->slots; i++) {
		const struct agree_slot *s = &a->slot[i];

		if ((s->state == SLOT_TAKING || s->state == SLOT_PUTTING) &&
		    agree_same_number(a, s->epoch, slot->epoch))
			return ROOM_LATER;
	}
	if (e)
		return goes_by_itself(e) ? ROOM_LATER : ROOM_NO;
	return ROOM_YES;
}

/* It is queued if need be, but not right behind an epoch with its own number. */
static enum room room_in_queue(const struct agree *a, const struct agree_slot *slot)
{
	const struct agree_epoch *e;
	uint64_t before = QKD_EPOCH_NONE;
	uint32_t i;

	for (i = 0; i < a->own_count; i++)
		if (before == QKD_EPOCH_NONE || a->own[i].epoch > before)
			before = a->own[i].epoch;
	for (i = 0; i < a->slots; i++) {
		const struct agree_slot *s = &a->slot[i];

		if ((s->state == SLOT_TAKING || s->state == SLOT_PUTTING) &&
		    (before == QKD_EPOCH_NONE || s->epoch > before))
			before = s->epoch;
	}
	if (!agree_same_number(a, slot->epoch, before))
		return ROOM_YES;
	e = agree_own_find(a, before);
	return e && goes_by_itself(e) ? ROOM_LATER : ROOM_NO;
}

static uint32_t on_their_way(const struct agree *a)
{
	uint32_t n = 0, i;

	for (i = 0; i < a->slots; i++)
		n += a->slot[i].state == SLOT_TAKING || a->slot[i].state == SLOT_PUTTING;
	return n;
}

/*
 * The same question as qkd_epochs_may_put(), asked before a key is spent on
 * it. The initiator counts for itself, so the answer is no only for a moment
 * (its rollover or grace time ended a little before ours: ROOM_LATER), or if
 * an association number stays in use here, which only a later epoch can end.
 */
static enum room room_for(const struct agree *a, const struct agree_slot *slot)
{
	uint32_t putting = on_their_way(a);
	enum room room = ROOM_YES;

	if (a->config.epochs.an_count)
		room = a->config.queue ? room_in_queue(a, slot) : room_for_number(a, slot);
	if (room != ROOM_YES)
		return room;
	if (agree_own_waiting(a) + putting >= a->config.epochs.lookahead ||
	    a->own_count + putting >= a->capacity)
		return ROOM_LATER;
	return ROOM_YES;
}

/* -------- taking -------- */

static enum kx_status status_of(int err)
{
	switch (err) {
	case -ENOKEY:
		return KX_NOT_FOUND;
	case -ESTALE:
		return KX_STALE;
	default:
		return KX_FAILED;
	}
}

static void taken(void *arg, int err, uint64_t epoch, const struct km_key *key)
{
	struct agree_slot *slot = arg;
	struct agree *a = slot->agree;

	if (a->dead)
		goto out;
	if (!a->up || slot->session != a->session) {
		agree_slot_free(slot); /* the initiator has given the epoch up */
		a->dirty = true;
		goto settle;
	}
	if (err && err != -ENOKEY && err != -ESTALE)
		agree_error(a, "the key for epoch %llu could not be taken from the store: %s",
			    (unsigned long long)slot->epoch, strerror(-err));
	if (!err)
		agree_used(a, slot->epoch);
	if (!err)
		err = agree_keep(slot, key);
	if (!err)
		err = agree_put_epoch(slot);
	if (err)
		refuse(slot, status_of(err));
settle:
	agree_settle(a);
out:
	agree_release(a);
}

static void take(struct agree_slot *slot)
{
	struct agree *a = slot->agree;
	int err;

	slot->state = SLOT_TAKING;
	agree_hold(a);
	err = a->ops->take_id(a->arg, slot->epoch, &slot->key_id, taken, slot);
	if (err) {
		agree_release(a);
		refuse(slot, KX_FAILED);
	}
}

static struct agree_slot *oldest_waiting(struct agree *a)
{
	struct agree_slot *oldest = NULL;
	uint32_t i;

	for (i = 0; i < a->slots; i++)
		if (a->slot[i].state == SLOT_WAITING &&
		    (!oldest || a->slot[i].order < oldest->order))
			oldest = &a->slot[i];
	return oldest;
}

void agree_take_waiting(struct agree *a)
{
	struct agree_slot *slot;

	while (a->attached && (slot = oldest_waiting(a))) {
		enum room room = room_for(a, slot);

		if (room == ROOM_YES) {
			take(slot);
		} else if (!slot->checked) {
			/* Do not refuse by what may be old news. */
			if (!slot->asked)
				agree_own_list(a);
			slot->asked = true;
			return;
		} else if (room == ROOM_NO) {
			refuse(slot, KX_BUSY);
		} else {
			return;
		}
	}
}

static enum kx_status judge(const struct agree *a, const struct kx_epoch_offer *offer)
{
	if (memcmp(offer->digest, a->config.digest, sizeof(offer->digest)))
		return KX_NO_CHANNEL;
	if (a->config.initiator)
		return KX_ROLE;
	if (offer->epoch < a->next)
		return KX_STALE;
	if (offer->epoch >= QKD_SPI_EPOCHS || !agree_plausible(a, offer->epoch))
		return KX_FAILED;
	if (!a->attached)
		return KX_BUSY;
	return KX_OK;
}

int agree_offered(struct agree *a, const struct kx_epoch_offer *offer)
{
	enum kx_status status = judge(a, offer);
	struct agree_slot *slot = NULL;

	if (status == KX_OK || status == KX_BUSY) {
		agree_raise_next(a, offer->epoch + 1);
		a->dirty = true;
	}
	if (status == KX_OK) {
		slot = agree_slot_new(a);
		if (!slot)
			status = KX_BUSY;
	}
	if (status != KX_OK) {
		agree_reply(a, offer->epoch, status);
		if (status == KX_FAILED)
			agree_peer_implausible(a, offer->epoch);
		return 0;
	}
	slot->state = SLOT_WAITING;
	slot->epoch = offer->epoch;
	slot->key_id = offer->key_id;
	slot->session = a->session;
	slot->order = a->orders++;
	slot->checked = false;
	agree_take_waiting(a);
	return 0;
}

void agree_waiting_drop(struct agree *a, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < a->slots; i++) {
		if (a->slot[i].state != SLOT_WAITING || a->slot[i].epoch >= epoch)
			continue;
		agree_slot_free(&a->slot[i]);
		a->dirty = true;
	}
}
