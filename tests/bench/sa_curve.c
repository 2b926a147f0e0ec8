// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What it costs to put an SA into use, against the size of a batch and against the
 * number of SAs that stand already.
 *
 *   sa_curve netlink|qkd batch            1, 2, 4, ... 256 SAs or channels at a time
 *   sa_curve netlink|qkd standing MAX     with 100, 1000, ... MAX SAs
 *
 * Prints lines "X INSN". Unlike sa_cost, this leaves the removal of old SAs out: a
 * few channels cannot be given keys without pause, since old SAs have their grace
 * time. Netlink: NEWSA (one at a time if the number of SAs is what varies); qkd:
 * KEY_PUT, WATERMARK and ROLLOVER, 50 channels at a time.
 */
#include <stdio.h>
#include <string.h>

#include "lib/bench.h"
#include "lib/device.h"
#include "lib/xfrm.h"

#define BATCH_PAIRS    256
#define STANDING_PAIRS 50
#define ROUNDS	       8
#define SETTLE_MS      (3 * DEVICE_GRACE_MS)

struct curve {
	bool qkd;
	uint32_t pairs; /* that get new SAs */
	uint32_t batch;
	uint32_t round; /* last one that was installed */
	struct xfrm xfrm;
	struct client client;
};

static void activate_pairs(struct curve *c, uint32_t from, uint32_t pairs)
{
	for (uint32_t done = 0; done < pairs;) {
		uint32_t n = pairs - done < c->batch ? pairs - done : c->batch;

		if (c->qkd)
			device_activate(&c->client, from + done, n, c->round);
		for (uint32_t i = 0; i < n && !c->qkd; i++) {
			xfrm_new(&c->xfrm, from + done + i, c->round, false);
			xfrm_new(&c->xfrm, from + done + i, c->round, true);
		}
		done += n;
	}
	if (!c->qkd)
		xfrm_flush(&c->xfrm);
}

/* The module does this by itself. */
static void remove_old(struct curve *c)
{
	for (uint32_t pair = 0; pair < c->pairs && !c->qkd; pair++) {
		xfrm_delete(&c->xfrm, pair, c->round - 1, true);
		xfrm_delete(&c->xfrm, pair, c->round - 1, false);
	}
	if (!c->qkd)
		xfrm_flush(&c->xfrm);
	bench_sleep(SETTLE_MS);
}

/* Return: instructions for one SA, over several rounds; the first one is for warming up. */
static double cost(struct curve *c)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i <= ROUNDS; i++) {
		uint64_t start;

		c->round++;
		start = bench_now();
		activate_pairs(c, 0, c->pairs);
		if (i)
			sum += bench_now() - start;
		remove_old(c);
	}
	return (double)sum / (2.0 * c->pairs * ROUNDS);
}

/* The first SAs of pairs that have none yet. */
static void begin_pairs(struct curve *c, uint32_t from, uint32_t pairs)
{
	uint32_t round = c->round;

	c->round = 0;
	c->xfrm.batch = c->batch = 64;
	if (c->qkd)
		device_add_channels(&c->client, from, pairs);
	activate_pairs(c, from, pairs);
	c->round = round;
	bench_sleep(SETTLE_MS);
}

static void print_point(struct curve *c, uint32_t x)
{
	printf("%u %.0f\n", x, cost(c));
	fflush(stdout);
}

static void batches(struct curve *c)
{
	c->pairs = BATCH_PAIRS;
	begin_pairs(c, 0, c->pairs);
	for (uint32_t batch = 1; batch <= XFRM_BATCH_MAX; batch *= 2) {
		c->xfrm.batch = c->batch = batch;
		print_point(c, batch);
	}
}

static void standing(struct curve *c, uint32_t max)
{
	uint32_t pairs = 0;

	c->pairs = STANDING_PAIRS;
	for (uint32_t sas = 2 * STANDING_PAIRS; sas <= max; sas *= 10) {
		begin_pairs(c, pairs, sas / 2 - pairs);
		pairs = sas / 2;
		c->batch = STANDING_PAIRS;
		c->xfrm.batch = 1;
		print_point(c, sas);
	}
}

int main(int argc, char **argv)
{
	struct curve c = {0};

	if (argc < 3 || (strcmp(argv[1], "qkd") != 0 && strcmp(argv[1], "netlink") != 0) ||
	    (strcmp(argv[2], "standing") != 0 && strcmp(argv[2], "batch") != 0) ||
	    argc != (argv[2][0] == 's' ? 4 : 3)) {
		fprintf(stderr, "usage: sa_curve netlink|qkd batch|standing MAX\n");
		return 2;
	}
	c.qkd = !strcmp(argv[1], "qkd");
	if (c.qkd)
		device_open(&c.client);
	else
		xfrm_open(&c.xfrm, 1);
	if (argc == 3)
		batches(&c);
	else
		standing(&c, bench_number(argv[3], 2 * STANDING_PAIRS, 2 * PAIR_MAX));
	return 0;
}
