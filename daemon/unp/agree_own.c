// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * This end's epochs as the backend has them: read once, then kept by its
 * events and by the answers to KEY_PUT. See agree.h.
 *
 * An event may be read before the answer of a command that came before it: a
 * list during which an event came is asked for again, and so are the epochs
 * after a KEY_PUT of which an event was heard first.
 */
#include "unp/agree_internal.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct agree_epoch *agree_own_find(const struct agree *a, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < a->own_count; i++)
		if (a->own[i].epoch == epoch)
			return &a->own[i];
	return NULL;
}

bool agree_waits(const struct agree_epoch *e)
{
	return e->out == QKD_SA_READY || e->out == QKD_SA_QUEUED;
}

uint32_t agree_own_waiting(const struct agree *a)
{
	uint32_t waiting = 0, i;

	for (i = 0; i < a->own_count; i++)
		waiting += agree_waits(&a->own[i]);
	return waiting;
}

uint32_t agree_own_ready(const struct agree *a)
{
	uint32_t ready = 0, i;

	for (i = 0; i < a->own_count; i++)
		ready += a->own[i].out == QKD_SA_READY;
	return ready;
}

bool agree_same_number(const struct agree *a, uint64_t epoch, uint64_t b)
{
	uint32_t count = a->config.epochs.an_count;

	return count && b != QKD_EPOCH_NONE && epoch % count == b % count;
}

const struct agree_epoch *agree_own_number(const struct agree *a, uint64_t epoch)
{
	uint32_t i, count = a->config.epochs.an_count;

	for (i = 0; count && i < a->own_count; i++)
		if (a->own[i].epoch % count == epoch % count)
			return &a->own[i];
	return NULL;
}

/* Where it stands: the answer does not say whether it is installed or queued, the event does. */
static void set_states(const struct agree *a, struct agree_epoch *e, bool queued)
{
	e->in = queued ? QKD_SA_QUEUED : QKD_SA_ACTIVE;
	e->out = queued ? QKD_SA_QUEUED : e->epoch == a->out ? QKD_SA_ACTIVE : QKD_SA_READY;
}

int agree_own_add(struct agree *a, const struct agree_slot *slot)
{
	struct agree_epoch *e = agree_own_find(a, slot->epoch), *more;

	if (!e) { /* else a list was quicker */
		more = reallocarray(a->own, a->own_count + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		a->own = more;
		e = &a->own[a->own_count++];
		*e = (struct agree_epoch){.epoch = slot->epoch};
		set_states(a, e, a->config.queue && !slot->installed);
	}
	e->mark = (uint8_t)slot->mark;
	return 0;
}

static void listed(void *arg, int err, const void *records, size_t count);

void agree_own_list(struct agree *a)
{
	if (a->listing) {
		a->list_again = true;
		return;
	}
	a->list_again = false;
	a->listing = true;
	agree_hold(a);
	if (a->ops->list(a->arg, listed, a)) {
		/* The backend is lost, or memory is short: the clock comes back to it. */
		a->listing = false;
		a->resync_at = agree_now(a) + AGREE_STATE_MS;
		agree_release(a);
	}
}

static uint8_t mark_of(const struct agree *a, uint64_t epoch)
{
	const struct agree_epoch *e = agree_own_find(a, epoch);

	return e ? e->mark : MARK_UNKNOWN;
}

static int replace(struct agree *a, const struct qkd_epoch *records, size_t count)
{
	struct agree_epoch *own = calloc(count ? count : 1, sizeof(*own));
	size_t i;

	if (!own)
		return -ENOMEM;
	a->out = QKD_EPOCH_NONE;
	for (i = 0; i < count; i++) {
		own[i].epoch = records[i].epoch;
		own[i].in = records[i].in;
		own[i].out = records[i].out;
		own[i].mark = mark_of(a, own[i].epoch);
		if (own[i].out == QKD_SA_ACTIVE)
			a->out = own[i].epoch;
		agree_used(a, own[i].epoch);
	}
	free(a->own);
	a->own = own;
	a->own_count = (uint32_t)count;
	return 0;
}

static void check_waiting(struct agree *a)
{
	uint32_t i;

	for (i = 0; i < a->slots; i++)
		a->slot[i].checked = true;
}

static void listed(void *arg, int err, const void *records, size_t count)
{
	struct agree *a = arg;

	if (a->dead)
		goto out;
	a->listing = false;
	a->resync_at = agree_now(a) + (err ? AGREE_STATE_MS : AGREE_RESYNC_MS);
	if (err == -ENOENT) {
		a->ops->lost(a->arg, err);
		goto out;
	}
	if (!err)
		err = replace(a, records, count);
	if (err) {
		agree_error(a, "the epochs cannot be listed: %s", strerror(-err));
	} else if (a->list_again) {
		agree_own_list(a);
	} else {
		a->attached = true;
		a->stale = false;
		a->dirty = true;
		a->refused = false;
		check_waiting(a);
	}
	agree_settle(a);
out:
	agree_release(a);
}

void agree_resync(struct agree *a)
{
	a->stale = true;
	agree_own_list(a);
}

/* -------- events -------- */

static void activated(struct agree *a, uint64_t epoch)
{
	uint32_t i;

	if (a->out != QKD_EPOCH_NONE && epoch <= a->out)
		return;
	for (i = 0; i < a->own_count; i++) {
		struct agree_epoch *e = &a->own[i];

		if (e->epoch == epoch) {
			e->out = QKD_SA_ACTIVE;
			if (e->in == QKD_SA_QUEUED) /* a list was older than its event */
				e->in = QKD_SA_ACTIVE;
		} else if (e->out == QKD_SA_ACTIVE)
			e->out = QKD_SA_GRACE;
		else if (e->out == QKD_SA_READY && e->epoch < epoch)
			e->out = QKD_SA_NONE; /* passed */
	}
	a->out = epoch;
	a->switched_at = agree_now(a);
}

static void peer_moved(struct agree *a, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < a->own_count; i++)
		if (a->own[i].epoch < epoch && a->own[i].in == QKD_SA_ACTIVE)
			a->own[i].in = QKD_SA_GRACE;
}

static void retired(struct agree *a, uint64_t epoch)
{
	struct agree_epoch *e = agree_own_find(a, epoch);

	if (!e)
		return;
	if (a->out == epoch) {
		/* Something else is in use, or nothing: an event was lost. Say neither. */
		a->stale = true;
		agree_own_list(a);
	}
	memmove(e, e + 1, (size_t)(a->own + a->own_count - e - 1) * sizeof(*e));
	a->own_count--;
}

/* Whether @event may be about an epoch of which KEY_PUT is not answered yet. */
static void mark_early(struct agree *a, const struct qkd_event *event)
{
	uint32_t i;

	for (i = 0; i < a->slots; i++)
		if (a->slot[i].state == SLOT_PUTTING && event->type != QKD_EVENT_INSTALLED &&
		    event->epoch >= a->slot[i].epoch)
			a->slot[i].early = true;
}

/* At once, or when its number was free. Return: whether that changes what we have to say. */
static bool installed(struct agree *a, uint64_t epoch)
{
	struct agree_slot *slot = agree_slot_find(a, epoch, SLOT_PUTTING);
	struct agree_epoch *e = agree_own_find(a, epoch);

	if (slot)
		slot->installed = true; /* the answer to our KEY_PUT says the rest */
	if (e && e->out == QKD_SA_QUEUED) {
		set_states(a, e, false);
		return true;
	}
	if (!e && !slot)
		agree_own_list(a);
	return false;
}

void agree_backend_event(struct agree *a, const struct qkd_event *event)
{
	if (a->listing)
		a->list_again = true;
	mark_early(a, event);
	switch (event->type) {
	case QKD_EVENT_INSTALLED:
		if (!installed(a, event->epoch))
			return;
		break;
	case QKD_EVENT_ACTIVATED:
		activated(a, event->epoch);
		break;
	case QKD_EVENT_PEER_MOVED:
		peer_moved(a, event->epoch);
		break;
	case QKD_EVENT_RETIRED:
		retired(a, event->epoch);
		break;
	case QKD_EVENT_BLOCKED:
	case QKD_EVENT_FAILED:
	case QKD_EVENT_DELETED: /* this one, or one that had its number before */
		agree_own_list(a);
		break;
	default:
		break;
	}
	a->dirty = true;
	a->refused = false;
	agree_settle(a);
}
