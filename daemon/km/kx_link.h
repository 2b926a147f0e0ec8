/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of the KM links, for kx.c (peers: who, when, which connection
 * counts) and kx_conn.c (one connection: octets, frames, greeting, liveness).
 */
#ifndef KM_KX_LINK_H
#define KM_KX_LINK_H

#include "km/kx.h"
#include "log.h"
#include "loop/stream.h"

#define KX_ALPN		  "qkdkeyd-kx/1"
#define KX_EXPORTER_LABEL "EXPORTER-qkdkeyd-channel"
#define KX_CONNECT_MS	  10000 /* connecting and TLS */
#define KX_HELLO_MS	  5000	/* from TLS to the peer's hello */
#define KX_PING_MS	  2000
#define KX_SILENT_PINGS	  3 /* pings without anything heard: the link is dead */
#define KX_BACKOFF_MIN_MS 100
#define KX_BACKOFF_MAX_MS 10000
#define KX_STEADY_MS	  10000 /* a link that stood this long starts over with the back-off */
#define KX_REASON_BYTES	  400

enum kx_conn_state {
	KX_CONN_OPENING,  /* connecting, or TLS */
	KX_CONN_GREETING, /* the peer's hello is awaited */
	KX_CONN_UP,	  /* this is the link */
	KX_CONN_CLOSING,  /* given up; closed() will free it */
};

/**
 * struct kx_conn - one connection
 * @peer: whom we called; of one that came in NULL until its hello
 * @ours: we opened it
 * @in: octets of a frame that is not complete, @have of them
 */
struct kx_conn {
	struct kx_conn *next;
	struct kx *kx;
	struct kx_peer *peer;
	struct stream *stream;
	bool ours;
	enum kx_conn_state state;
	struct loop_timer timer;
	unsigned int silent;
	uint64_t ping_token;
	uint64_t ping_us;
	size_t have;
	uint8_t in[KX_HEADER_BYTES + KX_PAYLOAD_MAX];
};

struct kx_peer {
	struct kx *kx;
	char name[KX_NAME_BYTES];
	char *address; /* NULL: we wait */
	uint16_t port;
	struct kx_conn *link;	/* UP */
	struct kx_conn *dialed; /* ours, OPENING or GREETING */
	struct loop_timer redial;
	unsigned int failures; /* since the link was steady */
	uint64_t since_ms;
	uint32_t ups;
	uint32_t round_trip_us;
	uint8_t store[16]; /* of the hello that made the link */
	char last_error[KX_REASON_BYTES];
};

struct kx {
	struct loop *loop;
	struct tls_context *tls;
	struct stream_listener *listener;
	char node[KX_NAME_BYTES];
	uint8_t store[16];
	char *listen;
	uint16_t port;
	struct kx_peer *peers;
	size_t peers_count;
	const struct kx_handler **handlers;
	size_t handlers_count;
	struct kx_conn *conns;
	unsigned int hello_ms; /* KX_HELLO_MS; tests are less patient */
	unsigned int ping_ms;  /* KX_PING_MS */
	struct kx_frame frame; /* what came in last */
	uint8_t out[KX_HEADER_BYTES + KX_PAYLOAD_MAX];
	struct log_limit refusals;
};

/* -------- kx_conn.c -------- */

extern const struct stream_ops kx_conn_ops;

/** A connection object without a stream yet, in @kx's list. NULL: no memory. */
struct kx_conn *kx_conn_new(struct kx *kx, struct kx_peer *peer, bool ours);

/** Takes it out of the list and frees it. */
void kx_conn_free(struct kx_conn *conn);

/** -ENOTCONN, -ENOBUFS, -ENOMEM, -EINVAL. */
int kx_conn_send(struct kx_conn *conn, const struct kx_frame *frame);

/** Sends our hello. */
int kx_conn_greet(struct kx_conn *conn);

/** Says why in a KX_ERROR, and closes. @text is made printable. */
__attribute__((format(printf, 3, 4))) void
kx_conn_refuse(struct kx_conn *conn, enum kx_error_code code, const char *format, ...);

/** Closes without a word; the link, if it was that, is down because of @reason. */
void kx_conn_close(struct kx_conn *conn, const char *reason);

/* -------- kx.c -------- */

/** @conn has greeted as @peer: it becomes the link, or is refused as a duplicate. */
void kx_peer_greeted(struct kx_peer *peer, struct kx_conn *conn, const struct kx_hello *hello);

/** @conn, of this peer, will not be, or is no longer, the link. */
void kx_peer_lost(struct kx_peer *peer, struct kx_conn *conn, const char *reason);

/** Hands a frame to those who want it. Return: 0, or what the handler said. */
int kx_dispatch(struct kx_peer *peer, const struct kx_frame *frame);

#endif
