// SPDX-License-Identifier: GPL-2.0-or-later
#include "link.h"
#include "bits.h"
#include "reserve.h"
#include "say.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 50

struct link {
	struct loop *loop;
	struct link_settings settings;
	struct loop_timer tick;
	uint64_t ticked_ms;
	double credit_bits; /* made, but not yet a whole octet */
	bool cut;
	double forced_qber; /* negative: none */
	struct rate_result rate;
	struct bits bits;
	struct reserve reserve;
	uint64_t made_bits;
	uint64_t taken_keys;
	uint64_t collected_keys;
	uint64_t expired_keys;
};

static size_t key_octets(const struct link *link)
{
	return link->settings.key_bits / 8;
}

/* Secret bits per second, as things are. */
static double current_rate(const struct link *link)
{
	if (link->cut || link->rate.aborted)
		return 0;
	if (link->settings.keys_per_s >= 0)
		return link->settings.keys_per_s * link->settings.key_bits;
	return link->rate.bits_per_s;
}

static void make_bits(struct link *link, double bits)
{
	double room = (double)(link->bits.capacity - link->bits.count) * 8;
	long made;

	link->credit_bits += bits;
	/* A full store discards: credit must not grow into a burst. */
	if (link->credit_bits > room)
		link->credit_bits = room;
	made = bits_make(&link->bits, (size_t)(link->credit_bits / 8));
	if (made < 0) {
		say("no random bytes from OpenSSL: no keys");
		return;
	}
	link->credit_bits -= (double)made * 8;
	link->made_bits += (uint64_t)made * 8;
}

/* Brings the store up to the present, at the rate that held until now. */
static void catch_up(struct link *link)
{
	uint64_t now = loop_now_ms(link->loop);

	make_bits(link, current_rate(link) * (double)(now - link->ticked_ms) / 1000);
	link->ticked_ms = now;
	link->expired_keys += reserve_expire(&link->reserve, now);
}

static void tick(void *arg)
{
	struct link *link = arg;

	catch_up(link);
	loop_timer_set(link->loop, &link->tick, TICK_MS);
}

int link_create(struct loop *loop, const struct link_settings *settings, struct link **link)
{
	struct link *made = calloc(1, sizeof(*made));
	int rc;

	if (!made)
		return -ENOMEM;
	made->loop = loop;
	made->settings = *settings;
	made->forced_qber = -1;
	made->rate = rate_compute(&settings->physics, -1);
	made->ticked_ms = loop_now_ms(loop);
	made->tick.fire = tick;
	made->tick.arg = made;
	rc = bits_init(&made->bits, (size_t)settings->max_keys * (settings->key_bits / 8));
	if (rc)
		goto free_link;
	rc = loop_timer_set(loop, &made->tick, TICK_MS);
	if (rc)
		goto free_bits;
	*link = made;
	return 0;
free_bits:
	bits_free(&made->bits);
free_link:
	free(made);
	return rc;
}

void link_destroy(struct link *link)
{
	if (!link)
		return;
	loop_timer_cancel(link->loop, &link->tick);
	bits_free(&link->bits);
	reserve_clear(&link->reserve);
	free(link);
}

void link_cut(struct link *link, bool cut)
{
	catch_up(link);
	link->cut = cut;
}

void link_force_qber(struct link *link, double qber)
{
	catch_up(link);
	link->forced_qber = qber;
	link->rate = rate_compute(&link->settings.physics, qber);
}

/* UUID of version 4 (RFC 4122, 4.4). */
static int random_id(struct km_key_id *id)
{
	if (RAND_bytes(id->octet, sizeof(id->octet)) != 1)
		return -EIO;
	id->octet[6] = (uint8_t)((id->octet[6] & 0x0f) | 0x40);
	id->octet[8] = (uint8_t)((id->octet[8] & 0x3f) | 0x80);
	return 0;
}

static int take_one(struct link *link, enum side side, size_t octets, struct sim_key *key)
{
	uint64_t until = loop_now_ms(link->loop) + (uint64_t)link->settings.hold_s * 1000;
	int rc = random_id(&key->id);

	if (rc)
		return rc;
	key->octets = octets;
	bits_take(&link->bits, key->value, octets);
	return reserve_add(&link->reserve, key, other_side(side), until);
}

int link_take(struct link *link, enum side side, unsigned int count, size_t octets,
	      struct sim_key *keys)
{
	int rc = 0;

	catch_up(link);
	if (link->bits.count < count * octets)
		return -EAGAIN;
	if (link->reserve.count + count > RESERVE_MAX)
		return -ENOSPC;
	for (unsigned int i = 0; i < count && !rc; i++)
		rc = take_one(link, side, octets, &keys[i]);
	if (rc)
		OPENSSL_cleanse(keys, count * sizeof(*keys));
	else
		link->taken_keys += count;
	return rc;
}

int link_collect(struct link *link, enum side side, const struct km_key_id *ids, unsigned int count,
		 struct sim_key *keys)
{
	bool missing = false;

	catch_up(link);
	for (unsigned int i = 0; i < count; i++) {
		const struct reserved *entry = reserve_find(&link->reserve, &ids[i]);

		if (entry && entry->for_side != side)
			return -EACCES;
		missing |= !entry;
	}
	if (missing)
		return -ENOENT;
	for (unsigned int i = 0; i < count; i++) {
		struct reserved *entry = reserve_find(&link->reserve, &ids[i]);

		keys[i] = entry->key;
		reserve_remove(&link->reserve, entry);
	}
	link->collected_keys += count;
	return 0;
}

struct link_report link_report(const struct link *link)
{
	return (struct link_report){
		.rate = link->rate,
		.cut = link->cut,
		.qber_forced = link->forced_qber >= 0,
		.rate_forced = link->settings.keys_per_s >= 0,
		.bits_per_s = current_rate(link),
		.stored = (unsigned int)(link->bits.count / key_octets(link)),
		.reserved = link->reserve.count,
		.made_bits = link->made_bits,
		.taken_keys = link->taken_keys,
		.collected_keys = link->collected_keys,
		.expired_keys = link->expired_keys,
	};
}

const struct link_settings *link_settings(const struct link *link)
{
	return &link->settings;
}
