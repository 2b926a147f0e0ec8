/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may be told of a key: a check to the peer KM, a fingerprint to people. */
#ifndef KM_KEY_CHECK_H
#define KM_KEY_CHECK_H

#include "km/key.h"

#define KM_KEY_CHECK_BYTES	 16
#define KM_KEY_FINGERPRINT_TEXT	 9 /* 8 hexadecimal digits and the NUL */
#define KM_KEY_FINGERPRINT_BYTES 32

/**
 * km_key_check - equal at both ends if, and only if, ID and bytes are
 *
 * HKDF-SHA256(key, no salt, info "qkdkeyd kx check" || key ID), 16 octets
 * (docs/kx.md). It says nothing useful of the key, and no other derivation
 * uses that info.
 * Return: 0, or -EIO if OpenSSL failed.
 */
int km_key_check(const struct km_key *key, uint8_t check[KM_KEY_CHECK_BYTES]);

/**
 * km_key_fingerprint - names a key to people
 * @secret: of this store (store_fingerprint() has it): without it nobody can
 *          test a guess, or match keys of two nodes
 * @text: 8 hexadecimal digits
 * Return: 0, or -EIO if OpenSSL failed.
 */
int km_key_fingerprint(const uint8_t secret[KM_KEY_FINGERPRINT_BYTES], const struct km_key *key,
		       char text[KM_KEY_FINGERPRINT_TEXT]);

#endif
