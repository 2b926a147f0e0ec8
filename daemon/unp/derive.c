// SPDX-License-Identifier: GPL-2.0-or-later
/* From a QKD key to the material of one epoch; see derive.h. */
#include "unp/derive.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

static const char label[] = "qkdkeyd unp-QKDNp epoch 1"; /* with its NUL */

#define PRK_BYTES 32
#define IKM_MAX	  (2 + QKD_KEY_BYTES + 2 + DERIVE_SECRET_BYTES)
#define INFO_LEN  (sizeof(label) + QKD_NAME_BYTES + 8 + 4)

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

/* One HKDF step, extract or expand. */
static int hkdf(EVP_KDF_CTX *ctx, int mode, const uint8_t *key, size_t key_len, const uint8_t *info,
		size_t info_len, uint8_t *result, size_t len)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[5], *p = params;

	*p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_len);
	if (info)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info,
							 info_len);
	*p = OSSL_PARAM_construct_end();
	EVP_KDF_CTX_reset(ctx);
	return EVP_KDF_derive(ctx, result, len, params) > 0 ? 0 : -EIO;
}

static int expand(EVP_KDF_CTX *ctx, const struct derive *d, const uint8_t prk[PRK_BYTES],
		  enum sender sender, struct qkd_material *material)
{
	int salt = salt_bytes(d->cipher), err;
	uint8_t info[INFO_LEN];

	make_info(d, sender, PURPOSE_KEY, info);
	err = hkdf(ctx, EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, PRK_BYTES, info, sizeof(info),
		   material->key, sizeof(material->key));
	if (err || !salt)
		return err;
	make_info(d, sender, PURPOSE_SALT, info);
	return hkdf(ctx, EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, PRK_BYTES, info, sizeof(info),
		    material->salt, (size_t)salt);
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

static int derive_both(EVP_KDF_CTX *ctx, const struct derive *d, const uint8_t *key,
		       struct qkd_material *in, struct qkd_material *out)
{
	uint8_t ikm[IKM_MAX], prk[PRK_BYTES];
	size_t len = append(ikm, 0, key, QKD_KEY_BYTES);
	int err;

	if (d->combine == CONFIG_COMBINE_QKD_TLS)
		len = append(ikm, len, d->secret, DERIVE_SECRET_BYTES);
	err = hkdf(ctx, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, ikm, len, NULL, 0, prk, sizeof(prk));
	if (!err)
		err = expand(ctx, d, prk, d->initiator ? SENDER_INITIATOR : SENDER_RESPONDER, out);
	if (!err)
		err = expand(ctx, d, prk, d->initiator ? SENDER_RESPONDER : SENDER_INITIATOR, in);
	OPENSSL_cleanse(ikm, sizeof(ikm));
	OPENSSL_cleanse(prk, sizeof(prk));
	return err;
}

int derive_material(const struct derive *derive, const uint8_t *key, size_t key_len,
		    struct qkd_material *in, struct qkd_material *out)
{
	EVP_KDF_CTX *ctx = NULL;
	EVP_KDF *kdf = NULL;
	int err;

	memset(in, 0, sizeof(*in));
	memset(out, 0, sizeof(*out));
	err = check(derive, key, key_len);
	if (err)
		return err;
	err = -ENOMEM;
	kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	if (!kdf)
		goto out;
	ctx = EVP_KDF_CTX_new(kdf);
	if (!ctx)
		goto out;
	err = derive_both(ctx, derive, key, in, out);
	if (!err && !CRYPTO_memcmp(in->key, out->key, sizeof(in->key)))
		err = -EIO; /* cannot be; the module would refuse it too */
	if (err) {
		OPENSSL_cleanse(in, sizeof(*in));
		OPENSSL_cleanse(out, sizeof(*out));
	}
out:
	EVP_KDF_CTX_free(ctx); /* wipes its copies */
	EVP_KDF_free(kdf);
	return err;
}
