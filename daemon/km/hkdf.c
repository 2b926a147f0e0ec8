// SPDX-License-Identifier: GPL-2.0-or-later
/* HKDF-SHA256, by OpenSSL's EVP_KDF. */
#include "km/hkdf.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>

/** Fetched once: a fetch costs more than the derivation. Freed by the exit. */
static EVP_KDF *kdf;

static void fetch(void)
{
	kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

int km_hkdf(const void *secret, size_t secret_len, const void *salt, size_t salt_len,
	    const void *info, size_t info_len, uint8_t *out, size_t out_len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	OSSL_PARAM params[5], *param = params;
	EVP_KDF_CTX *ctx = NULL;
	int err = -EIO;

	pthread_once(&once, fetch);
	*param++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0);
	*param++ =
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len);
	if (salt_len)
		*param++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt,
							     salt_len);
	*param++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_len);
	*param = OSSL_PARAM_construct_end();
	if (kdf)
		ctx = EVP_KDF_CTX_new(kdf);
	if (ctx && EVP_KDF_derive(ctx, out, out_len, params) == 1)
		err = 0;
	else
		memset(out, 0, out_len);
	EVP_KDF_CTX_free(ctx);
	return err;
}
