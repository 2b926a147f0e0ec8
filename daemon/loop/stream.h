/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte streams on the loop: TCP with TLS (OpenSSL over memory BIOs, so the
 * loop owns all I/O), plain TCP for nothing but tests, and Unix sockets.
 *
 * A stream calls its owner back through struct stream_ops, and ends exactly
 * once, by closed(). After closed() returns, the stream is gone.
 */
#ifndef LOOP_STREAM_H
#define LOOP_STREAM_H

#include "loop/loop.h"
#include <sys/types.h>

struct stream;
struct stream_listener;
struct tls_context;

/**
 * struct stream_ops - what a stream's owner wants to hear
 * @opened: connected, and with TLS: handshake done, peer verified
 * @received: @len octets came in; the buffer is wiped after the call
 * @drained: everything written so far is with the kernel; may be NULL
 * @closed: the end. @reason is a sentence for people, NULL if we closed it by
 *          stream_close(); @err negative errno (-ETIMEDOUT, -ECONNREFUSED,
 *          -EPROTO: TLS, -EACCES: the peer's certificate was refused, ...), or
 *          0 if the peer closed it in order
 */
struct stream_ops {
	void (*opened)(struct stream *stream, void *arg);
	void (*received)(struct stream *stream, void *arg, const uint8_t *data, size_t len);
	void (*drained)(struct stream *stream, void *arg);
	void (*closed)(struct stream *stream, void *arg, int err, const char *reason);
};

/**
 * struct tls_files - PEM files of one TLS identity
 * @certificate: our chain
 * @key: its private key; refused if others than its owner and group may read it
 * @ca: the authorities whose peers we accept; nothing else is trusted
 */
struct tls_files {
	const char *certificate;
	const char *key;
	const char *ca;
};

enum tls_version {
	TLS_1_2_OR_NEWER, /* ETSI GS QKD 014, clause 5.1 */
	TLS_1_3_ONLY,	  /* Kx, ETSI GS QKD 020 */
};

/**
 * tls_context_create - loads the files
 * @alpn: protocol name offered and required, or NULL
 * @error: gets a sentence that names the file, @error_len octets
 */
int tls_context_create(const struct tls_files *files, enum tls_version version, const char *alpn,
		       struct tls_context **context, char *error, size_t error_len);
void tls_context_destroy(struct tls_context *context);

/**
 * stream_connect - start connecting; failure after this comes by closed()
 * @tls: NULL for none
 * @host: IP address, or a DNS name (resolved without blocking the loop)
 * @expect: name that the peer's certificate must carry as DNS or IP subject
 *          alternative name (or, without any SAN, as CN); with TLS not NULL
 * @timeout_ms: for connecting and the handshake together
 */
int stream_connect(struct loop *loop, struct tls_context *tls, const char *host, uint16_t port,
		   const char *expect, unsigned int timeout_ms, const struct stream_ops *ops,
		   void *arg, struct stream **stream);

/** Connects to a Unix stream socket. */
int stream_connect_unix(struct loop *loop, const char *path, const struct stream_ops *ops,
			void *arg, struct stream **stream);

/** Handshakes at a time of one source address that every listener with TLS allows. */
#define STREAM_SOURCE_MIN 8

/**
 * struct stream_listener_ops
 * @accepted: a new connection, TLS not yet shaken; give it its owner by
 *            stream_set_owner() or close it. opened() follows
 */
struct stream_listener_ops {
	void (*accepted)(struct stream *stream, void *arg);
};

/**
 * stream_listen - TCP; with @tls, a client certificate of the CA is demanded
 * @max_streams: further connections are closed at once; with @tls, those that
 *		 are known go before: the oldest that has not ended its handshake
 *		 makes room, and one source address (/64 of IPv6) may have no more
 *		 than STREAM_SOURCE_MIN, or a quarter of @max_streams, of those
 * @timeout_ms: for the handshake
 */
int stream_listen(struct loop *loop, struct tls_context *tls, const char *address, uint16_t port,
		  unsigned int max_streams, unsigned int timeout_ms,
		  const struct stream_listener_ops *ops, void *arg,
		  struct stream_listener **listener);

/** Listens on a Unix socket that is made anew with @mode and @group. */
int stream_listen_unix(struct loop *loop, const char *path, mode_t mode, gid_t group,
		       unsigned int max_streams, const struct stream_listener_ops *ops, void *arg,
		       struct stream_listener **listener);
void stream_listener_close(struct stream_listener *listener);

/** The TCP port it listens on: of use if 0, "any", was asked for. */
uint16_t stream_listener_port(const struct stream_listener *listener);

void stream_set_owner(struct stream *stream, const struct stream_ops *ops, void *arg);

/**
 * stream_write - copies @len octets to be sent; the copy is wiped when sent
 * Return: 0, -ENOMEM, -ENOBUFS (over 4 MiB wait already), -ENOTCONN.
 */
int stream_write(struct stream *stream, const void *data, size_t len);

/** Octets that wait to be sent. */
size_t stream_pending(const struct stream *stream);

/** Sends what waits, then closes; closed() comes with reason NULL. */
void stream_close(struct stream *stream);

/** Closes at once; closed() comes with reason NULL, not from within this call. */
void stream_abort(struct stream *stream);

/**
 * stream_pause - stop or go on reading, so that a peer cannot pile up input
 *
 * Up to two records may still be received after pausing.
 */
void stream_pause(struct stream *stream, bool paused);

/** "192.0.2.1:7443", for messages. */
const char *stream_peer_address(const struct stream *stream);

/** Whether the peer's verified certificate carries @name (see stream_connect()). */
bool stream_peer_has_name(const struct stream *stream, const char *name);

/** First DNS name (or CN) of the peer's verified certificate; "" if none. */
const char *stream_peer_name(const struct stream *stream);

/** RFC 5705 / RFC 8446 7.5 exporter. -ENOTSUP: no TLS. */
int stream_export_secret(struct stream *stream, const char *label, const void *context,
			 size_t context_len, uint8_t *secret, size_t secret_len);

/** SO_PEERCRED of a Unix stream. */
int stream_peer_credentials(const struct stream *stream, uid_t *uid, gid_t *gid, pid_t *pid);

#endif
