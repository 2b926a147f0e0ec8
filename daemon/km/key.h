/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QKD key and its name. Key bytes live in locked memory (km/secret.h) or on
 * a stack that is wiped; they are never printed. A key is named to people by
 * its key ID and a fingerprint.
 */
#ifndef KM_KEY_H
#define KM_KEY_H

#include <linux/qkd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** UUID (RFC 4122), network order. */
struct km_key_id {
	uint8_t octet[QKD_KEY_ID_BYTES];
};

#define KM_KEY_ID_TEXT 37 /* with the NUL */

/** struct km_key - @simulated: the source says it is no real QKD key */
struct km_key {
	struct km_key_id id;
	uint8_t value[QKD_KEY_BYTES];
	bool simulated;
};

/** Lower-case text form. */
void km_key_id_format(const struct km_key_id *id, char text[KM_KEY_ID_TEXT]);

/** Return: 0 or -EINVAL; takes exactly the 36-character form, either case. */
int km_key_id_parse(const char *text, struct km_key_id *id);

#endif
