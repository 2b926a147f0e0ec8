/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SAs that both sides of a comparison get: the same addresses, request IDs,
 * SPIs and amounts of key material, since hash chains are part of the cost.
 *
 * A pair is an inbound and an outbound SA with one peer; pair N has request ID and
 * channel N + 1. Peers' addresses are spread: in sequence, as request IDs are, the
 * two would cancel out in the kernel's hash, and chains would be all that is measured.
 */
#ifndef QKD_BENCH_PAIR_H
#define QKD_BENCH_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "../../vm/qkdclient.h"

#define PAIR_MAX 100000

extern const uint8_t pair_spi_key[16];

/** Address of this end, network order. */
uint32_t pair_local(void);

/** Address of the peer of @pair, network order, in 11.0.0.0/8. */
uint32_t pair_remote(uint32_t pair);

/** The epoch number of a pair in @round: no two pairs share one, so SPIs differ. */
uint64_t pair_epoch(uint32_t pair, uint32_t round);

/** SPI in network order. */
uint32_t pair_spi(uint32_t pair, uint32_t round, bool out);

/** Key and ESP salt. */
void pair_material(struct qkd_material *m, uint32_t pair, uint32_t round, bool out);

#endif
