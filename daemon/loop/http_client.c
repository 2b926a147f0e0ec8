// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The client: one connection, made when it is needed, and a queue. Answers are
 * handed over from a deferred task, so no callback runs within a call of the
 * owner, and the owner may destroy the client in its callback.
 */
#include "loop/http.h"
#include "loop/http_parse.h"
#include "loop/internal.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX     1024
#define IDLE_REUSE_MS 3000 /* servers drop idle connections after 5 s and more */

/**
 * struct http_call - one request, then its answer
 * @text: head and body as they are sent; wiped when sent
 * @message: the answer, if one came
 */
struct http_call {
	http_answer_fn done;
	void *arg;
	char *text;
	size_t text_len;
	struct http_message *message;
	int err;
	char reason[1024];
	struct http_call *next;
};

struct call_list {
	struct http_call *first;
	struct http_call **last;
	size_t count;
};

struct http_client {
	struct loop *loop;
	struct tls_context *tls;
	char host[256];
	uint16_t port;
	char expect[256];
	size_t max_body;
	unsigned int timeout_ms;
	struct stream *stream;
	bool opened;
	uint64_t idle_since_ms;
	struct http_call *current; /* sent, or waiting for the connection */
	struct call_list queue;
	struct call_list ended; /* to be handed over */
	struct loop_timer timer;
	struct loop_task deliver_task;
	bool delivering;
	bool destroyed;
};

static void proceed(struct http_client *client);

/* -------- calls -------- */

static void list_add(struct call_list *list, struct http_call *call)
{
	call->next = NULL;
	*list->last = call;
	list->last = &call->next;
	list->count++;
}

static struct http_call *list_take(struct call_list *list)
{
	struct http_call *call = list->first;

	if (!call)
		return NULL;
	list->first = call->next;
	if (!list->first)
		list->last = &list->first;
	list->count--;
	return call;
}

static void wipe_text(struct http_call *call)
{
	if (call->text)
		OPENSSL_cleanse(call->text, call->text_len);
	free(call->text);
	call->text = NULL;
}

static void call_free(struct http_call *call)
{
	if (!call)
		return;
	wipe_text(call);
	http_message_free(call->message);
	free(call);
}

static void list_clear(struct call_list *list)
{
	struct http_call *call;

	while ((call = list_take(list)))
		call_free(call);
}

static bool printable(const char *text)
{
	for (; *text; text++)
		if (*text <= 0x20 || *text > 0x7e)
			return false;
	return true;
}

static int format_call(struct http_call *call, const struct http_client *client, const char *method,
		       const char *path, const void *body, size_t len)
{
	bool v6 = strchr(client->host, ':');
	size_t room = strlen(path) + strlen(client->host) + len + 256;
	int head;

	call->text = malloc(room);
	if (!call->text)
		return -ENOMEM;
	head = snprintf(call->text, room,
			"%s %s HTTP/1.1\r\n"
			"Host: %s%s%s:%u\r\n"
			"User-Agent: qkdkeyd\r\n"
			"Accept: application/json\r\n",
			method, path, v6 ? "[" : "", client->host, v6 ? "]" : "", client->port);
	if (body)
		head += snprintf(call->text + head, room - (size_t)head,
				 "Content-Type: application/json\r\nContent-Length: %zu\r\n", len);
	else if (strcmp(method, "POST") == 0)
		head += snprintf(call->text + head, room - (size_t)head, "Content-Length: 0\r\n");
	head += snprintf(call->text + head, room - (size_t)head, "\r\n");
	if (body)
		memcpy(call->text + head, body, len);
	call->text_len = (size_t)head + (body ? len : 0);
	return 0;
}

/* -------- how calls end -------- */

static void deliver(void *arg)
{
	struct http_client *client = arg;
	struct http_call *call;

	client->delivering = true;
	while (!client->destroyed && (call = list_take(&client->ended))) {
		if (call->err)
			call->done(call->arg, call->err, NULL, 0, call->reason);
		else
			call->done(call->arg, call->message->status, call->message->body,
				   call->message->body_len, NULL);
		call_free(call);
	}
	client->delivering = false;
	if (client->destroyed)
		free(client);
	else
		proceed(client);
}

static void end_call(struct http_client *client, struct http_call *call)
{
	list_add(&client->ended, call);
	loop_defer(client->loop, &client->deliver_task);
}

static void fail_call(struct http_client *client, struct http_call *call, int err,
		      const char *reason)
{
	call->err = err;
	snprintf(call->reason, sizeof(call->reason), "%s", reason);
	end_call(client, call);
}

static void fail_current(struct http_client *client, int err, const char *reason)
{
	struct http_call *call = client->current;

	if (!call)
		return;
	client->current = NULL;
	loop_timer_cancel(client->loop, &client->timer);
	fail_call(client, call, err, reason);
}

static void fail_all(struct http_client *client, int err, const char *reason)
{
	struct http_call *call;

	fail_current(client, err, reason);
	while ((call = list_take(&client->queue)))
		fail_call(client, call, err, reason);
}

/* Leaves the connection behind; it ends without us. */
static void let_go(struct http_client *client, bool in_order)
{
	struct stream *stream = client->stream;

	client->stream = NULL;
	client->opened = false;
	if (!stream)
		return;
	stream_set_owner(stream, NULL, NULL);
	if (in_order)
		stream_close(stream);
	else
		stream_abort(stream);
}

static void __attribute__((format(printf, 3, 4)))
break_off(struct http_client *client, int err, const char *format, ...)
{
	char reason[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	let_go(client, false);
	fail_current(client, err, reason);
}

static void answered(struct http_client *client)
{
	struct http_call *call = client->current;

	client->current = NULL;
	client->idle_since_ms = loop_now_ms(client->loop);
	loop_timer_cancel(client->loop, &client->timer);
	if (!call->message->keep_alive)
		let_go(client, true);
	end_call(client, call);
}

/* -------- the connection -------- */

static int connect_stream(struct http_client *client);

static void send_current(struct http_client *client)
{
	struct http_call *call = client->current;
	int rc;

	if (!call || !call->text)
		return;
	rc = stream_write(client->stream, call->text, call->text_len);
	if (rc == -ENOTCONN) {
		/* The server is closing a connection that was idle: nothing was sent. */
		let_go(client, false);
		rc = connect_stream(client);
		if (!rc)
			return;
	}
	wipe_text(call);
	if (rc)
		break_off(client, rc, "cannot send to %s:%u: %s", client->host, client->port,
			  strerror(-rc));
}

static void opened(struct stream *stream, void *arg)
{
	struct http_client *client = arg;

	client->opened = true;
	client->idle_since_ms = loop_now_ms(client->loop);
	send_current(client);
}

static void received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	struct http_client *client = arg;
	struct http_message *message = client->current ? client->current->message : NULL;
	int used;

	/* An answer that nobody asked for would be taken for the next one's. */
	if (!message || client->current->text) {
		break_off(client, -EPROTO, "%s sent an answer to no request",
			  stream_peer_address(stream));
		return;
	}
	used = http_message_feed(message, data, len);
	if (used < 0)
		break_off(client, -EPROTO, "bad answer from %s: %s", stream_peer_address(stream),
			  message->fault);
	else if ((size_t)used < len)
		break_off(client, -EPROTO, "%s sent more than the answer",
			  stream_peer_address(stream));
	else if (message->complete)
		answered(client);
}

static void lost(struct http_client *client, int err, const char *reason)
{
	struct http_message *message = client->current ? client->current->message : NULL;

	/* An answer without a length ends with the connection, if that ends in order. */
	if (message && !err && http_message_begun(message) && http_message_finish(message) == 0)
		answered(client);
	else
		fail_current(client, err && err != -EPIPE ? err : -ECONNRESET, reason);
}

static void closed(struct stream *stream, void *arg, int err, const char *reason)
{
	struct http_client *client = arg;
	bool was_open = client->opened;

	client->stream = NULL;
	client->opened = false;
	if (!reason)
		reason = "connection closed";
	/* What fails before a request is sent, fails for every request that waits. */
	if (!was_open || err == -EACCES || err == -ECANCELED)
		fail_all(client, err ? err : -ECONNRESET, reason);
	else
		lost(client, err, reason);
}

static const struct stream_ops client_ops = {
	.opened = opened,
	.received = received,
	.closed = closed,
};

static void timed_out(void *arg)
{
	struct http_client *client = arg;

	char reason[400];

	snprintf(reason, sizeof(reason), "no answer from %s:%u within %u ms", client->host,
		 client->port, client->timeout_ms);
	/* Who cannot be reached will not answer the next ones either. */
	if (!client->opened) {
		let_go(client, false);
		fail_all(client, -ETIMEDOUT, reason);
	} else {
		break_off(client, -ETIMEDOUT, "%s", reason);
	}
}

static int connect_stream(struct http_client *client)
{
	if (client->stream)
		return 0;
	return stream_connect(client->loop, client->tls, client->host, client->port, client->expect,
			      client->timeout_ms, &client_ops, client, &client->stream);
}

/* Takes the next request from the queue, when there is none under way. */
static void proceed(struct http_client *client)
{
	int rc;

	/* Answers first: an owner told of a failure may not want the rest. */
	if (client->current || client->ended.first || !client->queue.first)
		return;
	client->current = list_take(&client->queue);
	/*
	 * A request that crosses with the server's closing of an idle connection
	 * is lost, and its keys perhaps with it: rather connect anew.
	 */
	if (client->opened && loop_now_ms(client->loop) - client->idle_since_ms > IDLE_REUSE_MS)
		let_go(client, true);
	rc = loop_timer_set(client->loop, &client->timer, client->timeout_ms);
	if (!rc)
		rc = connect_stream(client);
	if (rc) {
		char reason[400];

		snprintf(reason, sizeof(reason), "cannot connect to %s:%u: %s", client->host,
			 client->port, strerror(-rc));
		fail_all(client, rc, reason);
	} else if (client->opened) {
		send_current(client);
	}
}

/* -------- what the owner calls -------- */

int http_client_create(struct loop *loop, struct tls_context *tls, const char *host, uint16_t port,
		       const char *expect, size_t max_body, unsigned int timeout_ms,
		       struct http_client **client)
{
	struct http_client *made;

	if (!*host || !printable(host) || strlen(host) >= sizeof(made->host))
		return -EINVAL;
	if (tls && (!expect || !*expect || strlen(expect) >= sizeof(made->expect)))
		return -EINVAL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->loop = loop;
	made->tls = tls;
	strcpy(made->host, host);
	strcpy(made->expect, expect ? expect : "");
	made->port = port;
	made->max_body = max_body;
	made->timeout_ms = timeout_ms;
	made->queue.last = &made->queue.first;
	made->ended.last = &made->ended.first;
	made->timer.fire = timed_out;
	made->timer.arg = made;
	made->deliver_task.fire = deliver;
	made->deliver_task.arg = made;
	*client = made;
	return 0;
}

void http_client_destroy(struct http_client *client)
{
	if (!client)
		return;
	let_go(client, true);
	loop_timer_cancel(client->loop, &client->timer);
	loop_undefer(client->loop, &client->deliver_task);
	call_free(client->current);
	client->current = NULL;
	list_clear(&client->queue);
	list_clear(&client->ended);
	client->destroyed = true;
	if (!client->delivering)
		free(client);
}

int http_client_request(struct http_client *client, const char *method, const char *path,
			const void *body, size_t len, http_answer_fn done, void *arg)
{
	struct http_call *call;
	int rc = -ENOMEM;

	if (*path != '/' || !printable(path) || !*method || !printable(method))
		return -EINVAL;
	if (client->queue.count >= QUEUE_MAX)
		return -ENOBUFS;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->done = done;
	call->arg = arg;
	call->message = http_message_new(HTTP_ANSWER_MESSAGE, client->max_body);
	if (!call->message)
		goto free_call;
	rc = format_call(call, client, method, path, body, len);
	if (rc)
		goto free_call;
	list_add(&client->queue, call);
	proceed(client);
	return 0;
free_call:
	call_free(call);
	return rc;
}
