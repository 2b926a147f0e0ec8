/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys that one end has taken and the other end has not yet: by ID, and by age. */
#ifndef QKDSIM_RESERVE_H
#define QKDSIM_RESERVE_H

#include "link.h"

#define RESERVE_BUCKETS 4096
#define RESERVE_MAX	100000

/** struct reserved - @for_side: the end that may collect it */
struct reserved {
	struct sim_key key;
	enum side for_side;
	uint64_t until_ms;
	struct reserved *chain; /* same bucket */
	struct reserved *newer;
	struct reserved *older;
};

struct reserve {
	struct reserved *bucket[RESERVE_BUCKETS];
	struct reserved *oldest;
	struct reserved *newest;
	unsigned int count;
};

/** Copies @key. 0, -ENOMEM. All keys must wait for the same time: oldest first out. */
int reserve_add(struct reserve *reserve, const struct sim_key *key, enum side for_side,
		uint64_t until_ms);

/** NULL if there is none. */
struct reserved *reserve_find(const struct reserve *reserve, const struct km_key_id *id);

/** Wipes and frees it. */
void reserve_remove(struct reserve *reserve, struct reserved *entry);

/** Removes what is due. Return: how many. */
unsigned int reserve_expire(struct reserve *reserve, uint64_t now_ms);

void reserve_clear(struct reserve *reserve);

#endif
