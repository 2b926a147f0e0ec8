/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other side: the same SAs through /dev/qkd, records in batches. */
#ifndef QKD_BENCH_DEVICE_H
#define QKD_BENCH_DEVICE_H

#include "pair.h"

#define DEVICE_BATCH_MAX 256
#define DEVICE_GRACE_MS	 100

/** Opens /dev/qkd in @c, with HELLO. */
void device_open(struct client *c);

/** @count records of the buffer; any that fails ends the program. */
void device_command(struct client *c, uint32_t op, uint32_t count, const char *what);

/** The record of the ESP tunnel channel of @pair; rolls over when told to. */
struct qkd_channel device_channel(uint32_t pair);

/** One such channel for each pair from @from on. */
void device_add_channels(struct client *c, uint32_t from, uint32_t pairs);

/** The same with these values of @like: lookahead, rollover_ms, soft_packets. */
void device_add_channels_like(struct client *c, uint32_t from, uint32_t pairs,
			      const struct qkd_channel *like);

/** KEY_PUT of the epoch of @round, for @n channels. */
void device_put(struct client *c, uint32_t from, uint32_t n, uint32_t round);

/** WATERMARK: the peer holds @round and all before it, and encrypts with the last of those. */
void device_watermark(struct client *c, uint32_t from, uint32_t n, uint32_t round);

/** ROLLOVER. */
void device_roll_over(struct client *c, uint32_t from, uint32_t n);

/** All three, the first round of a channel without ROLLOVER: it begins by itself. */
void device_activate(struct client *c, uint32_t from, uint32_t n, uint32_t round);

/** The sums of all channels' counters. */
struct device_sums {
	uint64_t installed, rollovers, retired, failed, exhausted, pool_hits, pool_misses;
};
struct device_sums device_sums(struct client *c, uint32_t pairs);

#endif
