// SPDX-License-Identifier: GPL-2.0-or-later
/* AES-256-GCM under the master key. */
#include "km/seal.h"

#include "km/hkdf.h"
#include "km/secret.h"
#include "km/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUES_PER_SALT (1U << 24)

static const char SEAL_INFO[] = "qkdkeyd store seal";
static const char FINGERPRINT_INFO[] = "qkdkeyd store fingerprint";

/** A sealing key and the salt that made it. */
struct subkey {
	bool valid;
	uint8_t salt[SEAL_SALT_BYTES];
	uint8_t key[32];
};

struct seal {
	uint8_t master[SEAL_MASTER_BYTES];
	uint8_t fingerprint[KM_KEY_FINGERPRINT_BYTES];
	struct subkey out; /* seals */
	struct subkey in;  /* opened last: values of one run lie together */
	uint32_t sealed;   /* values under @out */
};

/* -------- the master key's file -------- */

static int check_file(int fd, const char *file, char *error, size_t error_len)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int err = -errno;

		snprintf(error, error_len, "%s: %s", file, strerror(-err));
		return err;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(error, error_len, "%s: the master key is not a regular file", file);
		return -EINVAL;
	}
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		snprintf(error, error_len,
			 "%s: the master key belongs to user %u, but qkdkeyd runs as %u: chown it",
			 file, (unsigned int)st.st_uid, (unsigned int)geteuid());
		return -EPERM;
	}
	if (st.st_mode & (S_IRWXG | S_IRWXO | S_IXUSR)) {
		snprintf(error, error_len,
			 "%s: the master key has mode %04o, 0600 or 0400 expected: chmod 0600 it",
			 file, (unsigned int)(st.st_mode & 07777));
		return -EPERM;
	}
	if (st.st_size != SEAL_MASTER_BYTES) {
		snprintf(error, error_len, "%s: the master key has %lld octets, %d expected", file,
			 (long long)st.st_size, SEAL_MASTER_BYTES);
		return -EINVAL;
	}
	return 0;
}

static int read_exactly(int fd, uint8_t *octets, size_t len)
{
	while (len) {
		ssize_t n = read(fd, octets, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EINVAL;
		octets += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_master(const char *file, uint8_t master[SEAL_MASTER_BYTES], char *error,
		       size_t error_len)
{
	static const uint8_t zero[SEAL_MASTER_BYTES];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int err;

	if (fd < 0) {
		err = -errno;
		if (err == -ENOENT)
			snprintf(error, error_len, "%s: no master key; make one: qkdkeyd --init",
				 file);
		else
			snprintf(error, error_len, "%s: cannot open the master key: %s", file,
				 strerror(-err));
		return err;
	}
	err = check_file(fd, file, error, error_len);
	if (err)
		goto out;
	err = read_exactly(fd, master, SEAL_MASTER_BYTES);
	if (err) {
		snprintf(error, error_len, "%s: cannot read the master key: %s", file,
			 strerror(-err));
		goto out;
	}
	if (CRYPTO_memcmp(master, zero, sizeof(zero)) == 0) {
		snprintf(error, error_len, "%s: the master key is all zero", file);
		err = -EINVAL;
	}
out:
	close(fd);
	return err;
}

int seal_create(const char *file, struct seal **result, char *error, size_t error_len)
{
	struct seal *seal = secret_alloc(sizeof(*seal));
	int err;

	*result = NULL;
	if (!seal)
		return secret_init(error, error_len) ?: -ENOMEM;
	err = read_master(file, seal->master, error, error_len);
	if (err)
		goto fail;
	err = km_hkdf(seal->master, sizeof(seal->master), NULL, 0, FINGERPRINT_INFO,
		      sizeof(FINGERPRINT_INFO) - 1, seal->fingerprint, sizeof(seal->fingerprint));
	if (err) {
		snprintf(error, error_len, "HKDF-SHA256 does not work in this OpenSSL");
		goto fail;
	}
	*result = seal;
	return 0;
fail:
	secret_free(seal);
	return err;
}

void seal_destroy(struct seal *seal)
{
	secret_free(seal);
}

const uint8_t *seal_fingerprint_secret(const struct seal *seal)
{
	return seal->fingerprint;
}

int seal_make_master_key(const char *file)
{
	uint8_t *master = secret_alloc(SEAL_MASTER_BYTES);
	int fd, err = 0;

	if (!master)
		return -ENOMEM;
	if (RAND_priv_bytes(master, SEAL_MASTER_BYTES) != 1) {
		secret_free(master);
		return -EIO;
	}
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err = -errno;
		secret_free(master);
		return err;
	}
	/* One write: the file is complete or it is removed. */
	errno = 0;
	if (write(fd, master, SEAL_MASTER_BYTES) != SEAL_MASTER_BYTES)
		err = errno ? -errno : -ENOSPC;
	if (!err && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
		err = -errno;
	close(fd);
	if (!err)
		err = km_sync_parent(file);
	if (err)
		unlink(file);
	secret_free(master);
	return err;
}

/* -------- values -------- */

static int derive(struct seal *seal, struct subkey *subkey)
{
	int err = km_hkdf(seal->master, sizeof(seal->master), subkey->salt, sizeof(subkey->salt),
			  SEAL_INFO, sizeof(SEAL_INFO) - 1, subkey->key, sizeof(subkey->key));

	subkey->valid = !err;
	return err;
}

/** Makes @seal->out ready for one more value. */
static int renew(struct seal *seal)
{
	if (seal->out.valid && seal->sealed < VALUES_PER_SALT)
		return 0;
	seal->out.valid = false;
	if (RAND_bytes(seal->out.salt, sizeof(seal->out.salt)) != 1)
		return -EIO;
	seal->sealed = 0;
	return derive(seal, &seal->out);
}

int seal_value(struct seal *seal, const void *context, size_t context_len, const uint8_t *value,
	       size_t len, uint8_t *sealed)
{
	uint8_t *nonce = sealed + SEAL_SALT_BYTES, *text = nonce + SEAL_NONCE_BYTES;
	EVP_CIPHER_CTX *ctx;
	int n, err;

	if (len < 1 || len > SEAL_VALUE_MAX || context_len > INT_MAX)
		return -EINVAL;
	err = renew(seal);
	if (err)
		return err;
	if (RAND_bytes(nonce, SEAL_NONCE_BYTES) != 1)
		return -EIO;
	memcpy(sealed, seal->out.salt, SEAL_SALT_BYTES);
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, seal->out.key, nonce) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, context, (int)context_len) != 1 ||
	    EVP_EncryptUpdate(ctx, text, &n, value, (int)len) != 1 ||
	    EVP_EncryptFinal_ex(ctx, text + n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, text + len) != 1) {
		OPENSSL_cleanse(sealed, len + SEAL_EXTRA_BYTES);
		err = -EIO;
	}
	EVP_CIPHER_CTX_free(ctx);
	seal->sealed++;
	return err;
}

/** The sealing key of @salt. */
static const uint8_t *subkey_of(struct seal *seal, const uint8_t *salt)
{
	if (seal->out.valid && memcmp(seal->out.salt, salt, SEAL_SALT_BYTES) == 0)
		return seal->out.key;
	if (seal->in.valid && memcmp(seal->in.salt, salt, SEAL_SALT_BYTES) == 0)
		return seal->in.key;
	memcpy(seal->in.salt, salt, SEAL_SALT_BYTES);
	return derive(seal, &seal->in) ? NULL : seal->in.key;
}

int seal_open(struct seal *seal, const void *context, size_t context_len, const uint8_t *sealed,
	      size_t sealed_len, uint8_t *value)
{
	const uint8_t *nonce = sealed + SEAL_SALT_BYTES, *text = nonce + SEAL_NONCE_BYTES, *key;
	size_t len = sealed_len - SEAL_EXTRA_BYTES;
	EVP_CIPHER_CTX *ctx;
	int n, err = -EBADMSG;

	if (sealed_len <= SEAL_EXTRA_BYTES || len > SEAL_VALUE_MAX || context_len > INT_MAX)
		return -EBADMSG;
	key = subkey_of(seal, sealed);
	if (!key)
		return -EIO;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
	    EVP_DecryptUpdate(ctx, NULL, &n, context, (int)context_len) == 1 &&
	    EVP_DecryptUpdate(ctx, value, &n, text, (int)len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, (void *)(text + len)) ==
		    1 &&
	    EVP_DecryptFinal_ex(ctx, value + n, &n) == 1)
		err = 0;
	else
		OPENSSL_cleanse(value, len);
	EVP_CIPHER_CTX_free(ctx);
	return err;
}
