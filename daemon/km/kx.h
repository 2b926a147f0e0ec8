/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KM links: one TLS 1.3 connection to each peer KM, kept up with liveness
 * checks and back-off. Who connects: the end whose configuration has the
 * peer's address; if both do, the connection opened by the node with the lower
 * name stays.
 */
#ifndef KM_KX_H
#define KM_KX_H

#include "config/config.h"
#include "km/kx_frame.h"
#include "loop/loop.h"

struct kx;	/* all KM links of this node */
struct kx_peer; /* the KM link to one peer */

/** For listings. */
struct kx_peer_status {
	const char *name;
	bool up;
	uint64_t since_ms; /* loop time of the last change */
	uint32_t reconnects;
	uint32_t round_trip_us; /* last ping, 0: none yet */
	const char *last_error; /* "" if none */
};

/**
 * struct kx_handler - who wants which frames
 * @up: the link is authenticated and greeted; frames may be sent
 * @down: it is lost; what was sent may or may not have arrived
 * @frame: a frame of type @type_first to @type_last came. A non-zero return
 *         closes the link with KX_ERROR
 */
struct kx_handler {
	uint16_t type_first;
	uint16_t type_last;
	void (*up)(struct kx_peer *peer, void *arg);
	void (*down)(struct kx_peer *peer, void *arg);
	int (*frame)(struct kx_peer *peer, const struct kx_frame *frame, void *arg);
	void *arg;
};

int kx_create(struct loop *loop, const struct config *config, const uint8_t store_id[16],
	      struct kx **kx, char *error, size_t error_len);

/** Ends all links. Handlers are not called. */
void kx_destroy(struct kx *kx);

/**
 * kx_add_handler - before kx_start() (-EBUSY after it); @handler must outlive @kx
 *
 * A frame goes to every handler that asks for its type. kx_destroy() calls none.
 */
int kx_add_handler(struct kx *kx, const struct kx_handler *handler);

/** Listens and connects. */
int kx_start(struct kx *kx, char *error, size_t error_len);

struct kx_peer *kx_find(struct kx *kx, const char *name);
const char *kx_peer_name(const struct kx_peer *peer);
bool kx_peer_up(const struct kx_peer *peer);
void kx_peer_status(const struct kx_peer *peer, struct kx_peer_status *status);

/** The UUID of the peer's key store, 16 octets; of the last link. Zero: never heard. */
const uint8_t *kx_peer_store(const struct kx_peer *peer);

/** -ENOTCONN: the link is down; -ENOBUFS: the peer does not read. */
int kx_send(struct kx_peer *peer, const struct kx_frame *frame);

/**
 * kx_session_secret - 32 octets bound to this TLS session and to @context
 * (combine: qkd+tls), RFC 8446 7.5 with label "EXPORTER-qkdkeyd-channel".
 */
int kx_session_secret(struct kx_peer *peer, const void *context, size_t len, uint8_t secret[32]);

#endif
