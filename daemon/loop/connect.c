// SPDX-License-Identifier: GPL-2.0-or-later
/* Connecting: name, addresses one after the other, then the stream begins. */
#include "loop/stream_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/**
 * struct stream_target - where a stream is going; gone when it is there
 * @tls: the context to shake hands with, NULL for none
 */
struct stream_target {
	char host[256];
	uint16_t port;
	char expect[256];
	struct tls_context *tls;
	struct resolve_job *job;
	struct address_list list;
	size_t next;
	int last_error;
};

void stream_target_free(struct stream *stream)
{
	struct stream_target *target = stream->target;

	/* The kernel may still read the address. */
	if (!target || stream->connect_op.busy)
		return;
	if (target->job)
		resolve_cancel(target->job);
	tls_context_destroy(target->tls);
	free(target);
	stream->target = NULL;
}

void stream_connect_timed_out(struct stream *stream)
{
	if (stream->target && stream->target->job)
		stream_end(stream, -ETIMEDOUT, "%s: no answer to the name look-up within %u ms",
			   stream->address, stream->timeout_ms);
	else
		stream_end(stream, -ETIMEDOUT, "%s did not answer within %u ms", stream->address,
			   stream->timeout_ms);
}

static void connected(struct stream *stream)
{
	struct stream_target *target = stream->target;
	int rc = 0;

	if (target->tls)
		rc = tls_create(target->tls, TLS_CLIENT, target->host, target->expect,
				stream->address, &stream->tls);
	stream_target_free(stream);
	if (rc)
		stream_end(stream, rc, "TLS with %s: %s", stream->address, strerror(-rc));
	else
		stream_begin(stream);
}

static int try_address(struct stream *stream, const struct address *address)
{
	const struct sockaddr *addr = (const struct sockaddr *)&address->addr;

	stream->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (stream->fd < 0)
		return -errno;
	stream_set_tcp_options(stream->fd);
	address_format(addr, stream->address, sizeof(stream->address));
	return loop_connect(stream->loop, &stream->connect_op, stream->fd, addr, address->len);
}

/* Starts with the next address. Return: 0, or the last error when there is none left. */
static int try_next(struct stream *stream)
{
	struct stream_target *target = stream->target;

	while (target->next < target->list.count) {
		if (stream->fd >= 0)
			close(stream->fd);
		stream->fd = -1;
		target->last_error = try_address(stream, &target->list.entry[target->next++]);
		if (!target->last_error)
			return 0;
	}
	return target->last_error;
}

static void connect_done(struct loop_op *op, int result)
{
	struct stream *stream = op->arg;

	if (stream->state == STREAM_ENDED) {
		loop_defer(stream->loop, &stream->end_task);
		return;
	}
	if (result == 0) {
		connected(stream);
		return;
	}
	stream->target->last_error = result;
	result = try_next(stream);
	if (result)
		stream_end(stream, result, "cannot connect to %s: %s", stream->address,
			   strerror(-result));
}

static void resolved(void *arg, const struct address_list *list, const char *reason)
{
	struct stream *stream = arg;
	struct stream_target *target = stream->target;
	int rc;

	target->job = NULL;
	if (!list) {
		stream_end(stream, -EHOSTUNREACH, "cannot find the address of %s: %s", target->host,
			   reason);
		return;
	}
	target->list = *list;
	rc = try_next(stream);
	if (rc)
		stream_end(stream, rc, "cannot connect to %s: %s", stream->address, strerror(-rc));
}

static struct stream_target *target_create(const char *host, uint16_t port, struct tls_context *tls,
					   const char *expect)
{
	struct stream_target *target = calloc(1, sizeof(*target));

	if (!target)
		return NULL;
	strcpy(target->host, host);
	target->port = port;
	if (tls) {
		strcpy(target->expect, expect);
		target->tls = tls_context_hold(tls);
	}
	return target;
}

static int find_and_connect(struct stream *stream)
{
	struct stream_target *target = stream->target;

	if (resolve_numeric(target->host, target->port, &target->list) == 0)
		return try_next(stream);
	snprintf(stream->address, sizeof(stream->address), "%.120s:%u", target->host, target->port);
	return resolve_start(stream->loop, target->host, target->port, resolved, stream,
			     &target->job);
}

int stream_connect(struct loop *loop, struct tls_context *tls, const char *host, uint16_t port,
		   const char *expect, unsigned int timeout_ms, const struct stream_ops *ops,
		   void *arg, struct stream **stream)
{
	struct stream *made;
	int rc = -ENOMEM;

	if (!*host || strlen(host) >= sizeof(made->target->host))
		return -EINVAL;
	if (tls && (!expect || !*expect || strlen(expect) >= sizeof(made->target->expect)))
		return -EINVAL;
	made = stream_new(loop, -1);
	if (!made)
		return -ENOMEM;
	made->connect_op.done = connect_done;
	made->connect_op.arg = made;
	made->timeout_ms = timeout_ms;
	made->target = target_create(host, port, tls, expect);
	if (!made->target)
		goto discard;
	rc = stream_start_timer(made);
	if (rc)
		goto discard;
	rc = find_and_connect(made);
	if (rc)
		goto discard;
	stream_set_owner(made, ops, arg);
	*stream = made;
	return 0;
discard:
	stream_discard(made);
	return rc;
}
