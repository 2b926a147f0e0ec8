// SPDX-License-Identifier: GPL-2.0-or-later
#include "bits.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

int bits_init(struct bits *bits, size_t capacity)
{
	*bits = (struct bits){.capacity = capacity};
	bits->octet = malloc(capacity);
	return bits->octet ? 0 : -ENOMEM;
}

void bits_free(struct bits *bits)
{
	if (bits->octet)
		OPENSSL_cleanse(bits->octet, bits->capacity);
	free(bits->octet);
	*bits = (struct bits){0};
}

/* The part of [@from, @from + @octets) that lies in one piece. */
static size_t piece(const struct bits *bits, size_t from, size_t octets)
{
	size_t to_end = bits->capacity - from;

	return octets < to_end ? octets : to_end;
}

long bits_make(struct bits *bits, size_t octets)
{
	size_t left = bits->capacity - bits->count;

	if (octets > left)
		octets = left;
	left = octets;
	while (left) {
		size_t from = (bits->start + bits->count) % bits->capacity;
		size_t part = piece(bits, from, left);

		if (part > 65536)
			part = 65536;
		if (RAND_bytes(bits->octet + from, (int)part) != 1)
			return -EIO;
		bits->count += part;
		left -= part;
	}
	return (long)octets;
}

void bits_take(struct bits *bits, uint8_t *out, size_t octets)
{
	while (octets) {
		size_t part = piece(bits, bits->start, octets);

		memcpy(out, bits->octet + bits->start, part);
		OPENSSL_cleanse(bits->octet + bits->start, part);
		bits->start = (bits->start + part) % bits->capacity;
		bits->count -= part;
		out += part;
		octets -= part;
	}
}
