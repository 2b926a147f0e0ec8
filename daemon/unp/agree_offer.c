// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Initiator: a key from the pool, offered to the peer for the next epoch. The
 * key is spent by the offer, whatever becomes of it. See agree.h.
 */
#include "unp/agree_internal.h"
#include "km/secret.h"
#include "log.h"
#include "spi.h"

#include <errno.h>
#include <string.h>

/* -------- is there room for one more -------- */

/* Epochs under way that the peer does not report yet. */
static uint32_t unseen_by_peer(const struct agree *a)
{
	uint32_t n = 0, i;

	for (i = 0; i < a->slots; i++)
		n += a->slot[i].state == SLOT_TAKING || a->slot[i].state == SLOT_SENT ||
		     (a->slot[i].state == SLOT_PUTTING && !agree_peer_holds(a, a->slot[i].epoch));
	return n;
}

static bool slot_has_number(const struct agree *a, uint64_t epoch)
{
	uint32_t i, count = a->config.epochs.an_count;

	for (i = 0; count && i < a->slots; i++)
		if ((a->slot[i].state == SLOT_SENT || a->slot[i].state == SLOT_PUTTING) &&
		    a->slot[i].epoch % count == epoch % count)
			return true;
	return false;
}

static bool number_free(const struct agree *a, uint64_t epoch)
{
	return !agree_own_number(a, epoch) && !agree_peer_number(a, epoch) &&
	       !slot_has_number(a, epoch);
}

/* The last epoch that stands, waits or is on its way here, or QKD_EPOCH_NONE. */
static uint64_t last_epoch(const struct agree *a)
{
	uint64_t last = QKD_EPOCH_NONE;
	uint32_t i;

	for (i = 0; i < a->own_count; i++)
		if (last == QKD_EPOCH_NONE || a->own[i].epoch > last)
			last = a->own[i].epoch;
	for (i = 0; i < a->slots; i++)
		if ((a->slot[i].state == SLOT_SENT || a->slot[i].state == SLOT_PUTTING) &&
		    (last == QKD_EPOCH_NONE || a->slot[i].epoch > last))
			last = a->slot[i].epoch;
	return last;
}

/* Queued right behind an epoch with its own number it would never leave the queue. */
static bool can_queue(const struct agree *a, uint64_t epoch)
{
	uint64_t here = last_epoch(a);
	uint64_t there = a->peer.count ? a->peer.epoch[a->peer.count - 1] : QKD_EPOCH_NONE;

	if (agree_same_number(a, epoch, here))
		return false;
	/* The peer gets what is on its way here too. */
	return there == QKD_EPOCH_NONE || (here != QKD_EPOCH_NONE && there < here) ||
	       !agree_same_number(a, epoch, there);
}

/*
 * The epoch to offer next. With MACsec its association number must be free at
 * both ends, or it must be able to wait in the queue until it is: until the next
 * rollover and its grace time. So where nothing waits that could roll over (an
 * end rebooted), take the next free number, and leave out the epochs between.
 */
static bool pick_epoch(const struct agree *a, uint64_t *epoch)
{
	bool rolls = agree_own_waiting(a) || agree_slots_busy(a);
	uint32_t i, tries = a->config.epochs.an_count ? a->config.epochs.an_count : 1;

	for (i = 0; i < tries; i++) {
		*epoch = a->next + i;
		if (number_free(a, *epoch) || (rolls && a->config.queue && can_queue(a, *epoch)))
			return true;
		if (rolls && !a->config.queue)
			return false; /* it will be */
	}
	return false;
}

static bool room(const struct agree *a)
{
	uint32_t busy = agree_slots_busy(a);

	return busy < a->slots && agree_own_waiting(a) + busy < a->config.wanted &&
	       agree_peer_waiting(a) + unseen_by_peer(a) < a->config.epochs.lookahead &&
	       a->own_count + busy < a->capacity;
}

static bool may_offer(const struct agree *a)
{
	return a->config.initiator && a->up && a->attached && a->peer.known && !a->taking &&
	       !a->no_keys && !a->refused && a->next < QKD_SPI_EPOCHS &&
	       agree_now(a) >= a->pause_until;
}

/* -------- offering -------- */

static void pause_up_to(struct agree *a, uint64_t longest)
{
	uint64_t pause = (uint64_t)AGREE_BACKOFF_MS * ++a->failures;

	a->pause_until = agree_now(a) + (pause < longest ? pause : longest);
}

static void pause_offers(struct agree *a)
{
	pause_up_to(a, AGREE_PAUSE_MS);
}

static int send_offer(struct agree_slot *slot)
{
	struct agree *a = slot->agree;
	struct kx_frame frame = {.type = KX_EPOCH_OFFER};

	memcpy(frame.offer.channel, a->name, sizeof(frame.offer.channel));
	memcpy(frame.offer.digest, a->config.digest, sizeof(frame.offer.digest));
	frame.offer.epoch = slot->epoch;
	frame.offer.key_id = slot->key_id;
	slot->state = SLOT_SENT;
	slot->deadline = agree_now(a) + AGREE_OFFER_MS;
	return a->ops->send(a->arg, &frame);
}

static void take_failed(struct agree *a, int err)
{
	if (err == -ENOKEY) {
		a->no_keys = true;
		return;
	}
	agree_error(a, "no key could be taken from the store: %s", strerror(-err));
	pause_offers(a);
}

static void taken(void *arg, int err, uint64_t epoch, const struct km_key *key)
{
	struct agree_slot *slot = arg;
	struct agree *a = slot->agree;

	a->taking = false;
	if (a->dead)
		goto out;
	if (err) {
		agree_slot_free(slot);
		take_failed(a, err);
		goto settle;
	}
	slot->epoch = epoch;
	agree_used(a, epoch);
	if (!a->up || slot->session != a->session)
		err = -ENOTCONN; /* the key is spent, as is the epoch */
	if (!err)
		err = agree_keep(slot, key);
	if (!err)
		err = send_offer(slot);
	if (err) {
		log_debug("channel %s: epoch %llu was not offered: %s", a->name,
			  (unsigned long long)epoch, strerror(-err));
		agree_slot_free(slot);
		a->dirty = true;
		if (err != -ENOTCONN)
			pause_offers(a);
	}
settle:
	agree_settle(a);
out:
	agree_release(a);
}

void agree_offer(struct agree *a)
{
	struct agree_slot *slot;
	uint64_t epoch;

	if (!may_offer(a) || !room(a) || !pick_epoch(a, &epoch))
		return;
	slot = agree_slot_new(a);
	if (!slot)
		return;
	slot->state = SLOT_TAKING;
	slot->session = a->session;
	a->taking = true;
	agree_hold(a);
	if (a->ops->take(a->arg, epoch, taken, slot)) {
		a->taking = false;
		agree_slot_free(slot);
		pause_offers(a);
		agree_release(a);
	}
}

/* -------- answers -------- */

/* At once for the first few, then slowly: a pool is not to be emptied in a moment. */
static void next_key_may_do(struct agree *a)
{
	if (a->failures < a->config.wanted)
		a->failures++;
	else
		pause_up_to(a, AGREE_MISMATCH_MS);
}

static void refused(struct agree *a, const struct kx_epoch_answer *answer)
{
	a->dirty = true; /* settled has moved */
	switch ((enum kx_status)answer->status) {
	case KX_STALE:
		if (agree_plausible(a, answer->next))
			agree_raise_next(a, answer->next);
		else
			agree_peer_implausible(a, answer->next);
		next_key_may_do(a);
		break;
	case KX_NO_CHANNEL:
		agree_peer_gone(a, "the peer has no such channel, or with other parameters");
		break;
	case KX_ROLE:
		a->clash = true;
		agree_peer_gone(a, "both ends of the link have the role initiator: one must be "
				   "responder");
		break;
	case KX_BUSY:
		a->refused = true;
		pause_offers(a);
		break;
	case KX_FAILED:
		agree_error(a, "the peer could not install epoch %llu; see its log",
			    (unsigned long long)answer->epoch);
		pause_offers(a);
		break;
	default: /* not there, or another key: the next one may do */
		log_warn("channel %s: the peer has no matching key for epoch %llu", a->name,
			 (unsigned long long)answer->epoch);
		next_key_may_do(a);
		break;
	}
}

int agree_answer(struct agree *a, const struct kx_epoch_answer *answer)
{
	struct agree_slot *slot = agree_slot_find(a, answer->epoch, SLOT_SENT);
	int err;

	if (!slot)
		return a->config.initiator ? 0 : -EPROTO; /* it came too late */
	if (answer->status != KX_OK) {
		agree_slot_free(slot);
		refused(a, answer);
		return 0;
	}
	err = agree_put_epoch(slot);
	if (!err)
		return 0;
	agree_slot_free(slot);
	agree_error(a, "epoch %llu could not be installed: %s", (unsigned long long)answer->epoch,
		    strerror(-err));
	a->put_failed = true;
	a->dirty = true;
	pause_offers(a);
	return 0;
}

/* What was sent may or may not have arrived: spent. */
void agree_offers_drop(struct agree *a)
{
	uint32_t i;

	for (i = 0; i < a->slots; i++) {
		if (a->slot[i].state != SLOT_SENT)
			continue;
		agree_slot_free(&a->slot[i]);
		a->dirty = true;
	}
}

void agree_offers_expire(struct agree *a)
{
	uint64_t now = agree_now(a);
	uint32_t i;

	for (i = 0; i < a->slots; i++) {
		struct agree_slot *slot = &a->slot[i];

		if (slot->state != SLOT_SENT || now < slot->deadline)
			continue;
		agree_error(a, "the peer did not answer for epoch %llu",
			    (unsigned long long)slot->epoch);
		agree_slot_free(slot);
		a->dirty = true;
		pause_offers(a);
	}
}
