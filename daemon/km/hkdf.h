/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HKDF-SHA256 (RFC 5869), by OpenSSL. */
#ifndef KM_HKDF_H
#define KM_HKDF_H

#include <stddef.h>
#include <stdint.h>

/**
 * km_hkdf - extract and expand
 * @secret: input key material, @secret_len octets, not empty
 * @salt: may be empty (NULL, 0)
 * @info: what @out is for
 * @out: filled; zeroed on error
 * Return: 0, or -EIO if OpenSSL failed. Any thread.
 */
int km_hkdf(const void *secret, size_t secret_len, const void *salt, size_t salt_len,
	    const void *info, size_t info_len, uint8_t *out, size_t out_len);

#endif
