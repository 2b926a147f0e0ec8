/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the events of a channel may say, in what order: they are told under its lock, so
 * that order is what happened. Between ADDED and DELETED epochs only grow, each is
 * installed once before anything else, and is gone once.
 */
#ifndef QKD_TEST_EVENTS_H
#define QKD_TEST_EVENTS_H

#include <linux/qkd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EVENTS_CHANNELS 4096
#define EVENTS_RECENT	256

/** One channel; epochs that stand are remembered, as many as there can be. */
struct events_channel {
	uint32_t id;
	bool stands;
	uint64_t installed;
	uint64_t activated;
	uint64_t standing[EVENTS_RECENT];
	uint32_t count;
};

/** All of a network namespace. */
struct events {
	struct events_channel channel[EVENTS_CHANNELS];
};

static inline struct events_channel *events_channel(struct events *all, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < EVENTS_CHANNELS; i++) {
		struct events_channel *c = &all->channel[(id + i) % EVENTS_CHANNELS];

		if (!c->id)
			c->id = id;
		if (c->id == id)
			return c;
	}
	return NULL;
}

static inline const char *events_installed(struct events_channel *c, uint64_t epoch)
{
	if (c->installed != QKD_EPOCH_NONE && epoch <= c->installed)
		return "an epoch was installed that is not above the last";
	if (c->count == EVENTS_RECENT)
		return "more epochs stand than can";
	c->installed = epoch;
	c->standing[c->count++] = epoch;
	return NULL;
}

static inline uint32_t events_find(const struct events_channel *c, uint64_t epoch)
{
	uint32_t i = 0;

	while (i < c->count && c->standing[i] != epoch)
		i++;
	return i;
}

static inline const char *events_activated(struct events_channel *c, uint64_t epoch)
{
	if (events_find(c, epoch) == c->count)
		return "an epoch went into use that does not stand";
	if (c->activated != QKD_EPOCH_NONE && epoch <= c->activated)
		return "the outbound side went back";
	c->activated = epoch;
	return NULL;
}

static inline const char *events_retired(struct events_channel *c, uint64_t epoch)
{
	uint32_t i = events_find(c, epoch);

	/* One that was given up in the queue never stood; the next may stand by then. */
	if (i < c->count)
		c->standing[i] = c->standing[--c->count];
	return NULL;
}

static inline void events_added(struct events_channel *c)
{
	c->stands = true;
	c->installed = QKD_EPOCH_NONE;
	c->activated = QKD_EPOCH_NONE;
	c->count = 0;
}

static inline const char *events_of(struct events_channel *c, const struct qkd_event *e)
{
	switch (e->type) {
	case QKD_EVENT_INSTALLED:
		return events_installed(c, e->epoch);
	case QKD_EVENT_ACTIVATED:
		return events_activated(c, e->epoch);
	case QKD_EVENT_RETIRED:
		return events_retired(c, e->epoch);
	case QKD_EVENT_DELETED:
		c->stands = false;
		return NULL;
	case QKD_EVENT_ADDED:
		return "a channel was added twice";
	default:
		return NULL;
	}
}

/** events_next - the next event. Return: what is wrong with it, or NULL */
static inline const char *events_next(struct events *all, const struct qkd_event *e)
{
	struct events_channel *c;

	if (!e->channel || !e->time_ns || e->type < QKD_EVENT_INSTALLED ||
	    e->type > QKD_EVENT_DELETED || e->error > 0 || e->reserved16 || e->reserved[0] ||
	    e->reserved[1])
		return "an event that means nothing";
	if (e->lost) /* of whom is not known: each begins anew with its next ADDED */
		memset(all, 0, sizeof(*all));
	c = events_channel(all, e->channel);
	if (!c)
		return NULL;
	if (e->type == QKD_EVENT_ADDED && !c->stands)
		events_added(c);
	else if (c->stands)
		return events_of(c, e);
	return NULL;
}

#endif
