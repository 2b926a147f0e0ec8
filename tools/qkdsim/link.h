/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The simulated link: makes secret bits at the rate of the formula, holds them
 * at both ends, and remembers which keys one end has taken until the other end
 * takes its copy.
 */
#ifndef QKDSIM_LINK_H
#define QKDSIM_LINK_H

#include "km/key.h"
#include "loop/loop.h"
#include "rate.h"

#define LINK_KEY_OCTETS_MAX 128
#define LINK_REQUEST_MAX    128

enum side {
	SIDE_A,
	SIDE_B,
	SIDES,
};

static inline enum side other_side(enum side side)
{
	return side == SIDE_A ? SIDE_B : SIDE_A;
}

/**
 * struct link_settings
 * @keys_per_s: keys of @key_bits a second instead of the formula's rate; < 0: formula
 * @max_keys: what is stored at most, in keys of @key_bits
 * @hold_s: how long a key that one end took waits for the other end
 */
struct link_settings {
	struct rate_link physics;
	double keys_per_s;
	unsigned int key_bits;
	unsigned int max_keys;
	unsigned int hold_s;
};

struct sim_key {
	struct km_key_id id;
	size_t octets;
	uint8_t value[LINK_KEY_OCTETS_MAX];
};

/**
 * struct link_report - the state of the link
 * @bits_per_s: what is made now; 0 while cut, aborted
 * @stored: keys of the default size
 */
struct link_report {
	struct rate_result rate;
	bool cut;
	bool qber_forced;
	bool rate_forced;
	double bits_per_s;
	unsigned int stored;
	unsigned int reserved;
	uint64_t made_bits;
	uint64_t taken_keys;
	uint64_t collected_keys;
	uint64_t expired_keys;
};

struct link;

int link_create(struct loop *loop, const struct link_settings *settings, struct link **link);

/** Wipes what is stored. */
void link_destroy(struct link *link);

void link_cut(struct link *link, bool cut);

/** @qber: 0 to 0.5, or negative: what the link has by itself. */
void link_force_qber(struct link *link, double qber);

/**
 * link_take - @side takes @count new keys (as master); the other side may collect them
 * Return: 0; -EAGAIN: not enough; -ENOSPC: too many wait to be collected.
 */
int link_take(struct link *link, enum side side, unsigned int count, size_t octets,
	      struct sim_key *keys);

/**
 * link_collect - @side collects the keys @ids that the other side took
 * Return: 0; -ENOENT: one is not there; -EACCES: one is not @side's to
 *         collect. On error none is collected.
 */
int link_collect(struct link *link, enum side side, const struct km_key_id *ids, unsigned int count,
		 struct sim_key *keys);

struct link_report link_report(const struct link *link);
const struct link_settings *link_settings(const struct link *link);

#endif
