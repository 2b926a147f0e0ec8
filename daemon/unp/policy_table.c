// SPDX-License-Identifier: GPL-2.0-or-later
/* Which policies are wanted; see policy_table.h. */
#include "unp/policy_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 16384U /* a channel has some four policies */
#define OWNERS	1024U

struct owner {
	struct owner *next;
	struct policy_want *first;
	char name[QKD_NAME_BYTES];
};

static struct policy_want *buckets[BUCKETS];
static struct owner *owners[OWNERS];

static struct policy_want **bucket_of(const struct policy_entry *entry)
{
	return &buckets[policy_entry_hash(entry) % BUCKETS];
}

static struct owner **owner_link(const char *name)
{
	uint32_t hash = 5381;
	struct owner **link;
	const char *at;

	for (at = name; *at; at++)
		hash = hash * 33 + (uint8_t)*at;
	link = &owners[hash % OWNERS];
	while (*link && strcmp((*link)->name, name))
		link = &(*link)->next;
	return link;
}

static void unhash(const struct policy_want *want)
{
	struct policy_want **link = bucket_of(&want->entry);

	while (*link && *link != want)
		link = &(*link)->next_alike;
	if (*link)
		*link = want->next_alike;
}

static void free_list(struct policy_want *first, bool hashed)
{
	struct policy_want *next;

	for (; first; first = next) {
		next = first->next_owned;
		if (hashed)
			unhash(first);
		free(first);
	}
}

/* In order. NULL: no memory, or @count is 0. */
static struct policy_want *make_list(const struct policy_entry *entries, size_t count)
{
	struct policy_want *first = NULL;

	while (count--) {
		struct policy_want *want = calloc(1, sizeof(*want));

		if (!want) {
			free_list(first, false);
			return NULL;
		}
		want->entry = entries[count];
		want->next_owned = first;
		first = want;
	}
	return first;
}

static struct owner *make_owner(struct owner **link, const char *name)
{
	struct owner *o = calloc(1, sizeof(*o));

	if (o) {
		snprintf(o->name, sizeof(o->name), "%s", name);
		*link = o;
	}
	return o;
}

int policy_table_set(const char *channel, const struct policy_entry *entries, size_t count)
{
	struct policy_want *list = make_list(entries, count), *want;
	struct owner **link = owner_link(channel), *o = *link;

	if (count && !list)
		return -ENOMEM;
	if (!o)
		o = make_owner(link, channel);
	if (!o) {
		free_list(list, false);
		return -ENOMEM;
	}
	free_list(o->first, true);
	o->first = list;
	for (want = list; want; want = want->next_owned) {
		struct policy_want **bucket = bucket_of(&want->entry);

		want->channel = o->name;
		want->next_alike = *bucket;
		*bucket = want;
	}
	return 0;
}

struct policy_want *policy_table_of(const char *channel)
{
	const struct owner *o = *owner_link(channel);

	return o ? o->first : NULL;
}

void policy_table_drop(const char *channel, struct policy_want *want)
{
	struct owner **link = owner_link(channel), *o = *link;
	struct policy_want **at;

	if (!o)
		return;
	for (at = &o->first; *at && *at != want; at = &(*at)->next_owned)
		;
	if (!*at)
		return;
	*at = want->next_owned;
	unhash(want);
	free(want);
	if (!o->first) {
		*link = o->next;
		free(o);
	}
}

struct policy_want *policy_table_find(const struct policy_entry *like,
				      const struct policy_want *after)
{
	struct policy_want *want = after ? after->next_alike : *bucket_of(like);

	while (want && !policy_entry_same_traffic(&want->entry, like))
		want = want->next_alike;
	return want;
}

const char *policy_table_other(const struct policy_entry *like, const char *channel)
{
	const struct policy_want *want = NULL;

	while ((want = policy_table_find(like, want)))
		if (strcmp(want->channel, channel))
			return want->channel;
	return NULL;
}

void policy_table_unsee(void)
{
	struct policy_want *want;
	size_t i;

	for (i = 0; i < BUCKETS; i++)
		for (want = buckets[i]; want; want = want->next_alike)
			want->seen = false;
}

int policy_table_unseen(int (*fn)(struct policy_want *want, void *arg), void *arg)
{
	struct policy_want *want;
	int err = 0;
	size_t i;

	for (i = 0; i < BUCKETS && !err; i++)
		for (want = buckets[i]; want && !err; want = want->next_alike)
			if (!want->seen)
				err = fn(want, arg);
	return err;
}

void policy_table_clear(void)
{
	struct owner *o;
	size_t i;

	for (i = 0; i < OWNERS; i++) {
		while ((o = owners[i])) {
			owners[i] = o->next;
			free_list(o->first, true);
			free(o);
		}
	}
}
