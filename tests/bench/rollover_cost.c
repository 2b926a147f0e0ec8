// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a whole rollover of a channel costs at one end: its next key arrives, the
 * inbound SA is installed, the outbound one switched, the old pair removed.
 *
 *   rollover_cost CHANNELS SECONDS
 *
 * The channels roll over by themselves once a second; a KM that plays the peer too
 * gives them keys at the same pace. Prints rollover_insn=: everything that the
 * machine did, timers and all, divided by the rollovers. For one processor.
 */
#include <stdio.h>

#include "lib/bench.h"
#include "lib/device.h"

#define BATCH	    64
#define ROLLOVER_MS 1000
#define AHEAD	    2 /* epochs ready at the least */
#define WARM_UP	    3 /* seconds: old SAs go, too */

struct feeder {
	struct client client;
	uint32_t channels;
	uint64_t start;
};

static void wait_until(uint64_t when)
{
	uint64_t now = bench_now();

	if (now > when + ROLLOVER_MS * 1000000ULL)
		bench_die("the guest is too slow for so many channels", ETIMEDOUT);
	if (now < when)
		bench_sleep((uint32_t)((when - now) / 1000000 + 1));
}

static void feed(struct feeder *f, uint32_t from, uint32_t n, uint32_t round)
{
	device_put(&f->client, from, n, round);
	device_watermark(&f->client, from, n, round);
}

/* In the course of a second each batch of channels gets its keys for that second. */
static void feed_second(struct feeder *f, uint32_t second)
{
	for (uint32_t done = 0; done < f->channels;) {
		uint32_t left = f->channels - done, n = left < BATCH ? left : BATCH;

		wait_until(f->start + (second + (double)done / f->channels) * 1e9);
		for (uint32_t round = 0; round < AHEAD && !second; round++)
			feed(f, done, n, round);
		feed(f, done, n, second + AHEAD);
		done += n;
	}
}

int main(int argc, char **argv)
{
	struct qkd_channel like = device_channel(0);
	struct device_sums before, after;
	uint32_t seconds, second = 0;
	struct feeder f;
	uint64_t busy;

	if (argc != 3) {
		fprintf(stderr, "usage: rollover_cost CHANNELS SECONDS\n");
		return 2;
	}
	f.channels = bench_number(argv[1], 1, PAIR_MAX);
	seconds = bench_number(argv[2], 1, 3600);
	like.rollover_ms = ROLLOVER_MS;
	bench_fill_idle();
	device_open(&f.client);
	device_add_channels_like(&f.client, 0, f.channels, &like);
	f.start = bench_now();
	while (second < WARM_UP)
		feed_second(&f, second++);
	before = device_sums(&f.client, f.channels);
	bench_measured(true);
	wait_until(f.start + second * 1000000000ULL);
	busy = bench_busy();
	while (second < WARM_UP + seconds)
		feed_second(&f, second++);
	wait_until(f.start + second * 1000000000ULL);
	busy = bench_busy() - busy;
	bench_measured(false);
	after = device_sums(&f.client, f.channels);
	printf("rollover_insn=%.0f rollovers=%.2f retired=%.2f exhausted=%llu pool_misses=%llu\n",
	       (double)busy / ((double)f.channels * seconds),
	       (double)(after.rollovers - before.rollovers) / f.channels,
	       (double)(after.retired - before.retired) / f.channels,
	       (unsigned long long)(after.exhausted - before.exhausted),
	       (unsigned long long)(after.pool_misses - before.pool_misses));
	return 0;
}
