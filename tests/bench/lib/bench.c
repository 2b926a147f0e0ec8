// SPDX-License-Identifier: GPL-2.0-or-later
/* Clocks, and how to give up; see bench.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

_Noreturn void bench_die(const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(abs(err)));
	exit(1);
}

uint64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

uint64_t bench_idle(void)
{
	FILE *file = fopen("/proc/stat", "re");
	unsigned long long idle, waiting;

	/* A processor that is idle while somebody waits for a device counts as waiting. */
	if (!file || fscanf(file, "cpu %*u %*u %*u %llu %llu", &idle, &waiting) != 2)
		bench_die("/proc/stat", errno);
	fclose(file);
	return (idle + waiting) * (1000000000ULL / sysconf(_SC_CLK_TCK));
}

uint64_t bench_busy(void)
{
	return bench_now() - bench_idle();
}

void bench_sleep(uint32_t ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}

void bench_measured(bool begins)
{
	const char *path = getenv("BENCH_CONTROL");
	FILE *fifo = path ? fopen(path, "we") : NULL;

	if (!fifo)
		return;
	fputs(begins ? "enable\n" : "disable\n", fifo);
	fclose(fifo);
	bench_sleep(100);
}

uint32_t bench_number(const char *text, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || n < min || n > max) {
		fprintf(stderr, "%s: '%s' is not a number from %u to %u\n",
			program_invocation_short_name, text, min, max);
		exit(2);
	}
	return n;
}
