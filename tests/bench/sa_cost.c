// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one ESP SA costs in the steady state, where each SA that goes in replaces
 * one that goes out: by netlink, as key daemons do, and through /dev/qkd.
 *
 *   sa_cost netlink PAIRS BATCH       NEWSA and DELSA; BATCH 1: each acknowledged
 *   sa_cost netlink-add PAIRS BATCH   NEWSA alone: the number of SAs grows
 *   sa_cost qkd PAIRS BATCH           KEY_PUT, WATERMARK, ROLLOVER; the module
 *                                     removes the old ones when their grace time ends
 *
 * Each round gives each pair, an inbound and an outbound SA, new keys. Rounds warm
 * up, then others are measured, with what the kernel does later of the ones before:
 * the processor is never idle. It prints nanoseconds, which under QEMU's instruction
 * counter are guest instructions (tests/vm/run --icount).
 */
#include <stdio.h>
#include <string.h>

#include "lib/bench.h"
#include "lib/device.h"
#include "lib/xfrm.h"

/* Old SAs go after DEVICE_GRACE_MS: several such times, and several rounds. */
#define WARM_NS	   3000000000ULL
#define MEASURE_NS 1000000000ULL
#define ROUNDS_MIN 4

struct bench {
	uint32_t pairs;
	uint32_t batch;
	uint32_t round;
	struct xfrm xfrm;
	struct client client;
	void (*run)(struct bench *);
};

static void replace_by_netlink(struct bench *b)
{
	for (uint32_t pair = 0; pair < b->pairs; pair++) {
		xfrm_new(&b->xfrm, pair, b->round, false);
		xfrm_new(&b->xfrm, pair, b->round, true);
		if (!b->round)
			continue;
		xfrm_delete(&b->xfrm, pair, b->round - 1, true);
		xfrm_delete(&b->xfrm, pair, b->round - 1, false);
	}
	xfrm_flush(&b->xfrm);
}

static void add_by_netlink(struct bench *b)
{
	for (uint32_t pair = 0; pair < b->pairs; pair++) {
		xfrm_new(&b->xfrm, pair, b->round, false);
		xfrm_new(&b->xfrm, pair, b->round, true);
	}
	xfrm_flush(&b->xfrm);
}

static void replace_by_device(struct bench *b)
{
	for (uint32_t done = 0; done < b->pairs;) {
		uint32_t n = b->pairs - done < b->batch ? b->pairs - done : b->batch;

		device_activate(&b->client, done, n, b->round);
		done += n;
	}
}

/* Return: rounds run. */
static uint32_t run_for(struct bench *b, uint64_t ns, uint32_t min)
{
	uint64_t start = bench_now();
	uint32_t first = b->round;

	while (b->round - first < min || bench_now() - start < ns) {
		b->run(b);
		b->round++;
	}
	return b->round - first;
}

/* Prints NAME=VALUE, for the measured part. */
static void measure(struct bench *b, uint64_t ns, uint32_t min)
{
	uint64_t idle, start, cost;
	uint32_t rounds;

	bench_measured(true);
	idle = bench_idle();
	start = bench_now();
	rounds = run_for(b, ns, min);
	cost = bench_now() - start;
	idle = bench_idle() - idle;
	bench_measured(false);
	printf("insn_per_sa=%.0f rounds=%u idle_percent=%.1f",
	       (double)cost / (2.0 * b->pairs * rounds), rounds,
	       100.0 * (double)idle / (double)cost);
}

static void print_sums(const struct device_sums *from, const struct device_sums *to)
{
	printf(" installed=%llu rollovers=%llu retired=%llu failed=%llu pool_hits=%llu "
	       "pool_misses=%llu",
	       (unsigned long long)(to->installed - from->installed),
	       (unsigned long long)(to->rollovers - from->rollovers),
	       (unsigned long long)(to->retired - from->retired),
	       (unsigned long long)(to->failed - from->failed),
	       (unsigned long long)(to->pool_hits - from->pool_hits),
	       (unsigned long long)(to->pool_misses - from->pool_misses));
}

static void measure_device(struct bench *b)
{
	struct device_sums before, after;

	b->run = replace_by_device;
	device_open(&b->client);
	device_add_channels(&b->client, 0, b->pairs);
	run_for(b, WARM_NS, ROUNDS_MIN);
	before = device_sums(&b->client, b->pairs);
	run_for(b, 0, 1); /* what became due meanwhile */
	measure(b, MEASURE_NS, ROUNDS_MIN);
	after = device_sums(&b->client, b->pairs);
	print_sums(&before, &after);
}

int main(int argc, char **argv)
{
	struct bench b = {0};

	if (argc != 4) {
		fprintf(stderr, "usage: sa_cost netlink|netlink-add|qkd PAIRS BATCH\n");
		return 2;
	}
	b.pairs = bench_number(argv[2], 1, PAIR_MAX);
	b.batch = bench_number(argv[3], 1, XFRM_BATCH_MAX);
	if (!strcmp(argv[1], "qkd")) {
		measure_device(&b);
	} else if (!strcmp(argv[1], "netlink")) {
		b.run = replace_by_netlink;
		xfrm_open(&b.xfrm, b.batch);
		run_for(&b, WARM_NS, ROUNDS_MIN);
		measure(&b, MEASURE_NS, ROUNDS_MIN);
	} else if (!strcmp(argv[1], "netlink-add")) {
		b.run = add_by_netlink;
		xfrm_open(&b.xfrm, b.batch);
		run_for(&b, 0, 1);
		measure(&b, 0, 1);
	} else {
		return 2;
	}
	putchar('\n');
	return 0;
}
