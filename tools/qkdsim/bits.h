/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A bounded store of secret octets: first in, first out, wiped when taken. */
#ifndef QKDSIM_BITS_H
#define QKDSIM_BITS_H

#include <stddef.h>
#include <stdint.h>

struct bits {
	uint8_t *octet;
	size_t capacity;
	size_t start;
	size_t count;
};

int bits_init(struct bits *bits, size_t capacity);
void bits_free(struct bits *bits);

/** Adds up to @octets random octets. Return: how many had room; negative errno. */
long bits_make(struct bits *bits, size_t octets);

/** Takes @octets; there must be as many. */
void bits_take(struct bits *bits, uint8_t *out, size_t octets);

#endif
