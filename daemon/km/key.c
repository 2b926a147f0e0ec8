// SPDX-License-Identifier: GPL-2.0-or-later
/* The text form of key IDs (UUID, RFC 4122 clause 3). */
#include "km/key.h"

#include <errno.h>
#include <string.h>

/** Where the hyphens are: 8-4-4-4-12. */
static bool hyphen_at(size_t pos)
{
	return pos == 8 || pos == 13 || pos == 18 || pos == 23;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

void km_key_id_format(const struct km_key_id *id, char text[KM_KEY_ID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	size_t pos = 0;

	for (size_t i = 0; i < sizeof(id->octet); i++) {
		if (hyphen_at(pos))
			text[pos++] = '-';
		text[pos++] = digits[id->octet[i] >> 4];
		text[pos++] = digits[id->octet[i] & 15];
	}
	text[pos] = '\0';
}

int km_key_id_parse(const char *text, struct km_key_id *id)
{
	struct km_key_id parsed;
	size_t pos = 0;

	if (!text || strnlen(text, KM_KEY_ID_TEXT) != KM_KEY_ID_TEXT - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(parsed.octet); i++) {
		int high, low;

		if (hyphen_at(pos) && text[pos++] != '-')
			return -EINVAL;
		high = nibble(text[pos++]);
		low = nibble(text[pos++]);
		if (high < 0 || low < 0)
			return -EINVAL;
		parsed.octet[i] = (uint8_t)(high << 4 | low);
	}
	*id = parsed;
	return 0;
}
