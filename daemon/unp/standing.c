// SPDX-License-Identifier: GPL-2.0-or-later
/* The channels that stand in the backend; see standing.h. */
#include "unp/standing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct waiter {
	struct waiter *next;
	uint32_t *seen;
	backend_list_fn done;
	void *arg;
};

/**
 * struct standing
 * @refs: the owner's one, and one per answer to come
 * @number: of @list, counted from 1; 0 is no list's
 * @valid: @list may be shown
 * @asking: the backend was asked, and @waiters wait for its answer
 * @old: what comes is old already: something was deleted behind the question
 */
struct standing {
	struct loop *loop;
	unsigned int refs;
	struct qkd_channel *list;
	size_t count;
	uint32_t number;
	uint64_t came_ms;
	bool valid;
	bool asking;
	bool old;
	bool dead;
	struct waiter *waiters;
	struct waiter **last;
};

struct standing *standing_create(struct loop *loop)
{
	struct standing *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop;
	s->refs = 1;
	s->last = &s->waiters;
	return s;
}

static void put(struct standing *s)
{
	if (--s->refs)
		return;
	free(s->list);
	free(s);
}

static void answer(struct waiter *waiter, int err, const struct standing *s)
{
	while (waiter) {
		struct waiter *next = waiter->next;

		*waiter->seen = s->number;
		waiter->done(waiter->arg, err, err ? NULL : s->list, err ? 0 : s->count);
		free(waiter);
		waiter = next;
	}
}

void standing_destroy(struct standing *s)
{
	if (!s)
		return;
	s->dead = true;
	put(s);
}

static int keep(struct standing *s, const struct qkd_channel *records, size_t count)
{
	struct qkd_channel *copy = calloc(count ? count : 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, records, count * sizeof(*copy));
	free(s->list);
	s->list = copy;
	s->count = count;
	s->came_ms = loop_now_ms(s->loop);
	s->valid = !s->old;
	s->number = s->number == UINT32_MAX ? 1 : s->number + 1;
	return 0;
}

static void list_came(void *arg, int err, const void *records, size_t count)
{
	struct standing *s = arg;
	struct waiter *waiters = s->waiters;

	s->asking = false;
	s->waiters = NULL;
	s->last = &s->waiters;
	if (!err)
		err = s->dead ? -ECANCELED : keep(s, records, count);
	answer(waiters, err, s);
	put(s);
}

static bool can_show(const struct standing *s, uint32_t seen)
{
	return s->valid && seen != s->number && loop_now_ms(s->loop) - s->came_ms <= STANDING_MS;
}

/* The answer may come before the question has returned. */
static int start(struct standing *s, struct backend *backend)
{
	int err;

	s->asking = true;
	s->old = false;
	s->valid = false;
	s->refs++;
	err = backend_list_channels(backend, list_came, s);
	if (err) {
		s->asking = false;
		s->refs--;
	}
	return err;
}

static void append(struct standing *s, struct waiter *waiter)
{
	*s->last = waiter;
	s->last = &waiter->next;
}

int standing_ask(struct standing *s, struct backend *backend, uint32_t *seen, backend_list_fn done,
		 void *arg)
{
	struct waiter *waiter;
	int err;

	if (!s->asking && can_show(s, *seen)) {
		*seen = s->number;
		done(arg, 0, s->list, s->count);
		return 0;
	}
	waiter = malloc(sizeof(*waiter));
	if (!waiter)
		return -ENOMEM;
	*waiter = (struct waiter){.seen = seen, .done = done, .arg = arg};
	append(s, waiter);
	if (s->asking)
		return 0;
	err = start(s, backend);
	if (err) { /* then it waits alone */
		s->waiters = NULL;
		s->last = &s->waiters;
		free(waiter);
	}
	return err;
}

/* In its place: somebody may be reading the list just now. */
void standing_forget(struct standing *s, uint32_t id)
{
	size_t i;

	s->old = true;
	for (i = 0; i < s->count; i++)
		if (s->list[i].id == id)
			memset(&s->list[i], 0, sizeof(s->list[i]));
}

void standing_drop(struct standing *s)
{
	s->old = true;
	s->valid = false;
}
