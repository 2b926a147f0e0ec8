/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long to wait before something that failed is tried again. */
#ifndef KM_BACKOFF_H
#define KM_BACKOFF_H

#include <stdint.h>

/**
 * km_backoff_ms - @min_ms after the first failure, doubled with each, at most @max_ms
 *
 * Half of it is at random, so that two ends do not march in step.
 */
uint64_t km_backoff_ms(unsigned int failures, uint64_t min_ms, uint64_t max_ms);

#endif
