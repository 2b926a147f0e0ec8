/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One TLS connection over memory: ciphertext is fed in and taken out by the
 * stream, OpenSSL never sees a socket.
 */
#ifndef LOOP_TLS_H
#define LOOP_TLS_H

#include "loop/stream.h"
#include <openssl/ssl.h>

struct tls_context {
	SSL_CTX *ssl_ctx;
	unsigned int refs; /* the creator's and one per connection */
	char ca_file[256];
	uint8_t alpn[32]; /* wire form, length first; alpn[0] == 0: none */
};

struct tls_context *tls_context_hold(struct tls_context *context);

#define TLS_REASON 1280

struct tls;

enum tls_role {
	TLS_CLIENT,
	TLS_SERVER,
};

/**
 * tls_create
 * @host: the name connected to, for SNI; may be NULL
 * @expect: name that the peer must have; NULL for a server
 * @peer: address for messages; must outlive the connection
 */
int tls_create(struct tls_context *context, enum tls_role role, const char *host,
	       const char *expect, const char *peer, struct tls **tls);
void tls_free(struct tls *tls);

/** Ciphertext that came in. 0 or -ENOMEM. */
int tls_feed(struct tls *tls, const void *data, size_t len);

/** Ciphertext that is to go out: up to @len octets; 0 if there is none. */
size_t tls_take(struct tls *tls, void *data, size_t len);

/** 1: done, the peer is verified; 0: wants more; -EACCES or -EPROTO: see tls_reason(). */
int tls_handshake(struct tls *tls);

/** Plaintext: its length; 0: wants more; -ESHUTDOWN: close_notify; -EACCES, -EPROTO. */
int tls_read(struct tls *tls, void *data, size_t len);

/** Encrypts all of @len octets. 0 or -EPROTO. */
int tls_write(struct tls *tls, const void *data, size_t len);

/** Puts a close_notify into the output. */
void tls_shutdown(struct tls *tls);

/** A sentence on the last failure. */
const char *tls_reason(const struct tls *tls);

/** The verified certificate, NULL before that; stays the connection's. */
X509 *tls_peer_certificate(const struct tls *tls);

/** First name of that certificate, "" before that. */
const char *tls_peer_name(const struct tls *tls);

int tls_export(struct tls *tls, const char *label, const void *context, size_t context_len,
	       uint8_t *secret, size_t secret_len);

/* -------- tls_verify.c -------- */

/**
 * struct tls_verdict - what the verification of the peer's certificate found
 * @expect: name that a server must have; "" : the owner decides later
 * @refusal: a sentence, "" while nothing is wrong
 */
struct tls_verdict {
	const char *peer;
	const char *ca_file;
	char expect[256];
	char refusal[TLS_REASON];
};

/** OpenSSL's verify callback; the SSL's application data is a struct tls_verdict. */
int tls_verify(int ok, X509_STORE_CTX *store_ctx);

/** Checks once more what the handshake ended with: chain, dates, name. */
bool tls_verdict_confirm(struct tls_verdict *verdict, SSL *ssl);

#endif
