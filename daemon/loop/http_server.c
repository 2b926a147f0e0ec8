// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server: connections, each with one request at a time. What a client
 * sends ahead waits, bounded, until the answer to the request before is out.
 */
#include "loop/http.h"
#include "loop/http_parse.h"
#include "loop/stream_internal.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_MS 10000
#define IDLE_MS	     60000 /* between requests */
#define RECEIVE_MS   30000 /* from a request's first octet to its last */
#define AHEAD_MAX    (4 * STREAM_IN)

struct http_conn {
	struct http_server *server;
	struct stream *stream;
	struct http_message *message; /* being received; NULL while one is answered */
	struct http_exchange *exchange;
	struct loop_timer timer;
	bool closing;
	bool processing;
	uint8_t *ahead; /* received, looked at up to ahead_at; NULL if there is none */
	size_t ahead_at;
	size_t ahead_len;
	struct http_conn *next;
	struct http_conn **link;
};

struct http_exchange {
	struct http_conn *conn; /* NULL: the caller has gone */
	struct http_message *message;
	struct http_request request;
	char path[HTTP_HEAD_MAX];
	char query[HTTP_HEAD_MAX];
};

struct http_server {
	struct loop *loop;
	struct stream_listener *listener;
	size_t max_body;
	http_handler_fn handler;
	void (*refused)(void *arg, const char *reason);
	void *arg;
	struct http_conn *conns;
};

/* -------- answers -------- */

static const char *status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{200, "OK"},
		{202, "Accepted"},
		{204, "No Content"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Status";
}

/**
 * struct answer
 * @omit_body: the answer to HEAD: its headers without its body
 * @persist: keep the connection
 * @say_so: an HTTP/1.0 client must be told that it is kept
 */
struct answer {
	int status;
	const void *body;
	size_t len;
	bool omit_body;
	bool persist;
	bool say_so;
};

static int format_head(const struct answer *answer, char *text, size_t size)
{
	const char *connection = !answer->persist ? "Connection: close\r\n"
				 : answer->say_so ? "Connection: keep-alive\r\n"
						  : "";

	return snprintf(text, size,
			"HTTP/1.1 %d %s\r\n"
			"%s"
			"Content-Length: %zu\r\n"
			"Cache-Control: no-store\r\n"
			"%s"
			"\r\n",
			answer->status, status_text(answer->status),
			answer->len ? "Content-Type: application/json\r\n" : "", answer->len,
			connection);
}

/* Head and body in one piece: one TLS record for the usual answer. */
static int write_answer(struct stream *stream, const struct answer *answer)
{
	size_t body_len = answer->omit_body ? 0 : answer->len;
	size_t size = 512 + body_len;
	char *text = malloc(size);
	size_t len;
	int rc;

	if (!text)
		return -ENOMEM;
	len = (size_t)format_head(answer, text, 512);
	if (body_len)
		memcpy(text + len, answer->body, body_len);
	rc = stream_write(stream, text, len + body_len);
	OPENSSL_cleanse(text, size);
	free(text);
	return rc;
}

static void give_up(struct http_conn *conn)
{
	conn->closing = true;
	stream_abort(conn->stream);
}

/* Refuses by our own word; the rest of what comes cannot be trusted to be aligned. */
static void refuse(struct http_conn *conn, int status, const char *what)
{
	char body[256];
	struct answer answer = {.status = status, .body = body};

	answer.len = (size_t)snprintf(body, sizeof(body), "{\"message\":\"%s\"}", what);
	conn->closing = true;
	if (write_answer(conn->stream, &answer))
		give_up(conn);
	else
		stream_close(conn->stream);
}

/* -------- exchanges -------- */

static void exchange_free(struct http_exchange *exchange)
{
	http_message_free(exchange->message);
	OPENSSL_cleanse(exchange, sizeof(*exchange));
	free(exchange);
}

/* Splits and decodes the target. NULL, or what is wrong. */
static const char *take_target(struct http_exchange *exchange)
{
	const char *target = exchange->message->target;
	size_t len = exchange->message->target_len;
	const char *mark = memchr(target, '?', len);
	size_t path_len = mark ? (size_t)(mark - target) : len;

	if (!len || *target != '/')
		return "the request target must be a path";
	if (memchr(target, '#', len))
		return "a fragment has no place in a request";
	/* Decoded, it would look like a separator: refused rather than mistaken. */
	for (size_t i = 0; i + 2 < path_len; i++)
		if (strncasecmp(target + i, "%2f", 3) == 0)
			return "an encoded slash is not served in a path";
	if (http_percent_decode(target, path_len, false, exchange->path, sizeof(exchange->path)) <
	    0)
		return "bad percent encoding in the path";
	if (mark)
		memcpy(exchange->query, mark + 1, len - path_len - 1);
	return NULL;
}

static struct http_exchange *exchange_new(struct http_conn *conn)
{
	struct http_exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->conn = conn;
	exchange->message = conn->message;
	conn->message = NULL;
	exchange->request = (struct http_request){
		.method = exchange->message->method,
		.path = exchange->path,
		.query = exchange->query,
		.body = exchange->message->body,
		.body_len = exchange->message->body_len,
		.peer = conn->stream,
	};
	return exchange;
}

static void dispatch(struct http_conn *conn)
{
	struct http_server *server = conn->server;
	struct http_exchange *exchange = exchange_new(conn);
	const char *wrong;

	if (!exchange) {
		give_up(conn);
		return;
	}
	wrong = take_target(exchange);
	if (wrong) {
		exchange_free(exchange);
		refuse(conn, 400, wrong);
		return;
	}
	conn->exchange = exchange;
	loop_timer_cancel(server->loop, &conn->timer);
	stream_pause(conn->stream, true);
	server->handler(exchange, &exchange->request, server->arg);
}

/* -------- what comes in -------- */

static void drop_ahead(struct http_conn *conn)
{
	if (conn->ahead)
		OPENSSL_cleanse(conn->ahead, conn->ahead_len);
	free(conn->ahead);
	conn->ahead = NULL;
	conn->ahead_at = 0;
	conn->ahead_len = 0;
}

static int add_ahead(struct http_conn *conn, const uint8_t *data, size_t len)
{
	size_t old = conn->ahead_len - conn->ahead_at;
	uint8_t *ahead;

	if (old + len > AHEAD_MAX)
		return -ENOBUFS;
	ahead = malloc(old + len);
	if (!ahead)
		return -ENOMEM;
	if (old)
		memcpy(ahead, conn->ahead + conn->ahead_at, old);
	memcpy(ahead + old, data, len);
	drop_ahead(conn);
	conn->ahead = ahead;
	conn->ahead_len = old + len;
	return 0;
}

static int ready_message(struct http_conn *conn)
{
	if (conn->message)
		return 0;
	conn->message = http_message_new(HTTP_REQUEST_MESSAGE, conn->server->max_body);
	return conn->message ? loop_timer_set(conn->server->loop, &conn->timer, RECEIVE_MS)
			     : -ENOMEM;
}

static void maybe_continue(struct http_conn *conn)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!conn->message->expects_continue || !conn->message->head_done ||
	    conn->message->complete)
		return;
	conn->message->expects_continue = false;
	if (stream_write(conn->stream, go_on, sizeof(go_on) - 1))
		give_up(conn);
}

static void process_some(struct http_conn *conn)
{
	int used;

	if (ready_message(conn)) {
		give_up(conn);
		return;
	}
	used = http_message_feed(conn->message, conn->ahead + conn->ahead_at,
				 conn->ahead_len - conn->ahead_at);
	if (used < 0) {
		refuse(conn, conn->message->fault_status, conn->message->fault);
		return;
	}
	conn->ahead_at += (size_t)used;
	maybe_continue(conn);
	if (conn->message->complete)
		dispatch(conn);
}

static void process(struct http_conn *conn)
{
	if (conn->processing)
		return; /* the handler answered at once: the caller goes on */
	conn->processing = true;
	while (conn->ahead_at < conn->ahead_len && !conn->exchange && !conn->closing)
		process_some(conn);
	conn->processing = false;
	if (conn->ahead_at == conn->ahead_len)
		drop_ahead(conn);
	/* Hear the peer again: its next request, or its end. */
	if (!conn->exchange && !conn->closing)
		stream_pause(conn->stream, false);
}

static void conn_received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	struct http_conn *conn = arg;

	if (conn->closing)
		return;
	if (add_ahead(conn, data, len))
		give_up(conn);
	else
		process(conn);
}

static void conn_opened(struct stream *stream, void *arg)
{
	struct http_conn *conn = arg;

	if (loop_timer_set(conn->server->loop, &conn->timer, IDLE_MS))
		give_up(conn);
}

static void conn_free(struct http_conn *conn)
{
	loop_timer_cancel(conn->server->loop, &conn->timer);
	if (conn->exchange) {
		conn->exchange->conn = NULL;
		conn->exchange->request.peer = NULL;
	}
	http_message_free(conn->message);
	drop_ahead(conn);
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	free(conn);
}

static void conn_closed(struct stream *stream, void *arg, int err, const char *reason)
{
	struct http_conn *conn = arg;
	struct http_server *server = conn->server;

	conn_free(conn);
	if ((err == -EACCES || err == -EPROTO) && server->refused)
		server->refused(server->arg, reason);
}

static const struct stream_ops conn_ops = {
	.opened = conn_opened,
	.received = conn_received,
	.closed = conn_closed,
};

static void conn_timed_out(void *arg)
{
	struct http_conn *conn = arg;

	if (conn->message && http_message_begun(conn->message))
		refuse(conn, 408, "the request did not come in time");
	else if (stream_pending(conn->stream))
		give_up(conn); /* it does not take its answer */
	else {
		conn->closing = true;
		stream_close(conn->stream);
	}
}

void http_respond(struct http_exchange *exchange, int status, const void *body, size_t len)
{
	struct http_conn *conn = exchange->conn;
	struct answer answer = {
		.status = status,
		.body = body,
		.len = len,
		.omit_body = strcmp(exchange->request.method, "HEAD") == 0,
		.persist = exchange->message->keep_alive,
		.say_so = exchange->message->http_1_0,
	};

	exchange_free(exchange);
	if (!conn)
		return;
	conn->exchange = NULL;
	if (write_answer(conn->stream, &answer) ||
	    loop_timer_set(conn->server->loop, &conn->timer, IDLE_MS)) {
		give_up(conn);
	} else if (!answer.persist) {
		conn->closing = true;
		stream_close(conn->stream);
	} else {
		process(conn);
	}
}

/* -------- the server -------- */

static void accepted(struct stream *stream, void *arg)
{
	struct http_server *server = arg;
	struct http_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		stream_abort(stream);
		return;
	}
	conn->server = server;
	conn->stream = stream;
	conn->timer.fire = conn_timed_out;
	conn->timer.arg = conn;
	conn->next = server->conns;
	conn->link = &server->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	server->conns = conn;
	stream_set_owner(stream, &conn_ops, conn);
}

static const struct stream_listener_ops listener_ops = {.accepted = accepted};

int http_server_create(struct loop *loop, struct tls_context *tls, const char *address,
		       uint16_t port, unsigned int max_connections, size_t max_body,
		       http_handler_fn handler, void *arg, struct http_server **server)
{
	struct http_server *made = calloc(1, sizeof(*made));
	int rc;

	if (!made)
		return -ENOMEM;
	made->loop = loop;
	made->max_body = max_body;
	made->handler = handler;
	made->arg = arg;
	rc = stream_listen(loop, tls, address, port, max_connections, HANDSHAKE_MS, &listener_ops,
			   made, &made->listener);
	if (rc) {
		free(made);
		return rc;
	}
	*server = made;
	return 0;
}

void http_server_on_refused(struct http_server *server,
			    void (*refused)(void *arg, const char *reason))
{
	server->refused = refused;
}

uint16_t http_server_port(const struct http_server *server)
{
	return stream_listener_port(server->listener);
}

void http_server_destroy(struct http_server *server)
{
	if (!server)
		return;
	stream_listener_close(server->listener);
	while (server->conns) {
		struct http_conn *conn = server->conns;

		stream_set_owner(conn->stream, NULL, NULL);
		stream_abort(conn->stream);
		conn_free(conn);
	}
	free(server);
}
