// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kernel memory of an ESP channel at rest: one epoch in use, four ready.
 *
 *   channel_bytes CHANNELS TIMES
 *
 * Prints a line for each time CHANNELS more: bytes=, of free memory that went, for
 * one channel, and accounted=, what /proc/meminfo shows of that as the kernel's own.
 * The first line has in it what the module keeps for all channels together.
 */
#include <stdio.h>

#include "lib/bench.h"
#include "lib/device.h"

#define BATCH  64
#define READY  4
#define SETTLE 1500 /* ms: what goes after a grace period, and the pool's kworker */

struct memory {
	uint64_t free, accounted;
};

static FILE *open_file(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (!file)
		bench_die(path, errno);
	return file;
}

static void drop_caches(void)
{
	FILE *file = open_file("/proc/sys/vm/drop_caches", "we");

	if (fputs("3\n", file) < 0 || fclose(file))
		bench_die("/proc/sys/vm/drop_caches", errno);
}

static struct memory memory(void)
{
	static const char *const names[] = {"Slab", "Percpu", "VmallocUsed", "PageTables"};
	struct memory m = {0};
	unsigned long long kb;
	char line[128], name[64];
	FILE *file;

	drop_caches();
	bench_sleep(SETTLE);
	drop_caches();
	file = open_file("/proc/meminfo", "re");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[^:]: %llu", name, &kb) != 2)
			continue;
		if (!strcmp(name, "MemFree"))
			m.free = kb * 1024;
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (!strcmp(name, names[i]))
				m.accounted += kb * 1024;
	}
	fclose(file);
	return m;
}

static void add(struct client *c, uint32_t from, uint32_t channels)
{
	device_add_channels(c, from, channels);
	for (uint32_t done = 0; done < channels;) {
		uint32_t n = channels - done < BATCH ? channels - done : BATCH;

		device_activate(c, from + done, n, 0);
		for (uint32_t round = 1; round <= READY; round++)
			device_put(c, from + done, n, round);
		done += n;
	}
}

int main(int argc, char **argv)
{
	struct memory before, after;
	uint32_t channels, times;
	struct client c;

	if (argc != 3) {
		fprintf(stderr, "usage: channel_bytes CHANNELS TIMES\n");
		return 2;
	}
	channels = bench_number(argv[1], 1, PAIR_MAX);
	times = bench_number(argv[2], 1, PAIR_MAX / channels);
	device_open(&c);
	before = memory();
	for (uint32_t i = 0; i < times; i++) {
		add(&c, i * channels, channels);
		after = memory();
		printf("bytes=%.0f accounted=%.0f\n",
		       ((double)before.free - (double)after.free) / channels,
		       ((double)after.accounted - (double)before.accounted) / channels);
		before = after;
	}
	return 0;
}
