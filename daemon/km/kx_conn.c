// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One Kx connection: greeting, frames, liveness, and a word of farewell. Until
 * both hellos are exchanged and checked, nothing else is taken from a peer.
 */
#include "km/kx_link.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/** "peer NAME (ADDRESS)" or "ADDRESS", for messages. */
static const char *who(const struct kx_conn *conn)
{
	static char text[KX_NAME_BYTES + 200];

	if (conn->peer)
		snprintf(text, sizeof(text), "%s (%s)", conn->peer->name,
			 stream_peer_address(conn->stream));
	else
		snprintf(text, sizeof(text), "%s", stream_peer_address(conn->stream));
	return text;
}

/* -------- life -------- */

static void on_timer(void *arg);

struct kx_conn *kx_conn_new(struct kx *kx, struct kx_peer *peer, bool ours)
{
	struct kx_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->kx = kx;
	conn->peer = peer;
	conn->ours = ours;
	conn->timer.fire = on_timer;
	conn->timer.arg = conn;
	conn->next = kx->conns;
	kx->conns = conn;
	return conn;
}

void kx_conn_free(struct kx_conn *conn)
{
	struct kx_conn **place = &conn->kx->conns;

	while (*place != conn)
		place = &(*place)->next;
	*place = conn->next;
	loop_timer_cancel(conn->kx->loop, &conn->timer);
	free(conn);
}

void kx_conn_close(struct kx_conn *conn, const char *reason)
{
	if (conn->state == KX_CONN_CLOSING)
		return;
	conn->state = KX_CONN_CLOSING;
	loop_timer_cancel(conn->kx->loop, &conn->timer);
	stream_close(conn->stream);
	if (conn->peer)
		kx_peer_lost(conn->peer, conn, reason);
}

int kx_conn_send(struct kx_conn *conn, const struct kx_frame *frame)
{
	int len = kx_frame_encode(frame, conn->kx->out, sizeof(conn->kx->out));

	if (len < 0)
		return len;
	return stream_write(conn->stream, conn->kx->out, (size_t)len);
}

/** KX_ERROR takes printable ASCII only. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}

void kx_conn_refuse(struct kx_conn *conn, enum kx_error_code code, const char *format, ...)
{
	static struct kx_frame frame;
	char reason[KX_REASON_BYTES];
	va_list args;

	memset(&frame.error, 0, sizeof(frame.error));
	frame.type = KX_ERROR;
	frame.error.code = (uint16_t)code;
	va_start(args, format);
	vsnprintf(frame.error.text, sizeof(frame.error.text), format, args);
	va_end(args);
	make_printable(frame.error.text);
	kx_conn_send(conn, &frame); /* if it cannot be sent, the end itself says enough */
	snprintf(reason, sizeof(reason), "%s", frame.error.text);
	if (code != KX_ERROR_DUPLICATE)
		log_limited(LOG_LEVEL_WARNING, &conn->kx->refusals, "KM link: refused %s: %s",
			    who(conn), reason);
	kx_conn_close(conn, reason);
}

/* -------- liveness -------- */

static int set_timer(struct kx_conn *conn, uint64_t delay_ms)
{
	return loop_timer_set(conn->kx->loop, &conn->timer, delay_ms);
}

static void ping(struct kx_conn *conn)
{
	static struct kx_frame frame;

	frame.type = KX_PING;
	frame.ping.token = ++conn->ping_token;
	conn->ping_us = now_us();
	kx_conn_send(conn, &frame);
}

static void on_timer(void *arg)
{
	struct kx_conn *conn = arg;
	char reason[80];

	if (conn->state == KX_CONN_GREETING) {
		kx_conn_refuse(conn, KX_ERROR_FRAME, "no hello within %u ms", conn->kx->hello_ms);
		return;
	}
	/* Pings are counted, not time: after a pause of ours there is one to answer first. */
	if (conn->silent++ >= KX_SILENT_PINGS) {
		snprintf(reason, sizeof(reason), "nothing heard for %u ms",
			 conn->kx->ping_ms * KX_SILENT_PINGS);
		kx_conn_close(conn, reason);
		return;
	}
	ping(conn);
	if (set_timer(conn, conn->kx->ping_ms))
		kx_conn_close(conn, "out of memory");
}

static void take_pong(struct kx_conn *conn, const struct kx_ping *pong)
{
	uint64_t took;

	if (pong->token != conn->ping_token)
		return; /* of an earlier ping */
	took = now_us() - conn->ping_us;
	conn->peer->round_trip_us = took > UINT32_MAX ? UINT32_MAX : (uint32_t)(took ? took : 1);
}

/* -------- greeting -------- */

int kx_conn_greet(struct kx_conn *conn)
{
	static struct kx_frame frame;

	memset(&frame.hello, 0, sizeof(frame.hello));
	frame.type = KX_HELLO;
	frame.hello.version = KX_VERSION;
	frame.hello.features = KX_FEATURES;
	memcpy(frame.hello.node, conn->kx->node, sizeof(frame.hello.node));
	memcpy(frame.hello.store, conn->kx->store, sizeof(frame.hello.store));
	return kx_conn_send(conn, &frame);
}

/**
 * The caller greets first. Who was called answers with its hello once it has
 * found the caller's good: so that a caller that is refused never thinks that
 * the link is up.
 */
static void opened(struct stream *stream, void *arg)
{
	struct kx_conn *conn = arg;

	conn->state = KX_CONN_GREETING;
	if ((conn->ours && kx_conn_greet(conn)) || set_timer(conn, conn->kx->hello_ms))
		kx_conn_close(conn, "out of memory");
}

/** Who the peer says it is must be what its certificate says, and whom we know. */
static void take_hello(struct kx_conn *conn, const struct kx_hello *hello)
{
	struct kx_peer *peer = kx_find(conn->kx, hello->node);

	if (hello->version != KX_VERSION)
		kx_conn_refuse(conn, KX_ERROR_VERSION, "Kx version %u is not known here, %u is",
			       hello->version, KX_VERSION);
	else if (!stream_peer_has_name(conn->stream, hello->node))
		kx_conn_refuse(conn, KX_ERROR_NAME,
			       "it says that it is %s, but its certificate is for %s", hello->node,
			       stream_peer_name(conn->stream));
	else if (!peer)
		kx_conn_refuse(conn, KX_ERROR_NAME, "%s is not configured as a peer of %s",
			       hello->node, conn->kx->node);
	else if (conn->peer && conn->peer != peer)
		kx_conn_refuse(conn, KX_ERROR_NAME, "%s was called, but %s answered",
			       conn->peer->name, peer->name);
	else if (memcmp(hello->store, conn->kx->store, sizeof(hello->store)) == 0)
		kx_conn_refuse(conn, KX_ERROR_STORE,
			       "%s and %s have the same key store: one is a copy; give one of them "
			       "an empty store",
			       peer->name, conn->kx->node);
	else if (set_timer(conn, conn->kx->ping_ms))
		kx_conn_close(conn, "out of memory");
	else
		kx_peer_greeted(peer, conn, hello);
}

/* -------- frames -------- */

static void take_error(struct kx_conn *conn, const struct kx_error *error)
{
	char reason[KX_REASON_BYTES];

	snprintf(reason, sizeof(reason), "the peer closed: %s", error->text);
	if (error->code != KX_ERROR_DUPLICATE)
		log_limited(LOG_LEVEL_WARNING, &conn->kx->refusals, "KM link: refused by %s: %s",
			    who(conn), error->text);
	kx_conn_close(conn, reason);
}

static void take_pinged(struct kx_conn *conn, struct kx_frame *frame)
{
	frame->type = KX_PONG;
	if (kx_conn_send(conn, frame) == -ENOBUFS)
		kx_conn_close(conn, "the peer sends but does not read");
}

static void take_frame(struct kx_conn *conn, struct kx_frame *frame)
{
	int err;

	if (frame->type == KX_ERROR) {
		take_error(conn, &frame->error);
	} else if (conn->state == KX_CONN_GREETING) {
		if (frame->type == KX_HELLO)
			take_hello(conn, &frame->hello);
		else
			kx_conn_refuse(conn, KX_ERROR_FRAME, "frame of type %u before the hello",
				       frame->type);
	} else if (frame->type == KX_HELLO) {
		kx_conn_refuse(conn, KX_ERROR_FRAME, "a second hello");
	} else if (frame->type == KX_PING) {
		take_pinged(conn, frame);
	} else if (frame->type == KX_PONG) {
		take_pong(conn, &frame->ping);
	} else {
		err = kx_dispatch(conn->peer, frame);
		if (err)
			kx_conn_refuse(conn, KX_ERROR_FRAME,
				       "frame of type %u was not accepted: %s", frame->type,
				       strerror(err < 0 ? -err : err));
	}
}

/** The first frame in @octets. Return: its length, 0: not complete; refused: -EPROTO. */
static int take_octets(struct kx_conn *conn, const uint8_t *octets, size_t len)
{
	struct kx_header header;
	char error[160];
	int err;

	if (len < KX_HEADER_BYTES)
		return 0;
	err = kx_header_decode(octets, &header);
	if (err) {
		kx_conn_refuse(conn, KX_ERROR_FRAME,
			       err == -EMSGSIZE ? "a frame of type %u with %u octets, too long"
						: "a frame of type %u (%u octets), unknown here",
			       header.type, header.length);
		return -EPROTO;
	}
	if (kx_type_ignored(header.type) && conn->state == KX_CONN_GREETING) {
		kx_conn_refuse(conn, KX_ERROR_FRAME, "frame of type %u before the hello",
			       header.type);
		return -EPROTO;
	}
	if (len - KX_HEADER_BYTES < header.length)
		return 0;
	if (kx_type_ignored(header.type)) {
		log_debug("KM link with %s: a frame of type %u, unknown here, is ignored",
			  who(conn), header.type);
		return (int)(KX_HEADER_BYTES + header.length);
	}
	if (kx_frame_decode(&header, octets + KX_HEADER_BYTES, &conn->kx->frame, error,
			    sizeof(error))) {
		kx_conn_refuse(conn, KX_ERROR_FRAME, "%s", error);
		return -EPROTO;
	}
	take_frame(conn, &conn->kx->frame);
	return (int)(KX_HEADER_BYTES + header.length);
}

static void received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	struct kx_conn *conn = arg;

	conn->silent = 0;
	while (len && conn->state != KX_CONN_CLOSING) {
		size_t part = sizeof(conn->in) - conn->have;
		size_t used = 0;
		int took;

		if (part > len)
			part = len;
		memcpy(conn->in + conn->have, data, part);
		conn->have += part;
		data += part;
		len -= part;
		while (conn->state != KX_CONN_CLOSING &&
		       (took = take_octets(conn, conn->in + used, conn->have - used)) > 0)
			used += (size_t)took;
		conn->have -= used;
		memmove(conn->in, conn->in + used, conn->have);
	}
}

static void closed(struct stream *stream, void *arg, int err, const char *reason)
{
	struct kx_conn *conn = arg;
	enum kx_conn_state state = conn->state;

	if (state != KX_CONN_CLOSING) {
		conn->state = KX_CONN_CLOSING;
		/* A stranger, or a peer whose certificate is wrong: say why. */
		if (!conn->peer && reason)
			log_limited(LOG_LEVEL_WARNING, &conn->kx->refusals,
				    "KM link: refused a connection: %s", reason);
		if (conn->peer)
			kx_peer_lost(conn->peer, conn, reason ? reason : "closed");
	}
	kx_conn_free(conn);
}

const struct stream_ops kx_conn_ops = {
	.opened = opened,
	.received = received,
	.closed = closed,
};
