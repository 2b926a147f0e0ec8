// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses, SPIs and keys of the measured SAs; see pair.h. */
#include <arpa/inet.h>

#include "pair.h"
#include "spi.h"

const uint8_t pair_spi_key[16] = "sa_cost spi key";

uint32_t pair_local(void)
{
	return htonl(0xc0000201); /* 192.0.2.1 */
}

/* Each step can be undone within 24 bits, so no two pairs meet. */
uint32_t pair_remote(uint32_t pair)
{
	uint32_t x = pair & 0xffffff;

	x = (x * 0x9e3779b1U) & 0xffffff;
	x ^= x >> 12;
	x = (x * 0x85ebca6bU) & 0xffffff;
	x ^= x >> 12;
	return htonl(0x0b000000 | x);
}

uint64_t pair_epoch(uint32_t pair, uint32_t round)
{
	return (uint64_t)round * PAIR_MAX + pair;
}

/* This end has the higher address. */
uint32_t pair_spi(uint32_t pair, uint32_t round, bool out)
{
	return htonl(qkd_spi(pair_spi_key,
			     out ? QKD_DIRECTION_HIGH_TO_LOW : QKD_DIRECTION_LOW_TO_HIGH,
			     pair_epoch(pair, round)));
}

void pair_material(struct qkd_material *m, uint32_t pair, uint32_t round, bool out)
{
	uint64_t seed = pair_epoch(pair, round) * 2 + out;
	uint64_t word;

	for (size_t i = 0; i < sizeof(m->key); i += sizeof(word)) {
		word = client_mix(seed + (i << 56));
		memcpy(m->key + i, &word, sizeof(word));
	}
	memset(m->salt, 0, sizeof(m->salt));
	memcpy(m->salt, m->key + 3, QKD_ESP_SALT_BYTES);
	m->reserved = 0;
}
