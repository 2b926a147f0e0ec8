// SPDX-License-Identifier: GPL-2.0-or-later
/* HTTP: what is served, what is refused, and what the client makes of answers. */
#include "loop/http.h"
#include "loop/http_parse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "pki.h"
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY 4096

static struct loop *loop;

static void wake(void)
{
	loop_stop(loop, 0);
}

static void hang(void *arg)
{
	fail_msg("nothing happens any more");
}

/* The limit tells a hang, it measures nothing. */
#define run_until(condition)                                                                       \
	do {                                                                                       \
		struct loop_timer watchdog = {.fire = hang};                                       \
		loop_timer_set(loop, &watchdog, 60000);                                            \
		while (!(condition))                                                               \
			loop_run(loop);                                                            \
		loop_timer_cancel(loop, &watchdog);                                                \
	} while (0)

/* -------- a server that notes what it is asked -------- */

static struct http_server *server;
static unsigned int handled;
static struct http_exchange *held;
static bool hold;
static char seen[16384];

static void handle(struct http_exchange *exchange, const struct http_request *request, void *arg)
{
	char body[8192];
	int len;

	handled++;
	len = snprintf(body, sizeof(body), "[%s %s ?%s %.*s]", request->method, request->path,
		       request->query, (int)request->body_len, (const char *)request->body);
	strcat(seen, body);
	if (hold) {
		held = exchange;
		wake();
		return;
	}
	http_respond(exchange, 200, body, (size_t)len);
}

static void set_up_server(struct tls_context *tls)
{
	assert_int_equal(
		http_server_create(loop, tls, "127.0.0.1", 0, 100, MAX_BODY, handle, NULL, &server),
		0);
}

static int set_up(void **state)
{
	handled = 0;
	held = NULL;
	hold = false;
	*seen = 0;
	server = NULL;
	return loop_create(&loop);
}

static int tear_down(void **state)
{
	http_server_destroy(server);
	loop_destroy(loop);
	return 0;
}

/* -------- a client of raw bytes -------- */

struct raw {
	struct stream *stream;
	bool opened, closed;
	char data[65536];
	size_t len;
};

static struct raw raw;

static void raw_opened(struct stream *stream, void *arg)
{
	raw.opened = true;
	wake();
}

static void raw_received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	assert_true(raw.len + len < sizeof(raw.data));
	memcpy(raw.data + raw.len, data, len);
	raw.len += len;
	raw.data[raw.len] = 0;
	wake();
}

static void raw_closed(struct stream *stream, void *arg, int err, const char *reason)
{
	raw.closed = true;
	raw.stream = NULL;
	wake();
}

static const struct stream_ops raw_ops = {
	.opened = raw_opened,
	.received = raw_received,
	.closed = raw_closed,
};

static void raw_connect(void)
{
	memset(&raw, 0, sizeof(raw));
	assert_int_equal(stream_connect(loop, NULL, "127.0.0.1", http_server_port(server), NULL,
					20000, &raw_ops, NULL, &raw.stream),
			 0);
	run_until(raw.opened);
}

static void raw_send(const char *text, size_t len)
{
	assert_int_equal(stream_write(raw.stream, text, len), 0);
}

static void raw_say(const char *text)
{
	raw_send(text, strlen(text));
}

static void wake_soon(void)
{
	loop_post(loop, (void (*)(void *))wake, NULL);
}

static unsigned int count(const char *text, const char *part)
{
	unsigned int found = 0;

	while ((text = strstr(text, part))) {
		found++;
		text += strlen(part);
	}
	return found;
}

#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		if (!strstr(text, part))                                                           \
			fail_msg("'%s' does not say '%s'", text, part);                            \
	} while (0)

#define HOST "Host: kme\r\n"

static void test_get(void **state)
{
	set_up_server(NULL);
	raw_connect();
	raw_say("GET /api/v1/keys/sae%20b/status?x=1&y=%41 HTTP/1.1\r\n" HOST "\r\n");
	run_until(strstr(raw.data, "]"));
	assert_contains(raw.data, "HTTP/1.1 200 OK\r\n");
	assert_contains(raw.data, "Content-Type: application/json\r\n");
	assert_contains(raw.data, "Cache-Control: no-store\r\n");
	assert_contains(raw.data, "[GET /api/v1/keys/sae b/status ?x=1&y=%41 ]");
	assert_false(raw.closed);
}

static void test_post_octet_by_octet(void **state)
{
	static const char text[] = "POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
				   "GET /b HTTP/1.1\r\n" HOST "\r\n";

	set_up_server(NULL);
	raw_connect();
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		raw_send(text + i, 1);
		/* A turn of the loop, so that the octets travel alone. */
		wake_soon();
		loop_run(loop);
	}
	run_until(count(raw.data, "]") == 2);
	assert_string_equal(seen, "[POST /a ? hello][GET /b ? ]");
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
	char text[8192] = "";
	char expected[8192] = "";

	set_up_server(NULL);
	for (int i = 0; i < 100; i++) {
		char one[128];

		snprintf(one, sizeof(one),
			 "POST /%d HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n%d", i,
			 i < 10 ? 1 : 2, i);
		strcat(text, one);
		snprintf(one, sizeof(one), "[POST /%d ? %d]", i, i);
		strcat(expected, one);
	}
	raw_connect();
	raw_send(text, strlen(text));
	run_until(count(raw.data, "]") == 100);
	assert_string_equal(seen, expected);
	assert_int_equal(count(raw.data, "HTTP/1.1 200 OK"), 100);
}

static void test_pipelined_requests_wait_for_a_late_answer(void **state)
{
	set_up_server(NULL);
	hold = true;
	raw_connect();
	raw_say("GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n");
	run_until(held);
	assert_string_equal(seen, "[GET /1 ? ]");
	hold = false;
	http_respond(held, 503, "one", 3);
	run_until(strstr(raw.data, "]"));
	assert_contains(raw.data, "HTTP/1.1 503 Service Unavailable");
	assert_string_equal(seen, "[GET /1 ? ][GET /2 ? ]");
}

static void test_answer_to_a_caller_that_has_gone(void **state)
{
	set_up_server(NULL);
	hold = true;
	raw_connect();
	raw_say("GET /1 HTTP/1.1\r\n" HOST "\r\n");
	run_until(held);
	stream_abort(raw.stream);
	run_until(raw.closed);
	http_respond(held, 200, "gone", 4);
	/* And to one whose server has gone. */
	held = NULL;
	raw_connect();
	raw_say("GET /2 HTTP/1.1\r\n" HOST "\r\n");
	run_until(held);
	http_server_destroy(server);
	server = NULL;
	http_respond(held, 200, "gone", 4);
	run_until(raw.closed);
}

static void test_no_body(void **state)
{
	set_up_server(NULL);
	hold = true;
	raw_connect();
	raw_say("GET /1 HTTP/1.1\r\n" HOST "\r\n");
	run_until(held);
	http_respond(held, 401, NULL, 0);
	run_until(strstr(raw.data, "\r\n\r\n"));
	assert_contains(raw.data, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n");
	assert_null(strstr(raw.data, "Content-Type"));
}

static void test_head_has_no_body(void **state)
{
	set_up_server(NULL);
	raw_connect();
	raw_say("HEAD /x HTTP/1.1\r\n" HOST "\r\nGET /y HTTP/1.1\r\n" HOST "\r\n");
	run_until(strstr(raw.data, "]"));
	assert_int_equal(count(raw.data, "]"), 1);
	assert_contains(raw.data, "[GET /y ? ]");
}

static void test_close_is_honoured(void **state)
{
	set_up_server(NULL);
	raw_connect();
	raw_say("GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	run_until(raw.closed);
	assert_contains(raw.data, "Connection: close\r\n");
	assert_contains(raw.data, "[GET /x ? ]");
}

static void test_http_1_0(void **state)
{
	set_up_server(NULL);
	raw_connect();
	raw_say("GET /x HTTP/1.0\r\n\r\n");
	run_until(raw.closed);
	assert_contains(raw.data, "[GET /x ? ]");
	raw_connect();
	raw_say("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	run_until(strstr(raw.data, "]"));
	assert_contains(raw.data, "Connection: keep-alive\r\n");
}

static void test_100_continue(void **state)
{
	set_up_server(NULL);
	raw_connect();
	raw_say("POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	run_until(strstr(raw.data, "100 Continue\r\n\r\n"));
	assert_int_equal(handled, 0);
	raw_say("ok");
	run_until(strstr(raw.data, "]"));
	assert_contains(raw.data, "[POST /x ? ok]");
}

static void test_largest_body(void **state)
{
	char *body = malloc(MAX_BODY + 1);
	char head[128];

	memset(body, 'b', MAX_BODY);
	set_up_server(NULL);
	raw_connect();
	snprintf(head, sizeof(head), "POST /x HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
		 MAX_BODY);
	raw_send(head, strlen(head));
	raw_send(body, MAX_BODY);
	run_until(strstr(raw.data, "b]"));
	assert_int_equal(handled, 1);
	free(body);
}

/* -------- what is refused -------- */

struct bad {
	const char *what;
	const char *text;
	size_t len; /* 0: strlen */
	int status;
};

#define POST(headers) "POST /a HTTP/1.1\r\n" HOST headers "\r\nhello"

static const struct bad bad_requests[] = {
	{"CL and TE", POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 0, 400},
	{"TE and CL", POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 0, 400},
	{"TE alone", POST("Transfer-Encoding: chunked\r\n"), 0, 411},
	{"TE identity", POST("Transfer-Encoding: identity\r\n"), 0, 411},
	{"TE with a tab", POST("Transfer-Encoding:\tchunked\r\n"), 0, 411},
	{"TE xchunked", POST("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n"), 0, 400},
	{"two CL", POST("Content-Length: 5\r\nContent-Length: 5\r\n"), 0, 400},
	{"two CL that differ", POST("Content-Length: 5\r\nContent-Length: 6\r\n"), 0, 400},
	{"CL list", POST("Content-Length: 5, 5\r\n"), 0, 400},
	{"CL with sign", POST("Content-Length: +5\r\n"), 0, 400},
	{"negative CL", POST("Content-Length: -5\r\n"), 0, 400},
	{"hexadecimal CL", POST("Content-Length: 0x5\r\n"), 0, 400},
	{"empty CL", POST("Content-Length:\r\n"), 0, 400},
	{"CL in two words", POST("Content-Length: 5 5\r\n"), 0, 400},
	{"CL overflow", POST("Content-Length: 18446744073709551621\r\n"), 0, 400},
	{"CL too large", POST("Content-Length: 4097\r\n"), 0, 413},
	{"CL absurd", POST("Content-Length: 9223372036854775807\r\n"), 0, 413},
	{"space before the colon", POST("Content-Length : 5\r\n"), 0, 400},
	{"tab before the colon", POST("Content-Length\t: 5\r\n"), 0, 400},
	{"folded line", POST("X: 1\r\n Content-Length: 5\r\n"), 0, 400},
	{"leading space", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 0, 400},
	{"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 0, 400},
	{"bare LF among headers", "GET / HTTP/1.1\r\n" HOST "X: 1\nY: 2\r\n\r\n", 0, 400},
	{"lone CR in a value", "GET / HTTP/1.1\r\n" HOST "X: 1\rY: 2\r\n\r\n", 0, 400},
	{"CR CR LF", "GET / HTTP/1.1\r\r\n" HOST "\r\n", 0, 400},
	{"lone CR as the end", "GET / HTTP/1.1\r\n" HOST "\r\rx", 0, 400},
	{"NUL in a value", "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n", 37, 400},
	{"bell in a value", "GET / HTTP/1.1\r\n" HOST "X: a\ab\r\n\r\n", 0, 400},
	{"no colon", "GET / HTTP/1.1\r\n" HOST "Nothing\r\n\r\n", 0, 400},
	{"no name", "GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", 0, 400},
	{"bad name", "GET / HTTP/1.1\r\n" HOST "X(y): x\r\n\r\n", 0, 400},
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 0, 400},
	{"two Hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 0, 400},
	{"two spaces", "GET  / HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"space in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"space at the end", "GET / HTTP/1.1 \r\n" HOST "\r\n", 0, 400},
	{"tab as a separator", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"empty line first", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"only empty lines", "\r\n\r\n", 0, 400},
	{"8-bit target", "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"absolute target", "GET http://kme/ HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"CONNECT", "CONNECT kme:443 HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"encoded slash", "GET /a%2Fb HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"encoded slash in lower case", "GET /a%2f HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"encoded NUL", "GET /a%00b HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"encoded line end", "GET /a%0d%0ab HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"half an encoding", "GET /a%4 HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"bad encoding", "GET /a%zz HTTP/1.1\r\n" HOST "\r\n", 0, 400},
	{"unknown method", "FROB / HTTP/1.1\r\n" HOST "\r\n", 0, 501},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 0},
	{"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 0, 505},
	{"HTTP/0.9", "GET / HTTP/0.9\r\n" HOST "\r\n", 0, 505},
	{"HTTP/3.0", "GET / HTTP/3.0\r\n" HOST "\r\n", 0, 505},
	{"no version", "GET /\r\n" HOST "\r\n", 0, 400},
	{"other protocol", "GET / RTSP/1.0\r\n" HOST "\r\n", 0, 400},
	{"other expectation", POST("Expect: wonders\r\nContent-Length: 5\r\n"), 0, 417},
	{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 0, 400},
};

static void test_bad_requests(void **state)
{
	set_up_server(NULL);
	for (size_t i = 0; i < sizeof(bad_requests) / sizeof(bad_requests[0]); i++) {
		const struct bad *bad = &bad_requests[i];

		raw_connect();
		raw_send(bad->text, bad->len ? bad->len : strlen(bad->text));
		/* A smuggled one behind it must not be served either. */
		raw_say("GET /smuggled HTTP/1.1\r\n" HOST "\r\n");
		run_until(raw.closed);
		if (handled)
			fail_msg("%s: was served: %s", bad->what, seen);
		if (count(raw.data, "Content-Length: ") != 1)
			fail_msg("%s: answered '%s'", bad->what, raw.data);
		if (bad->status && atoi(raw.data + 9) != bad->status)
			fail_msg("%s: %d expected, answered '%s'", bad->what, bad->status,
				 raw.data);
		if (!strstr(raw.data, "{\"message\":\""))
			fail_msg("%s: no message: '%s'", bad->what, raw.data);
	}
}

static void test_huge_headers(void **state)
{
	char *text = malloc(20000);
	size_t len;

	set_up_server(NULL);
	raw_connect();
	strcpy(text, "GET / HTTP/1.1\r\n" HOST "X: ");
	len = strlen(text);
	memset(text + len, 'x', 19000);
	raw_send(text, len + 19000);
	run_until(raw.closed);
	assert_contains(raw.data, "HTTP/1.1 431 ");
	/* Just as many as are allowed. */
	raw_connect();
	memcpy(text + 8192 - 4, "\r\n\r\n", 4);
	raw_send(text, 8192);
	run_until(strstr(raw.data, "]"));
	assert_int_equal(handled, 1);
	free(text);
}

static void test_flood_behind_a_held_request_is_cut(void **state)
{
	char *text = malloc(1024 * 1024);

	memset(text, 'x', 1024 * 1024);
	set_up_server(NULL);
	hold = true;
	raw_connect();
	raw_say("GET /1 HTTP/1.1\r\n" HOST "\r\n");
	run_until(held);
	/* Read a little ahead, no further: the rest stays with the sender. */
	int rc = 0;
	for (int i = 0; i < 100 && !rc; i++) {
		rc = stream_write(raw.stream, text, 1024 * 1024);
		wake_soon();
		loop_run(loop);
	}
	assert_int_equal(rc, -ENOBUFS);
	http_respond(held, 200, NULL, 0);
	held = NULL;
	run_until(raw.closed);
	free(text);
}

/* -------- the parser by itself -------- */

static void test_mutations(void **state)
{
	static const char good[] = "POST /api/v1/keys/sae/enc_keys?number=3 HTTP/1.1\r\n"
				   "Host: kme.example:443\r\nContent-Type: application/json\r\n"
				   "Connection: keep-alive\r\nContent-Length: 13\r\n\r\n"
				   "{\"number\": 3}GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

	srand(2);
	for (int round = 0; round < 30000; round++) {
		uint8_t text[sizeof(good)];
		struct http_message *whole = http_message_new(HTTP_REQUEST_MESSAGE, 64);
		struct http_message *parts = http_message_new(HTTP_REQUEST_MESSAGE, 64);
		size_t len = sizeof(good) - 1;
		size_t at = 0;
		int rc;
		int part_rc = 0;

		memcpy(text, good, len);
		for (int i = rand() % 4; i > 0; i--)
			text[(size_t)rand() % len] = (uint8_t) "\r\n :\tx0\0\xff%"[rand() % 10];
		rc = http_message_feed(whole, text, len);
		/* However it is cut, it means the same. */
		while (at < len && part_rc >= 0 && !parts->complete) {
			size_t part = 1 + (size_t)rand() % 20;

			part_rc = http_message_feed(parts, text + at,
						    part < len - at ? part : len - at);
			if (part_rc > 0)
				at += (size_t)part_rc;
		}
		assert_int_equal(rc < 0, part_rc < 0);
		if (rc >= 0) {
			assert_int_equal(at, rc);
			assert_int_equal(whole->complete, parts->complete);
			assert_int_equal(whole->body_len, parts->body_len);
			assert_int_equal(whole->target_len, parts->target_len);
		}
		http_message_free(whole);
		http_message_free(parts);
	}
}

static void test_query(void **state)
{
	char value[16];

	assert_int_equal(http_query_get("number=3&size=256", "size", value, sizeof(value)), 3);
	assert_string_equal(value, "256");
	assert_int_equal(http_query_get("number=3&size=256", "number", value, sizeof(value)), 1);
	assert_int_equal(http_query_get("key_ID=a%2Db%3d", "key_ID", value, sizeof(value)), 4);
	assert_string_equal(value, "a-b=");
	assert_int_equal(http_query_get("a=1+2", "a", value, sizeof(value)), 3);
	assert_string_equal(value, "1 2");
	assert_int_equal(http_query_get("%61=1", "a", value, sizeof(value)), 1);
	assert_int_equal(http_query_get("a", "a", value, sizeof(value)), 0);
	assert_int_equal(http_query_get("a=", "a", value, sizeof(value)), 0);
	assert_int_equal(http_query_get("&&a=1&&", "a", value, sizeof(value)), 1);
	assert_int_equal(http_query_get("", "a", value, sizeof(value)), -ENOENT);
	assert_int_equal(http_query_get("ab=1&b=2", "a", value, sizeof(value)), -ENOENT);
	assert_int_equal(http_query_get("a=1&a=2", "a", value, sizeof(value)), -EINVAL);
	assert_int_equal(http_query_get("a=%", "a", value, sizeof(value)), -EINVAL);
	assert_int_equal(http_query_get("a=%4", "a", value, sizeof(value)), -EINVAL);
	assert_int_equal(http_query_get("a=%4g", "a", value, sizeof(value)), -EINVAL);
	assert_int_equal(http_query_get("a=%00", "a", value, sizeof(value)), -EINVAL);
	assert_int_equal(http_query_get("a=123456789012345", "a", value, sizeof(value)), 15);
	assert_int_equal(http_query_get("a=1234567890123456", "a", value, sizeof(value)), -ENOSPC);
	assert_int_equal(http_query_get("a=1", "a", value, 1), -ENOSPC);
}

/* -------- the client -------- */

struct reply {
	unsigned int count;
	int status;
	char body[8192];
	size_t len;
	char reason[1024];
	struct http_client *destroy; /* within the callback */
};

static void got(void *arg, int status, const uint8_t *body, size_t len, const char *reason)
{
	struct reply *reply = arg;

	reply->count++;
	reply->status = status;
	reply->len = len;
	assert_int_equal(status < 0, reason != NULL);
	snprintf(reply->reason, sizeof(reply->reason), "%s", reason ? reason : "");
	snprintf(reply->body, sizeof(reply->body), "%.*s", (int)len, (const char *)body);
	if (reply->destroy)
		http_client_destroy(reply->destroy);
	wake();
}

static struct http_client *client_of(uint16_t port, struct tls_context *tls, const char *expect,
				     unsigned int timeout_ms)
{
	struct http_client *client;

	assert_int_equal(
		http_client_create(loop, tls, "127.0.0.1", port, expect, 4096, timeout_ms, &client),
		0);
	return client;
}

static void test_client_and_server_over_tls(void **state)
{
	struct tls_context *s = pki_context("alice", "ca", TLS_1_2_OR_NEWER, NULL);
	struct tls_context *c = pki_context("bob", "ca", TLS_1_2_OR_NEWER, NULL);
	struct reply reply[3] = {0};
	struct http_client *client;

	set_up_server(s);
	client = client_of(http_server_port(server), c, "alice", 20000);
	for (int i = 0; i < 3; i++)
		assert_int_equal(http_client_request(client, i ? "POST" : "GET", "/p?q=1",
						     i == 2 ? "body" : NULL, i == 2 ? 4 : 0, got,
						     &reply[i]),
				 0);
	assert_int_equal(reply[0].count, 0);
	run_until(reply[2].count);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(reply[i].count, 1);
		assert_int_equal(reply[i].status, 200);
	}
	assert_string_equal(seen, "[GET /p ?q=1 ][POST /p ?q=1 ][POST /p ?q=1 body]");
	http_client_destroy(client);
	tls_context_destroy(s);
	tls_context_destroy(c);
}

static void test_client_refuses_the_wrong_server(void **state)
{
	struct tls_context *s = pki_context("alice", "ca", TLS_1_2_OR_NEWER, NULL);
	struct tls_context *c = pki_context("bob", "ca", TLS_1_2_OR_NEWER, NULL);
	struct reply reply[2] = {0};
	struct http_client *client;

	set_up_server(s);
	client = client_of(http_server_port(server), c, "carol", 20000);
	for (int i = 0; i < 2; i++)
		http_client_request(client, "GET", "/", NULL, 0, got, &reply[i]);
	run_until(reply[0].count && reply[1].count);
	assert_int_equal(reply[0].status, -EACCES);
	assert_contains(reply[0].reason, "is for alice; expected carol");
	assert_int_equal(reply[1].status, -EACCES);
	http_client_destroy(client);
	assert_int_equal(handled, 0);
	tls_context_destroy(s);
	tls_context_destroy(c);
}

static void test_client_that_is_refused(void **state)
{
	struct tls_context *s = pki_context("alice", "ca", TLS_1_3_ONLY, NULL);
	struct tls_context *c = pki_context("stranger", "ca", TLS_1_3_ONLY, NULL);
	struct reply reply = {0};
	struct http_client *client;

	set_up_server(s);
	client = client_of(http_server_port(server), c, "alice", 20000);
	http_client_request(client, "GET", "/", NULL, 0, got, &reply);
	run_until(reply.count);
	assert_int_equal(reply.status, -EACCES);
	assert_contains(reply.reason, "refused our certificate");
	assert_int_equal(handled, 0);
	http_client_destroy(client);
	tls_context_destroy(s);
	tls_context_destroy(c);
}

/* A server that answers with given bytes. */
static const char *canned;
static bool canned_close;
static unsigned int canned_requests;
static unsigned int canned_connections;
static struct stream *canned_stream;

static void canned_opened(struct stream *stream, void *arg)
{
	canned_connections++;
}

static void canned_received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	canned_requests++;
	if (canned && *canned)
		stream_write(stream, canned, strlen(canned));
	if (canned_close)
		stream_close(stream);
	wake();
}

static void canned_closed(struct stream *stream, void *arg, int err, const char *reason)
{
	if (canned_stream == stream)
		canned_stream = NULL;
	wake();
}

static const struct stream_ops canned_ops = {
	.opened = canned_opened,
	.received = canned_received,
	.closed = canned_closed,
};

static void canned_accepted(struct stream *stream, void *arg)
{
	canned_stream = stream;
	stream_set_owner(stream, &canned_ops, NULL);
}

static const struct stream_listener_ops canned_listener_ops = {.accepted = canned_accepted};

static struct stream_listener *canned_server(void)
{
	struct stream_listener *listener;

	canned_requests = 0;
	canned_connections = 0;
	canned_close = false;
	canned = NULL;
	assert_int_equal(stream_listen(loop, NULL, "127.0.0.1", 0, 100, 0, &canned_listener_ops,
				       NULL, &listener),
			 0);
	return listener;
}

struct canned_case {
	const char *what;
	const char *text;
	bool close;
	int status;
	const char *body; /* or part of the reason */
};

static const struct canned_case canned_cases[] = {
	{"plain", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", false, 200, "{}"},
	{"no body", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, ""},
	{"401 without body", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", false, 401,
	 ""},
	{"chunked",
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
	 "chunked\r\n\r\n3\r\n{\"a\r\n4;x=y\r\n\":1}\r\n0\r\n\r\n",
	 false, 200, "{\"a\":1}"},
	{"until the end", "HTTP/1.1 200 OK\r\n\r\n{\"b\":2}", true, 200, "{\"b\":2}"},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", true, 200, "{}"},
	{"interim",
	 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 "
	 "OK\r\nContent-Length: 2\r\n\r\nok",
	 false, 200, "ok"},
	{"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}", true, -ECONNRESET,
	 ""},
	{"cut in the head", "HTTP/1.1 200 OK\r\nConte", true, -ECONNRESET, ""},
	{"cut in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", true,
	 -ECONNRESET, ""},
	{"closed without a word", "", true, -ECONNRESET, ""},
	{"too large", "HTTP/1.1 200 OK\r\nContent-Length: 4097\r\n\r\n", false, -EPROTO,
	 "too large"},
	{"chunk too large", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", true,
	 -ECONNRESET, ""},
	{"CL and TE",
	 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	 false, -EPROTO, "Transfer-Encoding"},
	{"TE gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx", true, -EPROTO,
	 "Transfer-Encoding"},
	{"two CL", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", false,
	 -EPROTO, "Content-Length"},
	{"more than the answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}x", false, -EPROTO,
	 "more than the answer"},
	{"101", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false,
	 -EPROTO, "change of protocol"},
	{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false, -EPROTO, "not HTTP"},
	{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", false, -EPROTO, "CR LF"},
	{"bad status", "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\n{}", false, -EPROTO, ""},
};

static void test_answers(void **state)
{
	struct stream_listener *listener = canned_server();

	for (size_t i = 0; i < sizeof(canned_cases) / sizeof(canned_cases[0]); i++) {
		const struct canned_case *one = &canned_cases[i];
		struct http_client *client =
			client_of(stream_listener_port(listener), NULL, NULL, 20000);
		struct reply reply = {0};

		canned = one->text;
		canned_close = one->close;
		http_client_request(client, "GET", "/", NULL, 0, got, &reply);
		run_until(reply.count);
		if (reply.status != one->status)
			fail_msg("%s: %d expected, got %d '%s' '%s'", one->what, one->status,
				 reply.status, reply.body, reply.reason);
		if (reply.status > 0 ? strcmp(reply.body, one->body) != 0
				     : !strstr(reply.reason, one->body))
			fail_msg("%s: '%s' '%s'", one->what, reply.body, reply.reason);
		http_client_destroy(client);
	}
	stream_listener_close(listener);
}

static void test_too_many_interim_answers(void **state)
{
	struct stream_listener *listener = canned_server();
	struct http_client *client = client_of(stream_listener_port(listener), NULL, NULL, 20000);
	struct reply reply = {0};
	char text[2000] = "";

	for (int i = 0; i < 20; i++)
		strcat(text, "HTTP/1.1 100 Continue\r\n\r\n");
	canned = text;
	http_client_request(client, "GET", "/", NULL, 0, got, &reply);
	run_until(reply.count);
	assert_int_equal(reply.status, -EPROTO);
	http_client_destroy(client);
	stream_listener_close(listener);
}

static void test_a_lost_request_is_not_sent_twice(void **state)
{
	struct stream_listener *listener = canned_server();
	struct http_client *client = client_of(stream_listener_port(listener), NULL, NULL, 20000);
	struct reply reply[2] = {0};

	canned_close = true;
	http_client_request(client, "GET", "/1", NULL, 0, got, &reply[0]);
	http_client_request(client, "GET", "/2", NULL, 0, got, &reply[1]);
	run_until(reply[0].count && reply[1].count);
	assert_int_equal(reply[0].status, -ECONNRESET);
	assert_int_equal(reply[1].status, -ECONNRESET);
	assert_int_equal(canned_requests, 2);
	assert_int_equal(canned_connections, 2);
	http_client_destroy(client);
	stream_listener_close(listener);
}

static void test_reconnects_after_an_idle_close(void **state)
{
	struct stream_listener *listener = canned_server();
	struct http_client *client = client_of(stream_listener_port(listener), NULL, NULL, 20000);

	canned = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	for (unsigned int i = 1; i <= 5; i++) {
		struct reply reply = {0};

		http_client_request(client, "GET", "/", NULL, 0, got, &reply);
		run_until(reply.count);
		assert_int_equal(reply.status, 200);
		assert_int_equal(canned_connections, i);
		stream_close(canned_stream);
		run_until(!canned_stream);
	}
	http_client_destroy(client);
	stream_listener_close(listener);
}

/* Long idle, a connection may be closed any moment: a new one is safer. */
static void test_does_not_trust_an_old_connection(void **state)
{
	struct stream_listener *listener = canned_server();
	struct http_client *client = client_of(stream_listener_port(listener), NULL, NULL, 20000);
	struct loop_timer idle = {.fire = (void (*)(void *))wake};

	canned = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	for (unsigned int i = 0; i < 2; i++) {
		struct reply reply = {0};

		http_client_request(client, "GET", "/", NULL, 0, got, &reply);
		run_until(reply.count);
		assert_int_equal(reply.status, 200);
		assert_int_equal(canned_connections, i + 1);
		loop_timer_set(loop, &idle, 3100);
		run_until(!loop_timer_pending(&idle));
	}
	http_client_destroy(client);
	stream_listener_close(listener);
}

static void test_timeout(void **state)
{
	struct stream_listener *listener = canned_server();
	struct http_client *client = client_of(stream_listener_port(listener), NULL, NULL, 30);
	struct reply reply[2] = {0};

	http_client_request(client, "GET", "/", NULL, 0, got, &reply[0]);
	run_until(reply[0].count);
	assert_int_equal(reply[0].status, -ETIMEDOUT);
	assert_contains(reply[0].reason, "within 30 ms");
	http_client_destroy(client);
	client = client_of(stream_listener_port(listener), NULL, NULL, 20000);
	canned = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	http_client_request(client, "GET", "/", NULL, 0, got, &reply[1]);
	run_until(reply[1].count);
	assert_int_equal(reply[1].status, 200);
	http_client_destroy(client);
	stream_listener_close(listener);
}

static void test_nobody_listens(void **state)
{
	struct stream_listener *listener = canned_server();
	struct http_client *client = client_of(stream_listener_port(listener), NULL, NULL, 20000);
	struct reply reply[3] = {0};

	stream_listener_close(listener);
	for (int i = 0; i < 3; i++)
		http_client_request(client, "GET", "/", NULL, 0, got, &reply[i]);
	run_until(reply[2].count);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(reply[i].status, -ECONNREFUSED);
		assert_contains(reply[i].reason, "cannot connect to 127.0.0.1:");
	}
	http_client_destroy(client);
}

static void test_destroy_within_the_answer(void **state)
{
	struct stream_listener *listener = canned_server();
	struct http_client *client = client_of(stream_listener_port(listener), NULL, NULL, 20000);
	struct reply reply[2] = {{.destroy = client}};

	canned = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	http_client_request(client, "GET", "/", NULL, 0, got, &reply[0]);
	http_client_request(client, "GET", "/", NULL, 0, got, &reply[1]);
	run_until(reply[0].count);
	assert_int_equal(reply[0].status, 200);
	stream_listener_close(listener);
	loop_destroy(loop);
	loop_create(&loop);
	assert_int_equal(reply[1].count, 0);
}

static void test_destroy_at_any_point(void **state)
{
	for (int turns = 0; turns < 6; turns++) {
		struct stream_listener *listener = canned_server();
		struct http_client *client =
			client_of(stream_listener_port(listener), NULL, NULL, 20000);
		struct reply reply[2] = {0};

		canned = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
		for (int i = 0; i < 2; i++)
			http_client_request(client, "POST", "/", "x", 1, got, &reply[i]);
		for (int i = 0; i < turns; i++) {
			wake_soon();
			loop_run(loop);
		}
		unsigned int before = reply[0].count + reply[1].count;
		http_client_destroy(client);
		wake_soon();
		loop_run(loop);
		assert_int_equal(reply[0].count + reply[1].count, before);
		stream_listener_close(listener);
	}
}

static void test_client_arguments(void **state)
{
	struct tls_context *tls = pki_context("bob", "ca", TLS_1_3_ONLY, NULL);
	struct http_client *client;
	struct reply reply = {0};

	assert_int_equal(http_client_create(loop, NULL, "a b", 1, NULL, 1, 1, &client), -EINVAL);
	assert_int_equal(http_client_create(loop, NULL, "a\r\nX: y", 1, NULL, 1, 1, &client),
			 -EINVAL);
	assert_int_equal(http_client_create(loop, tls, "a", 1, NULL, 1, 1, &client), -EINVAL);
	client = client_of(1, NULL, NULL, 1);
	assert_int_equal(http_client_request(client, "GET", "no-slash", NULL, 0, got, &reply),
			 -EINVAL);
	assert_int_equal(http_client_request(client, "GET", "/a b", NULL, 0, got, &reply), -EINVAL);
	assert_int_equal(http_client_request(client, "GET", "/a\r\nX: y", NULL, 0, got, &reply),
			 -EINVAL);
	assert_int_equal(http_client_request(client, "", "/", NULL, 0, got, &reply), -EINVAL);
	http_client_destroy(client);
	tls_context_destroy(tls);
}

static void test_queue_is_bounded(void **state)
{
	struct http_client *client = client_of(1, NULL, NULL, 20000);
	struct reply reply = {0};
	int rc = 0;
	int queued = 0;

	while (!rc && queued < 5000) {
		rc = http_client_request(client, "GET", "/", NULL, 0, got, &reply);
		queued += !rc;
	}
	assert_int_equal(rc, -ENOBUFS);
	run_until(reply.count == (unsigned int)queued);
	http_client_destroy(client);
}

static int make_pki(void **state)
{
	pki_set_up();
	pki_make("other-ca", "Other CA", NULL, NULL, NULL, -3600, 86400);
	pki_issue("alice", "alice", "ca", -60, 3600);
	pki_issue("bob", "bob", "ca", -60, 3600);
	pki_issue("stranger", "stranger", "other-ca", -60, 3600);
	return 0;
}

static int drop_pki(void **state)
{
	pki_tear_down();
	return 0;
}

#define HTTP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HTTP_TEST(test_get),
		HTTP_TEST(test_post_octet_by_octet),
		HTTP_TEST(test_pipelined_requests_are_answered_in_order),
		HTTP_TEST(test_pipelined_requests_wait_for_a_late_answer),
		HTTP_TEST(test_answer_to_a_caller_that_has_gone),
		HTTP_TEST(test_no_body),
		HTTP_TEST(test_head_has_no_body),
		HTTP_TEST(test_close_is_honoured),
		HTTP_TEST(test_http_1_0),
		HTTP_TEST(test_100_continue),
		HTTP_TEST(test_largest_body),
		HTTP_TEST(test_bad_requests),
		HTTP_TEST(test_huge_headers),
		HTTP_TEST(test_flood_behind_a_held_request_is_cut),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_query),
		HTTP_TEST(test_client_and_server_over_tls),
		HTTP_TEST(test_client_refuses_the_wrong_server),
		HTTP_TEST(test_client_that_is_refused),
		HTTP_TEST(test_answers),
		HTTP_TEST(test_too_many_interim_answers),
		HTTP_TEST(test_a_lost_request_is_not_sent_twice),
		HTTP_TEST(test_reconnects_after_an_idle_close),
		HTTP_TEST(test_does_not_trust_an_old_connection),
		HTTP_TEST(test_timeout),
		HTTP_TEST(test_nobody_listens),
		HTTP_TEST(test_destroy_within_the_answer),
		HTTP_TEST(test_destroy_at_any_point),
		HTTP_TEST(test_client_arguments),
		HTTP_TEST(test_queue_is_bounded),
	};

	return cmocka_run_group_tests_name("http", tests, make_pki, drop_pki);
}
