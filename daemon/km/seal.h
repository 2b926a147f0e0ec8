/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sealing: how key bytes rest on disk. AES-256-GCM under keys derived from the
 * master key, which a file of 32 octets holds.
 *
 * A sealed value is salt (16) || nonce (12) || ciphertext || tag (16). The
 * salt makes a new sealing key by HKDF at each start and after each 2^24
 * values, so that random nonces never get near their limit (2^32 values under
 * one key, NIST SP 800-38D 8.3).
 */
#ifndef KM_SEAL_H
#define KM_SEAL_H

#include "km/key_check.h"

#define SEAL_MASTER_BYTES 32
#define SEAL_SALT_BYTES	  16
#define SEAL_NONCE_BYTES  12
#define SEAL_TAG_BYTES	  16
#define SEAL_EXTRA_BYTES  (SEAL_SALT_BYTES + SEAL_NONCE_BYTES + SEAL_TAG_BYTES)
#define SEAL_VALUE_MAX	  64 /* octets of plain value */

struct seal; /* the master key and what is derived from it; in locked memory */

/**
 * seal_create - reads the master key
 * @file: a regular file of exactly 32 octets, not all zero, of our user or of
 *        root, that nobody else may read (mode 0600 or 0400)
 * @error: gets a sentence that names the file, what is wrong, and the way out
 * Return: 0, -ENOENT, -EACCES, -EPERM (owner or mode), -EINVAL (length or
 * content), -ENOMEM (locked memory), ...
 */
int seal_create(const char *file, struct seal **seal, char *error, size_t error_len);

/** Wipes. NULL is allowed. */
void seal_destroy(struct seal *seal);

/** Makes a new master key file, mode 0600, durable. -EEXIST: there is one. */
int seal_make_master_key(const char *file);

/**
 * seal_value - seals @len octets, 1 to SEAL_VALUE_MAX
 * @context: bound to the value: it opens with the same context only
 * @sealed: @len + SEAL_EXTRA_BYTES octets
 * Return: 0, -EINVAL, or -EIO if OpenSSL failed. One thread at a time.
 */
int seal_value(struct seal *seal, const void *context, size_t context_len, const uint8_t *value,
	       size_t len, uint8_t *sealed);

/**
 * seal_open - opens what seal_value() made
 * @value: @sealed_len - SEAL_EXTRA_BYTES octets; zeroed on error
 * Return: 0, -EBADMSG (other master key, other context, changed), -EIO.
 */
int seal_open(struct seal *seal, const void *context, size_t context_len, const uint8_t *sealed,
	      size_t sealed_len, uint8_t *value);

/** Secret for km_key_fingerprint(); lives as long as @seal. */
const uint8_t *seal_fingerprint_secret(const struct seal *seal);

#endif
