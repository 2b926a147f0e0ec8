/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all benchmark programs share: clocks, and how to give up. */
#ifndef QKD_BENCH_H
#define QKD_BENCH_H

#include <stdbool.h>
#include <stdint.h>

/** Ends the program: "NAME: @what: text of @err"; @err may be negative. */
_Noreturn void bench_die(const char *what, int err);

/** CLOCK_MONOTONIC in nanoseconds: guest instructions under tests/vm/run --icount. */
uint64_t bench_now(void);

/**
 * bench_idle - how long the processors have been idle, nanoseconds in steps of 10 ms
 *
 * Under the instruction counter an idle processor jumps to its next timer: what is
 * measured must not be idle.
 */
uint64_t bench_idle(void);

/**
 * bench_fill_idle - from now on a process that gives way to all others counts for as long
 * as the one processor has nothing else to do
 *
 * Its pace is measured first, for a second: that of the tenth of it in which the least
 * else was done.
 */
void bench_fill_idle(void);

/** What bench_now() says less that process's share, interrupts not in it. */
uint64_t bench_busy(void);

/** Sleeps for @ms milliseconds. */
void bench_sleep(uint32_t ms);

/** Where the measured part begins and ends, for tests/bench/profile: BENCH_CONTROL names a FIFO. */
void bench_measured(bool begins);

/** A number from the command line, @min to @max; else ends the program. */
uint32_t bench_number(const char *text, uint32_t min, uint32_t max);

#endif
