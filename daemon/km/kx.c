// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The KM links of this node: which peers there are, which connection is the
 * link to each, when to call again.
 */
#include "km/backoff.h"
#include "km/kx_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------- links go up and down -------- */

static void call_up(struct kx_peer *peer)
{
	for (size_t i = 0; i < peer->kx->handlers_count; i++)
		if (peer->kx->handlers[i]->up)
			peer->kx->handlers[i]->up(peer, peer->kx->handlers[i]->arg);
}

static void call_down(struct kx_peer *peer)
{
	for (size_t i = 0; i < peer->kx->handlers_count; i++)
		if (peer->kx->handlers[i]->down)
			peer->kx->handlers[i]->down(peer, peer->kx->handlers[i]->arg);
}

int kx_dispatch(struct kx_peer *peer, const struct kx_frame *frame)
{
	struct kx *kx = peer->kx;
	bool wanted = false;

	for (size_t i = 0; i < kx->handlers_count; i++) {
		const struct kx_handler *handler = kx->handlers[i];
		int err;

		if (frame->type < handler->type_first || frame->type > handler->type_last)
			continue;
		wanted = true;
		err = handler->frame(peer, frame, handler->arg);
		if (err)
			return err;
	}
	return wanted ? 0 : -EOPNOTSUPP;
}

static void dial_later(struct kx_peer *peer)
{
	if (!peer->address || peer->link || peer->dialed)
		return;
	peer->failures++;
	if (loop_timer_set(peer->kx->loop, &peer->redial,
			   km_backoff_ms(peer->failures, KX_BACKOFF_MIN_MS, KX_BACKOFF_MAX_MS)))
		log_err("KM link with %s: out of memory: it is not called again", peer->name);
}

/** Keeps why; a reason that comes again and again is logged once. */
static void note_error(struct kx_peer *peer, const char *reason)
{
	bool news = strcmp(peer->last_error, reason) != 0;

	snprintf(peer->last_error, sizeof(peer->last_error), "%s", reason);
	if (news)
		log_warn("KM link with %s: %s", peer->name, peer->last_error);
	else
		log_debug("KM link with %s: %s", peer->name, peer->last_error);
}

static void dial(void *arg)
{
	struct kx_peer *peer = arg;
	struct kx *kx = peer->kx;
	struct kx_conn *conn;
	int err = -ENOMEM;

	if (peer->link || peer->dialed)
		return;
	conn = kx_conn_new(kx, peer, true);
	if (conn)
		err = stream_connect(kx->loop, kx->tls, peer->address, peer->port, peer->name,
				     KX_CONNECT_MS, &kx_conn_ops, conn, &conn->stream);
	if (err) {
		if (conn)
			kx_conn_free(conn);
		note_error(peer, strerror(-err));
		dial_later(peer);
		return;
	}
	peer->dialed = conn;
}

void kx_peer_lost(struct kx_peer *peer, struct kx_conn *conn, const char *reason)
{
	uint64_t now = loop_now_ms(peer->kx->loop);

	if (peer->dialed == conn) {
		peer->dialed = NULL;
		if (!peer->link)
			note_error(peer, reason);
	}
	if (peer->link == conn) {
		peer->link = NULL;
		if (now - peer->since_ms >= KX_STEADY_MS)
			peer->failures = 0;
		peer->since_ms = now;
		snprintf(peer->last_error, sizeof(peer->last_error), "%s", reason);
		log_warn("KM link with %s is down: %s", peer->name, peer->last_error);
		call_down(peer);
	}
	dial_later(peer);
}

/** Whether @conn was opened by the end whose name is lower. */
static bool opened_by_lower(const struct kx_peer *peer, const struct kx_conn *conn)
{
	bool we_are_lower = strcmp(peer->kx->node, peer->name) < 0;

	return conn->ours == we_are_lower;
}

void kx_peer_greeted(struct kx_peer *peer, struct kx_conn *conn, const struct kx_hello *hello)
{
	struct kx_conn *old = peer->link;

	/*
	 * Both ends must choose the same: the one opened by the lower name.
	 * Two of the same opener: it lost the first before we did.
	 */
	if (old && old->ours != conn->ours && !opened_by_lower(peer, conn)) {
		kx_conn_refuse(conn, KX_ERROR_DUPLICATE, "the other connection stays");
		return;
	}
	if (!conn->ours && kx_conn_greet(conn)) {
		kx_conn_close(conn, "out of memory");
		return;
	}
	if (old) {
		peer->link = NULL;
		call_down(peer);
	}
	if (peer->dialed == conn)
		peer->dialed = NULL;
	loop_timer_cancel(peer->kx->loop, &peer->redial);
	conn->peer = peer;
	conn->state = KX_CONN_UP;
	peer->link = conn;
	memcpy(peer->store, hello->store, sizeof(peer->store));
	if (old)
		kx_conn_refuse(old, KX_ERROR_DUPLICATE, "the other connection stays");
	peer->ups++;
	peer->since_ms = loop_now_ms(peer->kx->loop);
	peer->last_error[0] = '\0';
	log_info("KM link with %s is up (%s %s)", peer->name, conn->ours ? "to" : "from",
		 stream_peer_address(conn->stream));
	call_up(peer);
}

/* -------- life -------- */

static void accepted(struct stream *stream, void *arg)
{
	struct kx *kx = arg;
	struct kx_conn *conn = kx_conn_new(kx, NULL, false);

	if (!conn) {
		stream_abort(stream);
		return;
	}
	conn->stream = stream;
	stream_set_owner(stream, &kx_conn_ops, conn);
}

static const struct stream_listener_ops listener_ops = {.accepted = accepted};

/** Copies a name that must fit a frame. */
static int copy_name(char to[KX_NAME_BYTES], const char *from, const char *field, char *error,
		     size_t error_len)
{
	size_t len = strnlen(from, KX_NAME_BYTES);

	for (size_t i = 0; i < len; i++)
		if (from[i] <= 0x20 || from[i] >= 0x7f)
			len = 0;
	if (len < 1 || len >= KX_NAME_BYTES) {
		snprintf(error, error_len,
			 "%s: \"%s\" cannot be a node's name: 1 to %d printable ASCII characters "
			 "without blanks",
			 field, from, KX_NAME_BYTES - 1);
		return -EINVAL;
	}
	memcpy(to, from, len);
	return 0;
}

static int add_peer(struct kx *kx, const struct config_peer *config, char *error, size_t error_len)
{
	struct kx_peer *peer = &kx->peers[kx->peers_count];
	int err = copy_name(peer->name, config->name, "peers.name", error, error_len);

	if (err)
		return err;
	peer->kx = kx;
	peer->port = config->port;
	peer->redial.fire = dial;
	peer->redial.arg = peer;
	peer->since_ms = loop_now_ms(kx->loop);
	kx->peers_count++;
	if (!config->address)
		return 0;
	peer->address = strdup(config->address);
	return peer->address ? 0 : -ENOMEM;
}

int kx_create(struct loop *loop, const struct config *config, const uint8_t store_id[16],
	      struct kx **result, char *error, size_t error_len)
{
	const struct tls_files files = {config->kx.tls.certificate, config->kx.tls.key,
					config->kx.tls.ca};
	struct kx *kx = calloc(1, sizeof(*kx));
	int err = -ENOMEM;

	*result = NULL;
	snprintf(error, error_len, "%s", strerror(ENOMEM));
	if (!kx)
		return -ENOMEM;
	kx->loop = loop;
	kx->port = config->kx.port;
	kx->hello_ms = KX_HELLO_MS;
	kx->ping_ms = KX_PING_MS;
	kx->refusals = (struct log_limit){.burst = 5, .interval_ms = 10000};
	memcpy(kx->store, store_id, sizeof(kx->store));
	kx->listen = strdup(config->kx.listen);
	kx->peers = calloc(config->peers_count + 1, sizeof(*kx->peers));
	if (!kx->listen || !kx->peers)
		goto fail;
	err = copy_name(kx->node, config->node, "node", error, error_len);
	for (unsigned int i = 0; !err && i < config->peers_count; i++)
		err = add_peer(kx, &config->peers[i], error, error_len);
	if (!err)
		err = tls_context_create(&files, TLS_1_3_ONLY, KX_ALPN, &kx->tls, error, error_len);
	if (err)
		goto fail;
	*result = kx;
	return 0;
fail:
	kx_destroy(kx);
	return err;
}

void kx_destroy(struct kx *kx)
{
	if (!kx)
		return;
	if (kx->listener)
		stream_listener_close(kx->listener);
	while (kx->conns) {
		struct kx_conn *conn = kx->conns;

		/* The streams end by themselves; nobody is left to be told. */
		stream_set_owner(conn->stream, NULL, NULL);
		stream_close(conn->stream);
		kx_conn_free(conn);
	}
	for (size_t i = 0; i < kx->peers_count; i++) {
		loop_timer_cancel(kx->loop, &kx->peers[i].redial);
		free(kx->peers[i].address);
	}
	if (kx->tls)
		tls_context_destroy(kx->tls);
	free(kx->handlers);
	free(kx->peers);
	free(kx->listen);
	free(kx);
}

int kx_add_handler(struct kx *kx, const struct kx_handler *handler)
{
	const struct kx_handler **grown;

	if (kx->listener)
		return -EBUSY;
	grown = reallocarray(kx->handlers, kx->handlers_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[kx->handlers_count++] = handler;
	kx->handlers = grown;
	return 0;
}

int kx_start(struct kx *kx, char *error, size_t error_len)
{
	unsigned int max = 64 + 4 * (unsigned int)kx->peers_count;
	int err = stream_listen(kx->loop, kx->tls, kx->listen, kx->port, max, KX_CONNECT_MS,
				&listener_ops, kx, &kx->listener);

	if (err) {
		snprintf(error, error_len, "kx: cannot listen on %s port %u: %s", kx->listen,
			 kx->port, strerror(-err));
		return err;
	}
	for (size_t i = 0; i < kx->peers_count; i++)
		if (kx->peers[i].address)
			dial(&kx->peers[i]);
	return 0;
}

/* -------- for those who use the links -------- */

struct kx_peer *kx_find(struct kx *kx, const char *name)
{
	for (size_t i = 0; i < kx->peers_count; i++)
		if (strcmp(kx->peers[i].name, name) == 0)
			return &kx->peers[i];
	return NULL;
}

const char *kx_peer_name(const struct kx_peer *peer)
{
	return peer->name;
}

bool kx_peer_up(const struct kx_peer *peer)
{
	return peer->link != NULL;
}

void kx_peer_status(const struct kx_peer *peer, struct kx_peer_status *status)
{
	*status = (struct kx_peer_status){
		.name = peer->name,
		.up = peer->link != NULL,
		.since_ms = peer->since_ms,
		.reconnects = peer->ups ? peer->ups - 1 : 0,
		.round_trip_us = peer->round_trip_us,
		.last_error = peer->last_error,
	};
}

const uint8_t *kx_peer_store(const struct kx_peer *peer)
{
	return peer->store;
}

int kx_send(struct kx_peer *peer, const struct kx_frame *frame)
{
	return peer->link ? kx_conn_send(peer->link, frame) : -ENOTCONN;
}

int kx_session_secret(struct kx_peer *peer, const void *context, size_t len, uint8_t secret[32])
{
	if (!peer->link)
		return -ENOTCONN;
	return stream_export_secret(peer->link->stream, KX_EXPORTER_LABEL, context, len, secret,
				    32);
}
