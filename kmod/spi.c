// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A balanced Feistel network over the two 16-bit halves of an SPI, walked until
 * it lands outside the excluded ranges. A Feistel network is a permutation
 * whatever its round function; the walk keeps it one on the allowed SPIs.
 */
#include "spi.h"

#define RESERVED_END   0x100U	   /* first SPI that RFC 4303 leaves to us */
#define FOREIGN_FIRST  0xc0000000U /* strongSwan's range */
#define FOREIGN_LENGTH 0x10000000U

/* Round constants: 2^64 over the golden ratio, and two odd multipliers. */
#define STEP  0x9e3779b97f4a7c15ULL
#define MIX_1 0xff51afd7ed558ccdULL
#define MIX_2 0xc4ceb9fe1a85ec53ULL

static u64 load_le64(const u8 *p)
{
	u64 v = 0;
	int i;

	for (i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static u64 mix(u64 x)
{
	x = (x ^ (x >> 33)) * MIX_1;
	x = (x ^ (x >> 29)) * MIX_2;
	return x ^ (x >> 32);
}

static u32 permute(const struct qkd_spi_keys *keys, u32 x)
{
	u32 left = x >> 16, right = x & 0xffff;
	int i;

	for (i = 0; i < QKD_SPI_ROUNDS; i++) {
		u32 next = left ^ (mix(keys->round[i] + right) & 0xffff);

		left = right;
		right = next;
	}
	return left << 16 | right;
}

/* Both halves of the key and the direction go into every round. */
void qkd_spi_schedule(struct qkd_spi_keys *keys, const u8 key[16], enum qkd_direction direction)
{
	u64 low = load_le64(key), high = load_le64(key + 8);
	int i;

	for (i = 0; i < QKD_SPI_ROUNDS; i++)
		keys->round[i] = mix(mix(low + STEP * (2 * i + 1 + (u32)direction)) ^ high);
}

static int allowed(u32 spi)
{
	return spi >= RESERVED_END && spi - FOREIGN_FIRST >= FOREIGN_LENGTH;
}

u32 qkd_spi_permute(const struct qkd_spi_keys *keys, u64 epoch)
{
	u32 spi;

	if (epoch >= QKD_SPI_EPOCHS)
		return 0;
	spi = (u32)epoch + RESERVED_END;
	if (spi >= FOREIGN_FIRST)
		spi += FOREIGN_LENGTH;
	do
		spi = permute(keys, spi);
	while (!allowed(spi));
	return spi;
}

u32 qkd_spi(const u8 key[16], enum qkd_direction direction, u64 epoch)
{
	struct qkd_spi_keys keys;

	qkd_spi_schedule(&keys, key, direction);
	return qkd_spi_permute(&keys, epoch);
}
