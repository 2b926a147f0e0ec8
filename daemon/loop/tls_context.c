// SPDX-License-Identifier: GPL-2.0-or-later
/* One TLS identity: its certificate chain, its key, the authorities it accepts. */
#include "loop/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_FILE_MAX (1024 * 1024)

struct complaint {
	char *text;
	size_t len;
};

static int __attribute__((format(printf, 3, 4)))
complain(const struct complaint *complaint, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(complaint->text, complaint->len, format, args);
	va_end(args);
	return err;
}

static const char *openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason ? reason : "unknown error";
}

struct pem_file {
	const char *name;
	uint8_t *data;
	size_t len;
};

static void pem_free(struct pem_file *file)
{
	if (file->data)
		OPENSSL_cleanse(file->data, file->len);
	free(file->data);
	file->data = NULL;
}

static int read_all(int fd, uint8_t *data, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, data + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		got += (size_t)n;
	}
	return 0;
}

static int check_file(const struct stat *st, const char *name, bool secret,
		      const struct complaint *complaint)
{
	if (!S_ISREG(st->st_mode))
		return complain(complaint, -EINVAL, "%s: not a regular file", name);
	if (st->st_size == 0)
		return complain(complaint, -EINVAL, "%s: empty", name);
	if (st->st_size > PEM_FILE_MAX)
		return complain(complaint, -EFBIG, "%s: too large for a PEM file", name);
	if (secret && (st->st_mode & S_IRWXO))
		return complain(complaint, -EPERM,
				"%s: this private key is open to everybody (mode %04o); "
				"run: chmod o-rwx %s",
				name, (unsigned int)st->st_mode & 07777, name);
	return 0;
}

static int pem_read(const char *name, bool secret, struct pem_file *file,
		    const struct complaint *complaint)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int rc;

	*file = (struct pem_file){.name = name};
	if (fd < 0) {
		rc = -errno;
		return complain(complaint, rc, "%s: %s", name, strerror(-rc));
	}
	if (fstat(fd, &st)) {
		rc = complain(complaint, -errno, "%s: %s", name, strerror(errno));
		goto close_fd;
	}
	rc = check_file(&st, name, secret, complaint);
	if (rc)
		goto close_fd;
	file->len = (size_t)st.st_size;
	file->data = malloc(file->len);
	if (!file->data) {
		rc = complain(complaint, -ENOMEM, "%s: out of memory", name);
		goto close_fd;
	}
	rc = read_all(fd, file->data, file->len);
	if (rc) {
		complain(complaint, rc, "%s: %s", name, strerror(-rc));
		pem_free(file);
	}
close_fd:
	close(fd);
	return rc;
}

/* Whether the last read ended because the file did, and not by a fault in it. */
static bool only_ended(void)
{
	unsigned long error = ERR_peek_last_error();
	bool ended =
		ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;

	if (ended)
		ERR_clear_error();
	return ended;
}

/* Calls @each for every certificate of @file; it takes its own reference. */
static int each_certificate(const struct pem_file *file, int (*each)(SSL_CTX *, X509 *, int),
			    SSL_CTX *ssl_ctx, const struct complaint *complaint)
{
	BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);
	int count = 0;
	X509 *cert;

	if (!bio)
		return complain(complaint, -ENOMEM, "%s: out of memory", file->name);
	ERR_clear_error();
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		int ok = each(ssl_ctx, cert, count++);

		X509_free(cert);
		if (!ok) {
			BIO_free(bio);
			return complain(complaint, -EINVAL, "%s: certificate %d: %s", file->name,
					count, openssl_reason());
		}
	}
	BIO_free(bio);
	if (!only_ended())
		return complain(complaint, -EINVAL, "%s: certificate %d cannot be read: %s",
				file->name, count + 1, openssl_reason());
	if (!count)
		return complain(complaint, -EINVAL, "%s: no PEM certificate in it", file->name);
	return 0;
}

static int add_own(SSL_CTX *ssl_ctx, X509 *cert, int index)
{
	return index == 0 ? SSL_CTX_use_certificate(ssl_ctx, cert) == 1
			  : SSL_CTX_add1_chain_cert(ssl_ctx, cert) == 1;
}

static int add_authority(SSL_CTX *ssl_ctx, X509 *cert, int index)
{
	/* The list of names tells clients which of their certificates will do. */
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl_ctx), cert) == 1 &&
	       SSL_CTX_add_client_CA(ssl_ctx, cert) == 1;
}

static int load_certificates(SSL_CTX *ssl_ctx, const char *name,
			     int (*each)(SSL_CTX *, X509 *, int), const struct complaint *complaint)
{
	struct pem_file file;
	int rc = pem_read(name, false, &file, complaint);

	if (rc)
		return rc;
	rc = each_certificate(&file, each, ssl_ctx, complaint);
	pem_free(&file);
	return rc;
}

/* A service has nobody to ask; OpenSSL's own callback would ask the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *asked)
{
	*(bool *)asked = true;
	return -1;
}

static int use_key(SSL_CTX *ssl_ctx, const struct pem_file *file, const char *certificate,
		   const struct complaint *complaint)
{
	BIO *bio = BIO_new_mem_buf(file->data, (int)file->len);
	bool asked = false;
	EVP_PKEY *key;
	int rc = 0;

	if (!bio)
		return complain(complaint, -ENOMEM, "%s: out of memory", file->name);
	ERR_clear_error();
	key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	BIO_free(bio);
	if (!key && asked)
		return complain(
			complaint, -EINVAL,
			"%s: this private key is encrypted with a passphrase, which a service "
			"cannot be asked for; store it in the clear, readable by the service "
			"alone: openssl pkey -in %s -out NEW",
			file->name, file->name);
	if (!key)
		return complain(complaint, -EINVAL, "%s: no PEM private key in it: %s", file->name,
				openssl_reason());
	if (SSL_CTX_use_PrivateKey(ssl_ctx, key) != 1 || SSL_CTX_check_private_key(ssl_ctx) != 1)
		rc = complain(complaint, -EINVAL,
			      "%s: not the private key of the certificate in %s", file->name,
			      certificate);
	EVP_PKEY_free(key);
	return rc;
}

static int load_key(SSL_CTX *ssl_ctx, const struct tls_files *files,
		    const struct complaint *complaint)
{
	struct pem_file file;
	int rc = pem_read(files->key, true, &file, complaint);

	if (rc)
		return rc;
	rc = use_key(ssl_ctx, &file, files->certificate, complaint);
	pem_free(&file);
	return rc;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
		       const unsigned char *in, unsigned int inlen, void *arg)
{
	const struct tls_context *context = arg;

	for (unsigned int i = 0; i < inlen; i += 1U + in[i]) {
		if (in[i] != context->alpn[0] || in[i] > inlen - i - 1 ||
		    memcmp(in + i + 1, context->alpn + 1, in[i]) != 0)
			continue;
		*out = in + i + 1;
		*outlen = in[i];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int set_alpn(struct tls_context *context, const char *alpn)
{
	size_t len = strlen(alpn);

	if (len == 0 || len >= sizeof(context->alpn))
		return -EINVAL;
	context->alpn[0] = (uint8_t)len;
	memcpy(context->alpn + 1, alpn, len);
	/* This one function returns 0 on success. */
	if (SSL_CTX_set_alpn_protos(context->ssl_ctx, context->alpn, (unsigned int)len + 1))
		return -ENOMEM;
	SSL_CTX_set_alpn_select_cb(context->ssl_ctx, select_alpn, context);
	return 0;
}

static int set_policy(SSL_CTX *ssl_ctx, enum tls_version version)
{
	static const unsigned char session_id[] = "qkdkeyd";
	int lowest = version == TLS_1_3_ONLY ? TLS1_3_VERSION : TLS1_2_VERSION;

	SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CLEANSE_PLAINTEXT |
					     SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_verify);
	/* The authority given is the one accepted, be it a root or not. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl_ctx), X509_V_FLAG_PARTIAL_CHAIN);
	/* Resumption skips the verification: a revoked identity must not live on it for long. */
	SSL_CTX_set_timeout(ssl_ctx, 600);
	SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_OFF);
	return SSL_CTX_set_min_proto_version(ssl_ctx, lowest) == 1 &&
	       SSL_CTX_set_session_id_context(ssl_ctx, session_id, sizeof(session_id) - 1) == 1 &&
	       SSL_CTX_set_cipher_list(ssl_ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static int load(struct tls_context *context, const struct tls_files *files,
		enum tls_version version, const char *alpn, const struct complaint *complaint)
{
	int rc;

	if (!set_policy(context->ssl_ctx, version))
		return complain(complaint, -EINVAL, "OpenSSL refuses our TLS settings: %s",
				openssl_reason());
	if (alpn && set_alpn(context, alpn))
		return complain(complaint, -EINVAL, "OpenSSL refuses the protocol name '%s'", alpn);
	rc = load_certificates(context->ssl_ctx, files->certificate, add_own, complaint);
	if (rc)
		return rc;
	rc = load_key(context->ssl_ctx, files, complaint);
	if (rc)
		return rc;
	return load_certificates(context->ssl_ctx, files->ca, add_authority, complaint);
}

int tls_context_create(const struct tls_files *files, enum tls_version version, const char *alpn,
		       struct tls_context **context, char *error, size_t error_len)
{
	const struct complaint complaint = {error, error_len};
	struct tls_context *made;
	int rc = -ENOMEM;

	if (!files->certificate || !files->key || !files->ca)
		return complain(&complaint, -EINVAL, "certificate, key and ca are all needed");
	made = calloc(1, sizeof(*made));
	if (!made)
		return complain(&complaint, -ENOMEM, "out of memory");
	made->refs = 1;
	snprintf(made->ca_file, sizeof(made->ca_file), "%s", files->ca);
	made->ssl_ctx = SSL_CTX_new(TLS_method());
	if (!made->ssl_ctx) {
		complain(&complaint, rc, "OpenSSL: %s", openssl_reason());
		goto destroy;
	}
	rc = load(made, files, version, alpn, &complaint);
	if (rc)
		goto destroy;
	*context = made;
	return 0;
destroy:
	ERR_clear_error();
	tls_context_destroy(made);
	return rc;
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
	context->refs++;
	return context;
}

void tls_context_destroy(struct tls_context *context)
{
	if (!context || --context->refs)
		return;
	SSL_CTX_free(context->ssl_ctx);
	free(context);
}
