// SPDX-License-Identifier: GPL-2.0-or-later
/* What may be told of a key. */
#include "km/key_check.h"

#include "km/hkdf.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

int km_key_check(const struct km_key *key, uint8_t check[KM_KEY_CHECK_BYTES])
{
	static const char label[16] = "qkdkeyd kx check"; /* without a NUL */
	uint8_t info[sizeof(label) + sizeof(key->id)];

	memcpy(info, label, sizeof(label));
	memcpy(info + sizeof(label), &key->id, sizeof(key->id));
	return km_hkdf(key->value, sizeof(key->value), NULL, 0, info, sizeof(info), check,
		       KM_KEY_CHECK_BYTES);
}

int km_key_fingerprint(const uint8_t secret[KM_KEY_FINGERPRINT_BYTES], const struct km_key *key,
		       char text[KM_KEY_FINGERPRINT_TEXT])
{
	uint8_t input[sizeof(key->id) + sizeof(key->value)];
	uint8_t mac[EVP_MAX_MD_SIZE] = {0};
	int err = 0;

	memcpy(input, &key->id, sizeof(key->id));
	memcpy(input + sizeof(key->id), key->value, sizeof(key->value));
	if (!HMAC(EVP_sha256(), secret, KM_KEY_FINGERPRINT_BYTES, input, sizeof(input), mac, NULL))
		err = -EIO;
	snprintf(text, KM_KEY_FINGERPRINT_TEXT, "%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3]);
	OPENSSL_cleanse(input, sizeof(input));
	OPENSSL_cleanse(mac, sizeof(mac));
	return err;
}
