/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SPI of an epoch: a keyed permutation, computed alike at both ends.
 *
 * It never repeats in a channel's life, and it spreads over the kernel's SPI
 * hash, where sequential SPIs pile up in a few chains. It keeps out of 0-255
 * (reserved, RFC 4303 clause 2.1) and of 0xc0000000-0xcfffffff (strongSwan's),
 * so that both key daemons can live on one host. It hides nothing: the key is
 * not secret.
 */
#ifndef QKD_SPI_H
#define QKD_SPI_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;
#endif

/** Epochs that have an SPI: 0 to QKD_SPI_EPOCHS - 1 (127 years at one a second). */
#define QKD_SPI_EPOCHS (0x100000000ULL - 0x100ULL - 0x10000000ULL)

/** Direction of the traffic, as both ends see it: by sender's address. */
enum qkd_direction {
	QKD_DIRECTION_LOW_TO_HIGH = 0, /* sender has the lower address */
	QKD_DIRECTION_HIGH_TO_LOW = 1,
};

#define QKD_SPI_ROUNDS 8

/** struct qkd_spi_keys - the permutation of one direction of a channel */
struct qkd_spi_keys {
	u64 round[QKD_SPI_ROUNDS];
};

/**
 * qkd_spi_schedule - the permutation of @direction
 * @key: qkd_channel.spi_key, 16 octets, taken as two little-endian integers
 */
void qkd_spi_schedule(struct qkd_spi_keys *keys, const u8 key[16], enum qkd_direction direction);

/**
 * qkd_spi_permute - the SPI of @epoch, host byte order
 * @epoch: below QKD_SPI_EPOCHS; else the SPI is 0
 */
u32 qkd_spi_permute(const struct qkd_spi_keys *keys, u64 epoch);

/** qkd_spi - both in one, for who needs a single one */
u32 qkd_spi(const u8 key[16], enum qkd_direction direction, u64 epoch);

#endif
