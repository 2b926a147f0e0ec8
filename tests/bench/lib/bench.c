// SPDX-License-Identifier: GPL-2.0-or-later
/* Clocks, and how to give up; see bench.h. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

/* In memory that both processes have. */
static volatile uint64_t *filled;
static double ns_per_fill;

static void fill_idle(void)
{
	const struct sched_param none = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &none))
		bench_die("SCHED_IDLE", errno);
	for (;; ++*filled)
		for (volatile int i = 0; i < 100; i++)
			;
}

static double pace(uint32_t ms)
{
	uint64_t start = bench_now(), count = *filled;

	bench_sleep(ms);
	return (double)(bench_now() - start) / (double)(*filled - count);
}

void bench_fill_idle(void)
{
	pid_t filler;

	filled = mmap(NULL, sizeof(*filled), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	filler = filled == MAP_FAILED ? -1 : fork();
	if (filler < 0)
		bench_die("a process for idle times", errno);
	if (!filler)
		fill_idle();
	ns_per_fill = pace(100);
	for (int i = 0; i < 10; i++) {
		double now = pace(100);

		ns_per_fill = now < ns_per_fill ? now : ns_per_fill;
	}
}

uint64_t bench_busy(void)
{
	return bench_now() - (uint64_t)(ns_per_fill * (double)*filled);
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
