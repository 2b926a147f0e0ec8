// SPDX-License-Identifier: GPL-2.0-or-later
#include "reserve.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static struct reserved **bucket_of(struct reserve *reserve, const struct km_key_id *id)
{
	/* The IDs are random: any octets of them are a hash. */
	unsigned int hash = (unsigned int)id->octet[0] << 8 | id->octet[1];

	return &reserve->bucket[hash % RESERVE_BUCKETS];
}

int reserve_add(struct reserve *reserve, const struct sim_key *key, enum side for_side,
		uint64_t until_ms)
{
	struct reserved *entry = calloc(1, sizeof(*entry));
	struct reserved **bucket = bucket_of(reserve, &key->id);

	if (!entry)
		return -ENOMEM;
	entry->key = *key;
	entry->for_side = for_side;
	entry->until_ms = until_ms;
	entry->chain = *bucket;
	*bucket = entry;
	entry->older = reserve->newest;
	if (entry->older)
		entry->older->newer = entry;
	else
		reserve->oldest = entry;
	reserve->newest = entry;
	reserve->count++;
	return 0;
}

struct reserved *reserve_find(const struct reserve *reserve, const struct km_key_id *id)
{
	struct reserved *entry = *bucket_of((struct reserve *)reserve, id);

	while (entry && memcmp(&entry->key.id, id, sizeof(*id)) != 0)
		entry = entry->chain;
	return entry;
}

void reserve_remove(struct reserve *reserve, struct reserved *entry)
{
	struct reserved **link = bucket_of(reserve, &entry->key.id);

	while (*link != entry)
		link = &(*link)->chain;
	*link = entry->chain;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		reserve->oldest = entry->newer;
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		reserve->newest = entry->older;
	reserve->count--;
	OPENSSL_cleanse(entry, sizeof(*entry));
	free(entry);
}

unsigned int reserve_expire(struct reserve *reserve, uint64_t now_ms)
{
	unsigned int expired = 0;

	while (reserve->oldest && reserve->oldest->until_ms <= now_ms) {
		reserve_remove(reserve, reserve->oldest);
		expired++;
	}
	return expired;
}

void reserve_clear(struct reserve *reserve)
{
	while (reserve->oldest)
		reserve_remove(reserve, reserve->oldest);
}
