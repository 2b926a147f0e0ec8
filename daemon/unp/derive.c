// SPDX-License-Identifier: GPL-2.0-or-later
/* From a QKD key to the material of one epoch; see derive.h. */
#include "unp/derive.h"
#include "km/hkdf.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

static const char label[] = "qkdkeyd unp-QKDNp epoch 1"; /* with its NUL */

#define IKM_MAX	 (2 + QKD_KEY_BYTES + 2 + DERIVE_SECRET_BYTES)
#define INFO_LEN (sizeof(label) + QKD_NAME_BYTES + 8 + 4)

enum sender {
	SENDER_INITIATOR = 1,
	SENDER_RESPONDER = 2
};
enum purpose {
	PURPOSE_KEY = 1,
	PURPOSE_SALT = 2
};

/* Octets of salt that the cipher uses; negative: no such cipher. */
static int salt_bytes(enum qkd_cipher cipher)
{
	switch (cipher) {
	case QKD_CIPHER_AES_256_GCM:
	case QKD_CIPHER_CHACHA20_POLY1305:
		return QKD_ESP_SALT_BYTES;
	case QKD_CIPHER_GCM_AES_256:
		return 0;
	case QKD_CIPHER_GCM_AES_XPN_256:
		return QKD_SALT_BYTES;
	}
	return -EINVAL;
}

/* In constant time: whether all of it is zero. */
static bool all_zero(const uint8_t *octets, size_t len)
{
	uint8_t any = 0;

	while (len--)
		any |= *octets++;
	return !any;
}

static size_t append(uint8_t *ikm, size_t at, const uint8_t *octets, uint16_t len)
{
	ikm[at] = (uint8_t)(len >> 8);
	ikm[at + 1] = (uint8_t)len;
	memcpy(ikm + at + 2, octets, len);
	return at + 2 + len;
}

static void make_info(const struct derive *d, enum sender sender, enum purpose purpose,
		      uint8_t info[INFO_LEN])
{
	uint8_t *p = info + sizeof(label);
	int i;

	memset(info, 0, INFO_LEN);
	memcpy(info, label, sizeof(label));
	memcpy(p, d->channel, strlen(d->channel));
	p += QKD_NAME_BYTES;
	for (i = 0; i < 8; i++)
		*p++ = (uint8_t)(d->epoch >> (56 - 8 * i));
	*p++ = (uint8_t)sender;
	*p++ = (uint8_t)d->cipher;
	*p++ = d->combine == CONFIG_COMBINE_QKD_TLS ? 2 : 1;
	*p = (uint8_t)purpose;
}

static int derive_one(const struct derive *d, const uint8_t *ikm, size_t ikm_len,
		      enum sender sender, struct qkd_material *material)
{
	int salt = salt_bytes(d->cipher), err;
	uint8_t info[INFO_LEN];

	make_info(d, sender, PURPOSE_KEY, info);
	err = km_hkdf(ikm, ikm_len, NULL, 0, info, sizeof(info), material->key,
		      sizeof(material->key));
	if (err || !salt)
		return err;
	make_info(d, sender, PURPOSE_SALT, info);
	return km_hkdf(ikm, ikm_len, NULL, 0, info, sizeof(info), material->salt, (size_t)salt);
}

static int check(const struct derive *d, const uint8_t *key, size_t key_len)
{
	bool mixed = d->combine == CONFIG_COMBINE_QKD_TLS;

	if (salt_bytes(d->cipher) < 0 || !d->channel || !*d->channel ||
	    strlen(d->channel) >= QKD_NAME_BYTES)
		return -EINVAL;
	if (d->combine != CONFIG_COMBINE_QKD && !mixed)
		return -EINVAL;
	if (mixed != (d->secret != NULL))
		return -EKEYREJECTED;
	if (!key || key_len != QKD_KEY_BYTES || all_zero(key, key_len))
		return -EKEYREJECTED;
	if (mixed && all_zero(d->secret, DERIVE_SECRET_BYTES))
		return -EKEYREJECTED;
	return 0;
}

int derive_material(const struct derive *derive, const uint8_t *key, size_t key_len,
		    struct qkd_material *in, struct qkd_material *out)
{
	enum sender us = derive->initiator ? SENDER_INITIATOR : SENDER_RESPONDER;
	enum sender peer = derive->initiator ? SENDER_RESPONDER : SENDER_INITIATOR;
	uint8_t ikm[IKM_MAX];
	size_t len;
	int err;

	memset(in, 0, sizeof(*in));
	memset(out, 0, sizeof(*out));
	err = check(derive, key, key_len);
	if (err)
		return err;
	len = append(ikm, 0, key, QKD_KEY_BYTES);
	if (derive->combine == CONFIG_COMBINE_QKD_TLS)
		len = append(ikm, len, derive->secret, DERIVE_SECRET_BYTES);
	err = derive_one(derive, ikm, len, us, out);
	if (!err)
		err = derive_one(derive, ikm, len, peer, in);
	if (!err && !CRYPTO_memcmp(in->key, out->key, sizeof(in->key)))
		err = -EIO; /* cannot be; the module would refuse it too */
	if (err) {
		OPENSSL_cleanse(in, sizeof(*in));
		OPENSSL_cleanse(out, sizeof(*out));
	}
	OPENSSL_cleanse(ikm, sizeof(ikm));
	return err;
}
