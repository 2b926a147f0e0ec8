// SPDX-License-Identifier: GPL-2.0-or-later
/* Listening sockets, TCP and Unix. */
#include "loop/listener.h"
#include "loop/stream_internal.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG	 1024
#define PAUSE_MS 100 /* when the process has no file descriptor left */

struct stream_listener {
	struct loop *loop;
	struct loop_guest guest;
	struct loop_op op;
	struct loop_timer pause;
	int fd;
	struct tls_context *tls;
	unsigned int streams;
	unsigned int max_streams;
	/* Streams that shake hands, the oldest first. Whoever reaches the port can make those. */
	struct stream *newcomers;
	struct stream **newest;
	unsigned int timeout_ms;
	const struct stream_listener_ops *ops;
	void *arg;
	char *path; /* of a Unix socket */
	bool closed;
};

static void accepted(struct loop_op *op, int result);

static void accept_next(void *arg)
{
	struct stream_listener *listener = arg;

	if (listener->closed || loop_accept(listener->loop, &listener->op, listener->fd) == 0)
		return;
	loop_timer_set(listener->loop, &listener->pause, PAUSE_MS);
}

/* Gone when it is closed, its accept is over, and its last stream has ended. */
static void free_if_unused(struct stream_listener *listener)
{
	if (!listener->closed || listener->op.busy || listener->streams)
		return;
	tls_context_destroy(listener->tls);
	free(listener->path);
	free(listener);
}

void stream_listener_release(struct stream_listener *listener)
{
	listener->streams--;
	free_if_unused(listener);
}

/* -------- newcomers -------- */

static void add_newcomer(struct stream_listener *listener, struct stream *stream)
{
	stream->newer = NULL;
	stream->older = listener->newest;
	*listener->newest = stream;
	listener->newest = &stream->newer;
}

void stream_listener_settle(struct stream *stream)
{
	if (!stream->older)
		return;
	*stream->older = stream->newer;
	if (stream->newer)
		stream->newer->older = stream->older;
	else
		stream->listener->newest = stream->older;
	stream->older = NULL;
}

/** The oldest newcomer of @source, and how many there are; @source NULL: of any. */
static struct stream *oldest(const struct stream_listener *listener, const uint8_t *source,
			     unsigned int *count)
{
	struct stream *first = NULL;

	*count = 0;
	for (struct stream *stream = listener->newcomers; stream; stream = stream->newer) {
		if (source && memcmp(stream->source, source, sizeof(stream->source)))
			continue;
		first = first ? first : stream;
		++*count;
	}
	return first;
}

static void drop(struct stream *stream)
{
	stream_end(stream, -ECONNABORTED,
		   "%s was dropped in the TLS handshake: too many connections at once",
		   stream->address);
}

static unsigned int max_of_source(const struct stream_listener *listener)
{
	unsigned int quarter = listener->max_streams / 4;

	return quarter > STREAM_SOURCE_MIN ? quarter : STREAM_SOURCE_MIN;
}

/**
 * Room for @stream, at the cost of one that nobody knows yet. The oldest goes
 * and not the newest: a peer that means well is through its handshake in a
 * moment, one that does not sits there for its whole time.
 * Return: false: all are known, there is no room.
 */
static bool make_room(struct stream_listener *listener, const struct stream *stream)
{
	unsigned int count;
	struct stream *first = oldest(listener, stream->source, &count);

	if (listener->tls && count >= max_of_source(listener)) {
		drop(first);
		return true;
	}
	if (listener->streams < listener->max_streams)
		return true;
	first = oldest(listener, NULL, &count);
	if (first)
		drop(first);
	return first != NULL;
}

/* -------- connections come in -------- */

static void set_source(struct stream *stream, const struct sockaddr_storage *addr)
{
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;

	if (addr->ss_family == AF_INET)
		memcpy(stream->source + 12, &((const struct sockaddr_in *)addr)->sin_addr, 4);
	else if (addr->ss_family == AF_INET6)
		memcpy(stream->source, in6, IN6_IS_ADDR_V4MAPPED(in6) ? 16 : 8);
}

static void name_peer(struct stream *stream)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);
	uid_t uid;
	gid_t gid;
	pid_t pid;

	if (getpeername(stream->fd, (struct sockaddr *)&addr, &len) == 0 &&
	    addr.ss_family != AF_UNIX)
		address_format((struct sockaddr *)&addr, stream->address, sizeof(stream->address));
	else if (stream_peer_credentials(stream, &uid, &gid, &pid) == 0)
		snprintf(stream->address, sizeof(stream->address), "process %d of user %u",
			 (int)pid, (unsigned int)uid);
	else
		strcpy(stream->address, "unknown address");
	set_source(stream, &addr);
}

static void welcome(struct stream_listener *listener, int fd)
{
	struct stream *stream = stream_new(listener->loop, fd);

	if (!stream) {
		close(fd);
		return;
	}
	name_peer(stream);
	if (!make_room(listener, stream)) {
		stream_discard(stream);
		return;
	}
	stream->timeout_ms = listener->timeout_ms;
	if (!listener->path)
		stream_set_tcp_options(fd);
	if (listener->tls &&
	    (tls_create(listener->tls, TLS_SERVER, NULL, NULL, stream->address, &stream->tls) ||
	     stream_start_timer(stream))) {
		stream_discard(stream);
		return;
	}
	stream->listener = listener;
	listener->streams++;
	if (listener->tls)
		add_newcomer(listener, stream);
	listener->ops->accepted(stream, listener->arg);
	if (stream->state == STREAM_CONNECTING)
		stream_begin(stream);
}

static void accepted(struct loop_op *op, int result)
{
	struct stream_listener *listener = op->arg;

	if (listener->closed) {
		if (result >= 0)
			close(result);
		free_if_unused(listener);
		return;
	}
	if (result >= 0)
		welcome(listener, result);
	/* accepted() may have closed us. */
	if (listener->closed)
		free_if_unused(listener);
	else if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS)
		loop_timer_set(listener->loop, &listener->pause, PAUSE_MS);
	else
		accept_next(listener);
}

static void close_listener(struct stream_listener *listener)
{
	listener->closed = true;
	loop_timer_cancel(listener->loop, &listener->pause);
	loop_guest_remove(&listener->guest);
	if (listener->path)
		unlink(listener->path);
	if (listener->op.busy)
		loop_op_cancel(listener->loop, &listener->op);
	close(listener->fd);
	free_if_unused(listener);
}

void stream_listener_close(struct stream_listener *listener)
{
	if (listener)
		close_listener(listener);
}

static void end_with_loop(void *arg)
{
	close_listener(arg);
}

int stream_listener_start(struct loop *loop, int fd, struct tls_context *tls, const char *path,
			  unsigned int max_streams, unsigned int timeout_ms,
			  const struct stream_listener_ops *ops, void *arg,
			  struct stream_listener **listener)
{
	struct stream_listener *made = calloc(1, sizeof(*made));
	int rc;

	if (!made)
		return -ENOMEM;
	if (listen(fd, BACKLOG)) {
		rc = -errno;
		goto free_listener;
	}
	if (path) {
		made->path = strdup(path);
		rc = -ENOMEM;
		if (!made->path)
			goto free_listener;
	}
	made->loop = loop;
	made->fd = fd;
	made->newest = &made->newcomers;
	made->max_streams = max_streams;
	made->timeout_ms = timeout_ms;
	made->ops = ops;
	made->arg = arg;
	made->op.done = accepted;
	made->op.arg = made;
	made->pause.fire = accept_next;
	made->pause.arg = made;
	rc = loop_accept(loop, &made->op, fd);
	if (rc)
		goto free_listener;
	made->tls = tls ? tls_context_hold(tls) : NULL;
	made->guest.end = end_with_loop;
	made->guest.arg = made;
	loop_guest_add(loop, &made->guest);
	*listener = made;
	return 0;
free_listener:
	free(made->path);
	free(made);
	return rc;
}

static int bind_tcp(const char *address, uint16_t port)
{
	struct address_list list;
	const struct sockaddr *addr;
	int one = 1;
	int fd;
	int rc;

	if (resolve_numeric(address, port, &list))
		return -EINVAL;
	addr = (const struct sockaddr *)&list.entry[0].addr;
	fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* A restart must not wait for connections of the past. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, addr, list.entry[0].len)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int stream_listen(struct loop *loop, struct tls_context *tls, const char *address, uint16_t port,
		  unsigned int max_streams, unsigned int timeout_ms,
		  const struct stream_listener_ops *ops, void *arg,
		  struct stream_listener **listener)
{
	int fd = bind_tcp(address, port);
	int rc;

	if (fd < 0)
		return fd;
	rc = stream_listener_start(loop, fd, tls, NULL, max_streams, timeout_ms, ops, arg,
				   listener);
	if (rc)
		close(fd);
	return rc;
}

uint16_t stream_listener_port(const struct stream_listener *listener)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);

	if (getsockname(listener->fd, (struct sockaddr *)&addr, &len))
		return 0;
	if (addr.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&addr)->sin_port);
	if (addr.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
	return 0;
}
