// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a stream once it has a socket. One receive and at most one send
 * are under way; the stream is freed when both are over, from a deferred task,
 * so that no callback of its owner ever runs inside a call of the owner.
 */
#include "loop/stream_internal.h"
#include "loop/certificate.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void received(struct loop_op *op, int result);
static void sent(struct loop_op *op, int result);
static void timed_out(void *arg);
static void finalize(void *arg);
static void end_with_loop(void *arg);
static void read_more(struct stream *stream);

struct stream *stream_new(struct loop *loop, int fd)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->loop = loop;
	stream->fd = fd;
	stream->recv_op.done = received;
	stream->recv_op.arg = stream;
	stream->send_op.done = sent;
	stream->send_op.arg = stream;
	stream->timer.fire = timed_out;
	stream->timer.arg = stream;
	stream->end_task.fire = finalize;
	stream->end_task.arg = stream;
	stream->guest.end = end_with_loop;
	stream->guest.arg = stream;
	loop_guest_add(loop, &stream->guest);
	return stream;
}

void stream_discard(struct stream *stream)
{
	loop_timer_cancel(stream->loop, &stream->timer);
	loop_guest_remove(&stream->guest);
	stream_target_free(stream);
	tls_free(stream->tls);
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream);
}

void stream_set_tcp_options(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},	 {SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 20}, {IPPROTO_TCP, TCP_KEEPINTVL, 5},
		{IPPROTO_TCP, TCP_KEEPCNT, 4},	 {IPPROTO_TCP, TCP_USER_TIMEOUT, 30000},
	};

	/* Refused on a Unix socket, where they would be needless. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			   sizeof(options[i].value));
}

/* -------- the end -------- */

static void finalize(void *arg)
{
	struct stream *stream = arg;

	if (stream->recv_op.busy || stream->send_op.busy || stream->connect_op.busy)
		return; /* the last of them defers this again */
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	loop_timer_cancel(stream->loop, &stream->timer);
	out_queue_clear(&stream->out);
	if (stream->listener)
		stream_listener_release(stream->listener);
	if (stream->ops)
		stream->ops->closed(stream, stream->arg, stream->ours ? 0 : stream->err,
				    stream->ours ? NULL : stream->reason);
	loop_guest_remove(&stream->guest);
	stream_target_free(stream);
	tls_free(stream->tls);
	OPENSSL_cleanse(stream->in, sizeof(stream->in));
	free(stream);
}

static void set_cause(struct stream *stream, int err, const char *format, va_list args)
{
	if (*stream->reason || stream->ours)
		return;
	stream->err = err;
	vsnprintf(stream->reason, sizeof(stream->reason), format, args);
}

static void end_now(struct stream *stream)
{
	if (stream->state == STREAM_ENDED)
		return;
	stream->state = STREAM_ENDED;
	stream_listener_settle(stream);
	loop_timer_cancel(stream->loop, &stream->timer);
	stream_target_free(stream);
	loop_op_cancel(stream->loop, &stream->recv_op);
	loop_op_cancel(stream->loop, &stream->send_op);
	loop_op_cancel(stream->loop, &stream->connect_op);
	loop_defer(stream->loop, &stream->end_task);
}

void stream_end(struct stream *stream, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_cause(stream, err, format, args);
	va_end(args);
	end_now(stream);
}

static void end_with_loop(void *arg)
{
	stream_end(arg, -ECANCELED, "the service stops");
}

static void timed_out(void *arg)
{
	struct stream *stream = arg;

	switch (stream->state) {
	case STREAM_CONNECTING:
		stream_connect_timed_out(stream);
		break;
	case STREAM_SHAKING:
		stream_end(stream, -ETIMEDOUT, "the TLS handshake with %s took more than %u ms",
			   stream->address, stream->timeout_ms);
		break;
	case STREAM_OPEN: /* sending failed, and no reason came in */
		stream_end(stream, stream->send_error, "sending to %s failed: %s", stream->address,
			   strerror(-stream->send_error));
		break;
	case STREAM_FLUSHING:
	case STREAM_LINGERING:
	case STREAM_ENDED:
		end_now(stream);
		break;
	}
}

int stream_start_timer(struct stream *stream)
{
	return loop_timer_set(stream->loop, &stream->timer, stream->timeout_ms);
}

/* -------- sending -------- */

static void linger(struct stream *stream)
{
	stream->state = STREAM_LINGERING;
	shutdown(stream->fd, SHUT_WR);
	/*
	 * Closing a socket with unread input resets the connection, and the
	 * peer may lose what we sent last: the alert that says why. So read on.
	 */
	if (stream->send_error || loop_timer_set(stream->loop, &stream->timer, STREAM_LINGER_MS))
		end_now(stream);
	else
		read_more(stream);
}

static void pump(struct stream *stream)
{
	const void *data;
	size_t len;

	if (stream->send_op.busy || stream->state == STREAM_ENDED)
		return;
	len = out_queue_head(&stream->out, &data);
	if (len) {
		int rc = loop_send(stream->loop, &stream->send_op, stream->fd, data, len);

		if (rc)
			stream_end(stream, rc, "sending to %s: %s", stream->address, strerror(-rc));
	} else if (stream->state == STREAM_FLUSHING) {
		linger(stream);
	}
}

/* The peer has gone, perhaps not without a word that waits to be read. */
static void send_failed(struct stream *stream, int err)
{
	stream->send_error = err;
	out_queue_clear(&stream->out);
	if (stream->state == STREAM_FLUSHING && !stream->err)
		*stream->reason = 0; /* the end was in order, but not all could be sent */
	if (stream->state == STREAM_FLUSHING || stream->state == STREAM_LINGERING) {
		stream_end(stream, err, "sending to %s failed: %s", stream->address,
			   strerror(-err));
		return;
	}
	if (!stream->recv_op.busy || loop_timer_set(stream->loop, &stream->timer, STREAM_LINGER_MS))
		stream_end(stream, err, "sending to %s failed: %s", stream->address,
			   strerror(-err));
}

static void sent(struct loop_op *op, int result)
{
	struct stream *stream = op->arg;

	if (stream->state == STREAM_ENDED) {
		loop_defer(stream->loop, &stream->end_task);
		return;
	}
	if (result < 0) {
		send_failed(stream, result);
		return;
	}
	out_queue_sent(&stream->out, (size_t)result);
	if (!stream->out.octets && stream->state == STREAM_OPEN && stream->ops &&
	    stream->ops->drained)
		stream->ops->drained(stream, stream->arg);
	pump(stream);
}

/* Moves TLS output into the queue. */
static int collect(struct stream *stream)
{
	uint8_t part[4096];
	size_t len;

	while (stream->tls && (len = tls_take(stream->tls, part, sizeof(part))))
		if (out_queue_add(&stream->out, part, len))
			return -ENOMEM;
	return 0;
}

static void flush(struct stream *stream)
{
	if (collect(stream))
		stream_end(stream, -ENOMEM, "out of memory");
	else
		pump(stream);
}

/* Sends what waits, an alert or a close_notify being the last, and ends. */
static void wind_up(struct stream *stream)
{
	if (stream->state >= STREAM_FLUSHING)
		return;
	if (stream->tls)
		tls_shutdown(stream->tls);
	stream->state = STREAM_FLUSHING;
	if (stream->send_error || loop_timer_set(stream->loop, &stream->timer, STREAM_FLUSH_MS))
		end_now(stream);
	else
		flush(stream);
}

static void __attribute__((format(printf, 3, 4)))
wind_up_because(struct stream *stream, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_cause(stream, err, format, args);
	va_end(args);
	wind_up(stream);
}

int stream_write(struct stream *stream, const void *data, size_t len)
{
	const uint8_t *next = data;

	if (stream->state != STREAM_OPEN || stream->send_error)
		return -ENOTCONN;
	if (stream->out.octets + len > STREAM_OUT_MAX)
		return -ENOBUFS;
	if (!stream->tls) {
		if (out_queue_add(&stream->out, data, len))
			return -ENOMEM;
		pump(stream);
		return 0;
	}
	/* Encrypted at once, record by record: plaintext never waits. */
	while (len) {
		size_t part = len > LOOP_SCRATCH ? LOOP_SCRATCH : len;

		if (tls_write(stream->tls, next, part)) {
			stream_end(stream, -EPROTO, "%s", tls_reason(stream->tls));
			return -ENOTCONN;
		}
		if (collect(stream)) {
			/* Part of a record is lost: nothing after it would be understood. */
			stream_end(stream, -ENOMEM, "out of memory");
			return -ENOMEM;
		}
		next += part;
		len -= part;
	}
	pump(stream);
	return 0;
}

size_t stream_pending(const struct stream *stream)
{
	return stream->out.octets;
}

/* -------- receiving -------- */

static void read_more(struct stream *stream)
{
	int rc;

	if (stream->recv_op.busy || stream->taking || stream->state == STREAM_ENDED)
		return;
	if (stream->paused && stream->state == STREAM_OPEN)
		return;
	rc = loop_recv(stream->loop, &stream->recv_op, stream->fd, stream->in, sizeof(stream->in));
	if (rc)
		stream_end(stream, rc, "reading from %s: %s", stream->address, strerror(-rc));
}

static void hand_over(struct stream *stream, uint8_t *data, size_t len)
{
	if (stream->ops)
		stream->ops->received(stream, stream->arg, data, len);
	OPENSSL_cleanse(data, len);
}

static void open_stream(struct stream *stream)
{
	loop_timer_cancel(stream->loop, &stream->timer);
	stream->state = STREAM_OPEN;
	stream_listener_settle(stream);
	if (stream->ops)
		stream->ops->opened(stream, stream->arg);
}

static void shake(struct stream *stream)
{
	int rc = tls_handshake(stream->tls);

	if (rc < 0)
		wind_up_because(stream, rc, "%s", tls_reason(stream->tls));
	else
		flush(stream);
	if (rc == 1 && stream->state == STREAM_SHAKING)
		open_stream(stream);
}

static void read_records(struct stream *stream)
{
	uint8_t *plain = stream->loop->scratch;
	int rc = 0;

	while (stream->state == STREAM_OPEN) {
		rc = tls_read(stream->tls, plain, LOOP_SCRATCH);
		if (rc <= 0)
			break;
		hand_over(stream, plain, (size_t)rc);
	}
	if (stream->state != STREAM_OPEN)
		return;
	if (rc == -ESHUTDOWN)
		wind_up_because(stream, 0, "%s closed the connection", stream->address);
	else if (rc < 0)
		wind_up_because(stream, rc, "%s", tls_reason(stream->tls));
	else
		flush(stream); /* a key update may want its answer */
}

static void take_ciphertext(struct stream *stream, size_t len)
{
	int rc = tls_feed(stream->tls, stream->in, len);

	if (rc) {
		stream_end(stream, rc, "out of memory");
		return;
	}
	if (stream->state == STREAM_SHAKING)
		shake(stream);
	if (stream->state == STREAM_OPEN)
		read_records(stream);
}

static void peer_ended(struct stream *stream)
{
	switch (stream->state) {
	case STREAM_SHAKING:
		stream_end(stream, -ECONNRESET, "%s closed the connection during the TLS handshake",
			   stream->address);
		break;
	case STREAM_OPEN:
		if (stream->tls)
			stream_end(stream, -ECONNRESET,
				   "%s broke off the connection (no TLS close_notify)",
				   stream->address);
		else
			wind_up_because(stream, 0, "%s closed the connection", stream->address);
		break;
	case STREAM_FLUSHING: /* it may still take what we send */
		break;
	default:
		end_now(stream);
	}
}

static void take(struct stream *stream, size_t len)
{
	/* The owner may un-pause us, but the buffer is not free before the end of this. */
	stream->taking = true;
	/* Once we are closing, input is read only to be dropped. */
	if (stream->state == STREAM_SHAKING || (stream->state == STREAM_OPEN && stream->tls))
		take_ciphertext(stream, len);
	else if (stream->state == STREAM_OPEN)
		hand_over(stream, stream->in, len);
	OPENSSL_cleanse(stream->in, len);
	stream->taking = false;
	read_more(stream);
}

static void received(struct loop_op *op, int result)
{
	struct stream *stream = op->arg;

	if (stream->state == STREAM_ENDED)
		loop_defer(stream->loop, &stream->end_task);
	else if (result > 0)
		take(stream, (size_t)result);
	else if (result == 0)
		peer_ended(stream);
	else if (result == -EINTR)
		read_more(stream);
	else if (stream->state == STREAM_SHAKING && result == -ECONNRESET)
		stream_end(stream, result, "%s broke off the TLS handshake", stream->address);
	else
		stream_end(stream, result, "connection with %s: %s", stream->address,
			   strerror(-result));
}

void stream_pause(struct stream *stream, bool paused)
{
	if (stream->paused == paused)
		return;
	stream->paused = paused;
	if (!paused && stream->state == STREAM_OPEN)
		read_more(stream);
}

/* -------- what the owner calls -------- */

void stream_begin(struct stream *stream)
{
	if (stream->tls) {
		stream->state = STREAM_SHAKING;
		shake(stream);
	} else {
		open_stream(stream);
	}
	if (stream->state != STREAM_ENDED)
		read_more(stream);
}

static void begin_task(void *arg)
{
	struct stream *stream = arg;

	if (stream->state == STREAM_CONNECTING)
		stream_begin(stream);
}

void stream_begin_later(struct stream *stream)
{
	stream->begin_task.fire = begin_task;
	stream->begin_task.arg = stream;
	loop_defer(stream->loop, &stream->begin_task);
}

void stream_set_owner(struct stream *stream, const struct stream_ops *ops, void *arg)
{
	stream->ops = ops;
	stream->arg = arg;
}

void stream_close(struct stream *stream)
{
	if (stream->state == STREAM_ENDED)
		return;
	if (!*stream->reason)
		stream->ours = true;
	if (stream->state == STREAM_CONNECTING || stream->state == STREAM_SHAKING)
		end_now(stream);
	else
		wind_up(stream);
}

void stream_abort(struct stream *stream)
{
	if (stream->state != STREAM_ENDED && !*stream->reason)
		stream->ours = true;
	end_now(stream);
}

const char *stream_peer_address(const struct stream *stream)
{
	return stream->address;
}

bool stream_peer_has_name(const struct stream *stream, const char *name)
{
	return stream->tls && certificate_has_name(tls_peer_certificate(stream->tls), name);
}

const char *stream_peer_name(const struct stream *stream)
{
	return stream->tls ? tls_peer_name(stream->tls) : "";
}

int stream_export_secret(struct stream *stream, const char *label, const void *context,
			 size_t context_len, uint8_t *secret, size_t secret_len)
{
	if (!stream->tls)
		return -ENOTSUP;
	return tls_export(stream->tls, label, context, context_len, secret, secret_len);
}

int stream_peer_credentials(const struct stream *stream, uid_t *uid, gid_t *gid, pid_t *pid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (stream->fd < 0)
		return -ENOTCONN;
	if (getsockopt(stream->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -errno;
	/* A TCP socket answers too, with nobody. */
	if (cred.pid == 0 && cred.uid == (uid_t)-1)
		return -ENOTSUP;
	*uid = cred.uid;
	*gid = cred.gid;
	*pid = cred.pid;
	return 0;
}
