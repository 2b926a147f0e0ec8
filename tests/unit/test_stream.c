// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams and TLS over loopback, with real certificates and bad peers. */
#include "loop/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "pki.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* -------- a stream's owner that notes all it hears -------- */

struct end {
	struct stream *stream;
	int accepted, opened, closed, drained;
	int err;
	bool has_reason;
	char reason[1024];
	char name[256];
	uint8_t *data;
	size_t len, room;
	bool echo;
	bool close_when_opened;
};

static struct loop *loop;
static struct end client, server;
static struct stream_listener *listener;

static void wake(void)
{
	loop_stop(loop, 0);
}

static void on_opened(struct stream *stream, void *arg)
{
	struct end *end = arg;

	end->opened++;
	snprintf(end->name, sizeof(end->name), "%s", stream_peer_name(stream));
	if (end->close_when_opened)
		stream_close(stream);
	wake();
}

static void on_received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	struct end *end = arg;

	assert_true(end->opened);
	assert_false(end->closed);
	if (end->echo) {
		assert_int_equal(stream_write(stream, data, len), 0);
	} else {
		while (end->len + len > end->room) {
			end->room = end->room ? 2 * end->room : 4096;
			end->data = realloc(end->data, end->room);
		}
		memcpy(end->data + end->len, data, len);
	}
	end->len += len;
	wake();
}

static void on_drained(struct stream *stream, void *arg)
{
	struct end *end = arg;

	end->drained++;
	wake();
}

static void on_closed(struct stream *stream, void *arg, int err, const char *reason)
{
	struct end *end = arg;

	assert_int_equal(end->closed, 0);
	end->closed++;
	end->stream = NULL;
	end->err = err;
	end->has_reason = reason;
	snprintf(end->reason, sizeof(end->reason), "%s", reason ? reason : "");
	wake();
}

static const struct stream_ops end_ops = {
	.opened = on_opened,
	.received = on_received,
	.drained = on_drained,
	.closed = on_closed,
};

static void on_accepted(struct stream *stream, void *arg)
{
	struct end *end = arg;

	end->accepted++;
	end->stream = stream;
	stream_set_owner(stream, &end_ops, end);
	wake();
}

static const struct stream_listener_ops listener_ops = {.accepted = on_accepted};

/* Hangs are failures; the limit is no measure of speed. */
static void hang(void *arg)
{
	fail_msg("nothing happens any more: client %d/%d '%s', server %d/%d '%s'", client.opened,
		 client.closed, client.reason, server.opened, server.closed, server.reason);
}

#define run_until(condition)                                                                       \
	do {                                                                                       \
		struct loop_timer watchdog = {.fire = hang};                                       \
		loop_timer_set(loop, &watchdog, 60000);                                            \
		while (!(condition))                                                               \
			loop_run(loop);                                                            \
		loop_timer_cancel(loop, &watchdog);                                                \
	} while (0)

static int set_up(void **state)
{
	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	listener = NULL;
	return loop_create(&loop);
}

static int tear_down(void **state)
{
	stream_listener_close(listener);
	loop_destroy(loop);
	/* Whatever stood open has been told of the end. */
	assert_true(client.closed == 1 || client.stream == NULL);
	assert_true(server.closed == 1 || server.stream == NULL);
	free(client.data);
	free(server.data);
	return 0;
}

static uint16_t listen_tls(struct tls_context *tls)
{
	assert_int_equal(stream_listen(loop, tls, "127.0.0.1", 0, 10, 20000, &listener_ops, &server,
				       &listener),
			 0);
	return stream_listener_port(listener);
}

static void connect_tls(struct tls_context *tls, uint16_t port, const char *expect)
{
	assert_int_equal(stream_connect(loop, tls, "127.0.0.1", port, expect, 20000, &end_ops,
					&client, &client.stream),
			 0);
}

/* Server with certificate @s, client with @c, each trusting @s_ca, @c_ca. */
static void meet(const char *s, const char *s_ca, const char *c, const char *c_ca,
		 const char *expect)
{
	struct tls_context *server_tls = pki_context(s, s_ca, TLS_1_3_ONLY, NULL);
	struct tls_context *client_tls = pki_context(c, c_ca, TLS_1_3_ONLY, NULL);

	connect_tls(client_tls, listen_tls(server_tls), expect);
	/* Streams and listeners hold what they need. */
	tls_context_destroy(server_tls);
	tls_context_destroy(client_tls);
}

static void meet_well(void)
{
	meet("alice", "ca", "bob", "ca", "alice");
	run_until(client.opened && server.opened);
}

#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		if (!strstr(text, part))                                                           \
			fail_msg("'%s' does not say '%s'", text, part);                            \
	} while (0)

/* -------- good peers -------- */

static void test_hello(void **state)
{
	uint8_t secret[2][32];
	uid_t uid;
	gid_t gid;
	pid_t pid;

	meet_well();
	assert_string_equal(client.name, "alice");
	assert_string_equal(server.name, "bob");
	assert_true(stream_peer_has_name(server.stream, "bob"));
	assert_true(stream_peer_has_name(server.stream, "BOB"));
	assert_false(stream_peer_has_name(server.stream, "alice"));
	assert_false(stream_peer_has_name(server.stream, ""));
	assert_false(stream_peer_has_name(server.stream, ".bob"));
	assert_int_equal(strncmp(stream_peer_address(server.stream), "127.0.0.1:", 10), 0);
	assert_int_equal(stream_peer_credentials(server.stream, &uid, &gid, &pid), -ENOTSUP);

	assert_int_equal(
		stream_export_secret(client.stream, "EXPORTER-test", "x", 1, secret[0], 32), 0);
	assert_int_equal(
		stream_export_secret(server.stream, "EXPORTER-test", "x", 1, secret[1], 32), 0);
	assert_memory_equal(secret[0], secret[1], 32);
	assert_int_equal(
		stream_export_secret(server.stream, "EXPORTER-test", "y", 1, secret[1], 32), 0);
	assert_memory_not_equal(secret[0], secret[1], 32);

	assert_int_equal(stream_write(client.stream, "hello", 5), 0);
	run_until(server.len == 5);
	assert_memory_equal(server.data, "hello", 5);
	run_until(client.drained && stream_pending(client.stream) == 0);

	stream_close(client.stream);
	assert_int_equal(client.closed, 0);
	assert_int_equal(stream_write(client.stream, "more", 4), -ENOTCONN);
	run_until(client.closed && server.closed);
	assert_int_equal(client.err, 0);
	assert_false(client.has_reason);
	assert_int_equal(server.err, 0);
	assert_contains(server.reason, "closed the connection");
}

static void test_what_was_written_before_close_arrives(void **state)
{
	static uint8_t big[1024 * 1024];

	meet_well();
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 + (i >> 8));
	assert_int_equal(stream_write(client.stream, big, sizeof(big)), 0);
	stream_close(client.stream);
	run_until(client.closed && server.closed);
	assert_int_equal(server.len, sizeof(big));
	assert_memory_equal(server.data, big, sizeof(big));
	assert_int_equal(server.err, 0);
}

static void test_abort(void **state)
{
	meet_well();
	stream_abort(client.stream);
	stream_abort(client.stream);
	assert_int_equal(client.closed, 0);
	run_until(client.closed && server.closed);
	assert_false(client.has_reason);
	assert_int_equal(server.err, -ECONNRESET);
	assert_contains(server.reason, "127.0.0.1:");
}

static void test_loop_ends_first(void **state)
{
	meet_well();
	stream_write(client.stream, "x", 1);
	stream_listener_close(listener);
	listener = NULL;
	loop_destroy(loop);
	assert_int_equal(client.closed, 1);
	assert_int_equal(server.closed, 1);
	assert_int_equal(client.err, -ECANCELED);
	loop_create(&loop);
}

static void test_big_transfer_both_ways(void **state)
{
	enum {
		PART = 512 * 1024,
		PARTS = 64
	};
	uint8_t *part = malloc(PART);
	size_t sent = 0;

	meet_well();
	server.echo = true;
	for (size_t i = 0; i < PART; i++)
		part[i] = (uint8_t)(i ^ (i >> 9));
	while (client.len < (size_t)PART * PARTS) {
		if (sent < (size_t)PART * PARTS && sent - client.len < 4 * PART) {
			assert_int_equal(stream_write(client.stream, part, PART), 0);
			sent += PART;
		} else {
			size_t before = client.len;

			run_until(client.len > before);
		}
	}
	assert_int_equal(client.len, (size_t)PART * PARTS);
	for (int i = 0; i < PARTS; i++)
		assert_memory_equal(client.data + (size_t)i * PART, part, PART);
	free(part);
}

static void test_queue_is_bounded(void **state)
{
	uint8_t *part = calloc(1, 1024 * 1024);
	int fd;
	struct sockaddr_in addr = {.sin_family = AF_INET};

	/* A peer that never reads. */
	addr.sin_port = htons(listen_tls(NULL));
	inet_pton(AF_INET, "127.0.0.1", &addr.sin_addr);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	run_until(server.opened);
	int rc = 0;
	for (int i = 0; i < 100 && !rc; i++)
		rc = stream_write(server.stream, part, 1024 * 1024);
	assert_int_equal(rc, -ENOBUFS);
	assert_true(stream_pending(server.stream) <= 4 * 1024 * 1024);
	close(fd);
	run_until(server.closed);
	assert_true(server.err < 0);
	free(part);
}

/* -------- bad peers -------- */

static void test_wrong_name(void **state)
{
	meet("two", "ca", "bob", "ca", "carol");
	run_until(client.closed && server.closed);
	assert_int_equal(client.opened, 0);
	assert_int_equal(client.err, -EACCES);
	assert_contains(client.reason, "is for two, two.example, 192.0.2.7; expected carol");
	assert_int_equal(server.opened, 0);
	assert_int_equal(server.err, -EACCES);
	assert_contains(server.reason, "refused our certificate");
}

static void test_ip_name(void **state)
{
	meet("two", "ca", "bob", "ca", "192.0.2.7");
	run_until(client.opened && server.opened);
	assert_true(stream_peer_has_name(client.stream, "192.0.2.7"));
	assert_true(stream_peer_has_name(client.stream, "two.example"));
	/* With alternative names, the CN counts for nothing. */
	assert_false(stream_peer_has_name(client.stream, "two-cn"));
}

static void test_common_name_without_alternatives(void **state)
{
	meet("cn-only", "ca", "bob", "ca", "cn-only");
	run_until(client.opened && server.opened);
	assert_string_equal(client.name, "cn-only");
}

static void test_wildcards_stand_for_nobody(void **state)
{
	meet("wild", "ca", "bob", "ca", "a.example");
	run_until(client.closed && server.closed);
	assert_int_equal(client.err, -EACCES);
	assert_contains(client.reason, "is for *.example; expected a.example");
}

static void test_server_of_another_ca(void **state)
{
	meet("stranger", "ca", "bob", "ca", "stranger");
	run_until(client.closed && server.closed);
	assert_int_equal(client.opened, 0);
	assert_int_equal(client.err, -EACCES);
	assert_contains(client.reason, "unknown authority");
	assert_contains(client.reason, "CN=Other CA");
	assert_contains(client.reason, "/ca.pem");
	assert_contains(server.reason, "does not know the authority");
	assert_int_equal(server.err, -EACCES);
}

/* In TLS 1.3 the client learns after its own handshake that it was refused. */
static void test_client_of_another_ca(void **state)
{
	meet("alice", "ca", "stranger", "ca", "alice");
	run_until(client.closed && server.closed);
	assert_int_equal(server.opened, 0);
	assert_int_equal(server.err, -EACCES);
	assert_contains(server.reason, "(stranger) comes from an unknown authority");
	assert_contains(server.reason, "CN=Other CA");
	assert_int_equal(client.err, -EACCES);
	assert_contains(client.reason, "refused our certificate");
	assert_contains(client.reason, "does not know the authority");
}

static void test_ca_of_the_same_name(void **state)
{
	meet("alice", "ca", "forged", "ca", "alice");
	run_until(client.closed && server.closed);
	assert_int_equal(server.opened, 0);
	assert_int_equal(server.err, -EACCES);
	assert_contains(server.reason, "Test CA");
}

static void test_expired(void **state)
{
	meet("expired", "ca", "bob", "ca", "expired");
	run_until(client.closed && server.closed);
	assert_int_equal(client.err, -EACCES);
	assert_contains(client.reason, "(expired) expired on 20");
	assert_contains(client.reason, "UTC");
	assert_contains(server.reason, "it has expired");
}

static void test_expired_client(void **state)
{
	meet("alice", "ca", "expired", "ca", "alice");
	run_until(client.closed && server.closed);
	assert_int_equal(server.err, -EACCES);
	assert_contains(server.reason, "(expired) expired on 20");
	assert_contains(client.reason, "it has expired");
}

static void test_not_yet_valid(void **state)
{
	meet("future", "ca", "bob", "ca", "future");
	run_until(client.closed && server.closed);
	assert_int_equal(client.err, -EACCES);
	assert_contains(client.reason, "is not valid before 20");
}

static void test_wrong_key_usage(void **state)
{
	meet("alice", "ca", "server-only", "ca", "alice");
	run_until(client.closed && server.closed);
	assert_int_equal(server.err, -EACCES);
	assert_contains(server.reason, "extended key usage");
}

/* -------- a client of plain OpenSSL, in a thread -------- */

struct plain_client {
	uint16_t port;
	int max_version;
	const char *certificate;
	pthread_t thread;
};

static void *plain_client(void *arg)
{
	struct plain_client *plain = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(plain->port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte;
	SSL *ssl;

	inet_pton(AF_INET, "127.0.0.1", &addr.sin_addr);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		abort();
	if (plain->max_version)
		SSL_CTX_set_max_proto_version(ctx, plain->max_version);
	if (plain->certificate) {
		SSL_CTX_use_certificate_file(ctx, pki_path(plain->certificate, ".pem"),
					     SSL_FILETYPE_PEM);
		SSL_CTX_use_PrivateKey_file(ctx, pki_path(plain->certificate, ".key"),
					    SSL_FILETYPE_PEM);
	}
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (SSL_connect(ssl) == 1)
		SSL_read(ssl, &byte, 1);
	SSL_free(ssl);
	close(fd);
	SSL_CTX_free(ctx);
	return NULL;
}

static void test_no_client_certificate(void **state)
{
	struct tls_context *tls = pki_context("alice", "ca", TLS_1_2_OR_NEWER, NULL);
	struct plain_client plain = {.port = listen_tls(tls)};

	pthread_create(&plain.thread, NULL, plain_client, &plain);
	run_until(server.closed);
	pthread_join(plain.thread, NULL);
	tls_context_destroy(tls);
	assert_int_equal(server.opened, 0);
	assert_int_equal(server.err, -EACCES);
	assert_contains(server.reason, "presented no certificate");
}

static void test_no_client_certificate_tls_1_2(void **state)
{
	struct tls_context *tls = pki_context("alice", "ca", TLS_1_2_OR_NEWER, NULL);
	struct plain_client plain = {.port = listen_tls(tls), .max_version = TLS1_2_VERSION};

	pthread_create(&plain.thread, NULL, plain_client, &plain);
	run_until(server.closed);
	pthread_join(plain.thread, NULL);
	tls_context_destroy(tls);
	assert_int_equal(server.opened, 0);
	assert_int_equal(server.err, -EACCES);
}

static void test_tls_1_2_is_served_where_allowed(void **state)
{
	struct tls_context *tls = pki_context("alice", "ca", TLS_1_2_OR_NEWER, NULL);
	struct plain_client plain = {
		.port = listen_tls(tls), .max_version = TLS1_2_VERSION, .certificate = "bob"};

	pthread_create(&plain.thread, NULL, plain_client, &plain);
	run_until(server.opened);
	assert_string_equal(server.name, "bob");
	stream_close(server.stream);
	run_until(server.closed);
	pthread_join(plain.thread, NULL);
	tls_context_destroy(tls);
}

static void test_tls_1_2_is_refused_where_not(void **state)
{
	struct tls_context *tls = pki_context("alice", "ca", TLS_1_3_ONLY, NULL);
	struct plain_client plain = {
		.port = listen_tls(tls), .max_version = TLS1_2_VERSION, .certificate = "bob"};

	pthread_create(&plain.thread, NULL, plain_client, &plain);
	run_until(server.closed);
	pthread_join(plain.thread, NULL);
	tls_context_destroy(tls);
	assert_int_equal(server.opened, 0);
	assert_int_equal(server.err, -EPROTO);
	assert_contains(server.reason, "too old");
}

static void test_alpn(void **state)
{
	struct tls_context *kx = pki_context("alice", "ca", TLS_1_3_ONLY, "qkd-kx/1");
	struct tls_context *same = pki_context("bob", "ca", TLS_1_3_ONLY, "qkd-kx/1");

	connect_tls(same, listen_tls(kx), "alice");
	run_until(client.opened && server.opened);
	tls_context_destroy(kx);
	tls_context_destroy(same);
}

static void alpn_mismatch(const char *server_alpn, const char *client_alpn)
{
	struct tls_context *s = pki_context("alice", "ca", TLS_1_3_ONLY, server_alpn);
	struct tls_context *c = pki_context("bob", "ca", TLS_1_3_ONLY, client_alpn);

	connect_tls(c, listen_tls(s), "alice");
	run_until(client.closed && server.closed);
	assert_int_equal(client.opened && server.opened, 0);
	tls_context_destroy(s);
	tls_context_destroy(c);
}

static void test_alpn_mismatch(void **state)
{
	alpn_mismatch("qkd-kx/1", "other");
	assert_int_equal(client.err, -EPROTO);
	assert_contains(client.reason, "no application protocol");
}

static void test_alpn_unknown_to_the_client(void **state)
{
	alpn_mismatch("qkd-kx/1", NULL);
	assert_int_equal(server.err, -EPROTO);
	assert_contains(server.reason, "does not speak the protocol 'qkd-kx/1'");
}

static void test_alpn_unknown_to_the_server(void **state)
{
	alpn_mismatch(NULL, "qkd-kx/1");
	assert_int_equal(client.err, -EPROTO);
	assert_contains(client.reason, "does not speak the protocol 'qkd-kx/1'");
}

/* -------- raw bytes -------- */

static int connect_raw(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, "127.0.0.1", &addr.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void garbage(const void *data, size_t len, const char *says)
{
	struct tls_context *tls = pki_context("alice", "ca", TLS_1_2_OR_NEWER, NULL);
	int fd = connect_raw(listen_tls(tls));

	assert_int_equal(write(fd, data, len), len);
	shutdown(fd, SHUT_WR);
	run_until(server.closed);
	assert_int_equal(server.opened, 0);
	assert_true(server.err < 0);
	assert_contains(server.reason, says);
	close(fd);
	tls_context_destroy(tls);
}

static void test_http_to_a_tls_port(void **state)
{
	garbage("GET / HTTP/1.1\r\n\r\n", 18, "is not TLS");
}

static void test_random_bytes(void **state)
{
	uint8_t data[5000];

	srand(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand();
	garbage(data, sizeof(data), "127.0.0.1:");
}

static void test_record_header_and_nothing(void **state)
{
	garbage("\x16\x03\x01\x02\x00\x01", 6, "during the TLS handshake");
}

static void test_oversized_record(void **state)
{
	uint8_t data[70000] = {0x16, 0x03, 0x01, 0xff, 0xff, 0x01};

	garbage(data, sizeof(data), "127.0.0.1:");
}

static void test_silent_peer_times_out(void **state)
{
	struct tls_context *tls = pki_context("alice", "ca", TLS_1_3_ONLY, NULL);
	int fd;

	assert_int_equal(
		stream_listen(loop, tls, "127.0.0.1", 0, 10, 30, &listener_ops, &server, &listener),
		0);
	fd = connect_raw(stream_listener_port(listener));
	run_until(server.closed);
	assert_int_equal(server.err, -ETIMEDOUT);
	assert_contains(server.reason, "took more than 30 ms");
	close(fd);
	tls_context_destroy(tls);
}

static void test_client_of_a_silent_server_times_out(void **state)
{
	struct tls_context *tls = pki_context("alice", "ca", TLS_1_3_ONLY, NULL);
	uint16_t port = listen_tls(NULL);

	assert_int_equal(stream_connect(loop, tls, "127.0.0.1", port, "x", 30, &end_ops, &client,
					&client.stream),
			 0);
	run_until(client.closed);
	assert_int_equal(client.err, -ETIMEDOUT);
	tls_context_destroy(tls);
}

/* -------- a relay that drips, and breaks off -------- */

struct relay {
	struct stream *side[2];
	uint8_t *data[2];
	size_t len[2], at[2];
	struct loop_timer drip;
	uint16_t port;
	long budget; /* octets to pass in all; negative: no limit */
	size_t step;
	struct stream_listener *listener;
};

static struct relay relay;

static void relay_drip(void *arg)
{
	for (int i = 0; i < 2; i++) {
		size_t part = relay.len[i] - relay.at[i];

		if (part > relay.step)
			part = relay.step;
		if (relay.budget >= 0 && part > (size_t)relay.budget)
			part = (size_t)relay.budget;
		if (part && relay.side[!i] &&
		    stream_write(relay.side[!i], relay.data[i] + relay.at[i], part) == 0) {
			relay.at[i] += part;
			if (relay.budget >= 0)
				relay.budget -= (long)part;
		}
	}
	if (relay.budget == 0) {
		for (int i = 0; i < 2; i++)
			if (relay.side[i])
				stream_abort(relay.side[i]);
		return;
	}
	loop_timer_set(loop, &relay.drip, 0);
}

static void relay_opened(struct stream *stream, void *arg)
{
}

static void relay_received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	int i = (int)(intptr_t)arg;

	relay.data[i] = realloc(relay.data[i], relay.len[i] + len);
	memcpy(relay.data[i] + relay.len[i], data, len);
	relay.len[i] += len;
	if (!loop_timer_pending(&relay.drip))
		loop_timer_set(loop, &relay.drip, 0);
}

static void relay_closed(struct stream *stream, void *arg, int err, const char *reason)
{
	int i = (int)(intptr_t)arg;

	relay.side[i] = NULL;
	if (relay.side[!i])
		stream_close(relay.side[!i]);
	wake();
}

static const struct stream_ops relay_ops = {
	.opened = relay_opened,
	.received = relay_received,
	.closed = relay_closed,
};

static void relay_accepted(struct stream *stream, void *arg)
{
	relay.side[0] = stream;
	stream_set_owner(stream, &relay_ops, (void *)0);
	assert_int_equal(stream_connect(loop, NULL, "127.0.0.1", relay.port, NULL, 20000,
					&relay_ops, (void *)1, &relay.side[1]),
			 0);
}

static const struct stream_listener_ops relay_listener_ops = {.accepted = relay_accepted};

static void meet_through_relay(long budget, size_t step)
{
	struct tls_context *s = pki_context("alice", "ca", TLS_1_3_ONLY, NULL);
	struct tls_context *c = pki_context("bob", "ca", TLS_1_3_ONLY, NULL);

	memset(&relay, 0, sizeof(relay));
	relay.drip.fire = relay_drip;
	relay.budget = budget;
	relay.step = step;
	relay.port = listen_tls(s);
	assert_int_equal(stream_listen(loop, NULL, "127.0.0.1", 0, 10, 20000, &relay_listener_ops,
				       NULL, &relay.listener),
			 0);
	connect_tls(c, stream_listener_port(relay.listener), "alice");
	tls_context_destroy(s);
	tls_context_destroy(c);
}

static void leave_relay(void)
{
	for (int i = 0; i < 2; i++)
		if (relay.side[i])
			stream_abort(relay.side[i]);
	run_until(!relay.side[0] && !relay.side[1]);
	loop_timer_cancel(loop, &relay.drip);
	stream_listener_close(relay.listener);
	free(relay.data[0]);
	free(relay.data[1]);
}

static void test_slow_drip(void **state)
{
	static const uint8_t big[20000] = {1, 2, 3};

	meet_through_relay(-1, 1);
	run_until(client.opened && server.opened);
	relay.step = 7;
	server.echo = true;
	assert_int_equal(stream_write(client.stream, big, sizeof(big)), 0);
	run_until(client.len == sizeof(big));
	assert_memory_equal(client.data, big, sizeof(big));
	stream_close(client.stream);
	run_until(client.closed && server.closed);
	assert_int_equal(server.err, 0);
	leave_relay();
}

/* Broken off after any number of octets: both ends hear of it, once. */
static void test_cut_anywhere(void **state)
{
	static const uint8_t big[8000];

	for (long budget = 1; budget < 6000; budget += 61) {
		meet_through_relay(budget, 97);
		run_until(client.closed || client.opened);
		if (client.opened && !client.closed)
			stream_write(client.stream, big, sizeof(big));
		/* The server may not have been reached at all. */
		run_until(client.closed && (server.closed || !server.accepted));
		assert_true(client.err < 0);
		assert_contains(client.reason, "127.0.0.1:");
		leave_relay();
		stream_listener_close(listener);
		listener = NULL;
		free(client.data);
		free(server.data);
		memset(&client, 0, sizeof(client));
		memset(&server, 0, sizeof(server));
	}
}

/* -------- connecting -------- */

static void test_connection_refused(void **state)
{
	struct tls_context *tls = pki_context("bob", "ca", TLS_1_3_ONLY, NULL);
	uint16_t port = listen_tls(NULL);

	stream_listener_close(listener);
	listener = NULL;
	loop_post(loop, (void (*)(void *))wake, NULL);
	loop_run(loop);
	connect_tls(tls, port, "alice");
	run_until(client.closed);
	assert_int_equal(client.err, -ECONNREFUSED);
	assert_contains(client.reason, "cannot connect to 127.0.0.1:");
	tls_context_destroy(tls);
}

static void test_connect_by_name(void **state)
{
	uint16_t port = listen_tls(NULL);

	assert_int_equal(stream_connect(loop, NULL, "localhost", port, NULL, 20000, &end_ops,
					&client, &client.stream),
			 0);
	run_until(client.opened || client.closed);
	assert_int_equal(client.opened, 1);
}

static void test_unknown_name(void **state)
{
	assert_int_equal(stream_connect(loop, NULL, "no-such-host.invalid", 1, NULL, 20000,
					&end_ops, &client, &client.stream),
			 0);
	run_until(client.closed);
	assert_true(client.err < 0);
	assert_contains(client.reason, "no-such-host.invalid");
}

static void test_abort_while_connecting(void **state)
{
	assert_int_equal(stream_connect(loop, NULL, "no-such-host.invalid", 1, NULL, 20000,
					&end_ops, &client, &client.stream),
			 0);
	stream_abort(client.stream);
	run_until(client.closed);
	assert_false(client.has_reason);
	memset(&client, 0, sizeof(client));
	assert_int_equal(stream_connect(loop, NULL, "127.0.0.1", 1, NULL, 20000, &end_ops, &client,
					&client.stream),
			 0);
	stream_close(client.stream);
	run_until(client.closed);
	assert_false(client.has_reason);
}

static void test_bad_arguments(void **state)
{
	struct tls_context *tls = pki_context("bob", "ca", TLS_1_3_ONLY, NULL);
	struct stream_listener *other;

	assert_int_equal(stream_connect(loop, tls, "127.0.0.1", 1, NULL, 1, &end_ops, &client,
					&client.stream),
			 -EINVAL);
	assert_int_equal(
		stream_connect(loop, tls, "127.0.0.1", 1, "", 1, &end_ops, &client, &client.stream),
		-EINVAL);
	assert_int_equal(
		stream_connect(loop, NULL, "", 1, NULL, 1, &end_ops, &client, &client.stream),
		-EINVAL);
	assert_int_equal(
		stream_listen(loop, NULL, "localhost", 0, 1, 1, &listener_ops, &server, &other),
		-EINVAL);
	assert_int_equal(stream_listen(loop, NULL, "127.0.0.1", listen_tls(NULL), 1, 1,
				       &listener_ops, &server, &other),
			 -EADDRINUSE);
	tls_context_destroy(tls);
}

static void test_max_streams(void **state)
{
	char byte;
	int first;
	int second;

	assert_int_equal(
		stream_listen(loop, NULL, "127.0.0.1", 0, 1, 0, &listener_ops, &server, &listener),
		0);
	first = connect_raw(stream_listener_port(listener));
	run_until(server.opened);
	second = connect_raw(stream_listener_port(listener));
	/* A round trip of the first: the second has been seen meanwhile. */
	assert_int_equal(write(first, "x", 1), 1);
	run_until(server.len == 1);
	assert_int_equal(server.accepted, 1);
	close(first);
	run_until(server.closed);
	assert_int_equal(read(second, &byte, 1), 0);
	close(second);
	free(server.data);
	memset(&server, 0, sizeof(server));
	first = connect_raw(stream_listener_port(listener));
	run_until(server.opened);
	close(first);
	run_until(server.closed);
}

/* -------- strangers who keep the door busy -------- */

#define STRANGERS 60

static struct end strangers[STRANGERS];
static unsigned int strangers_seen;

/* The first connections are strangers', the one after them is the client's. */
static void on_accepted_stranger(struct stream *stream, void *arg)
{
	struct end *end = &strangers[strangers_seen];

	if (strangers_seen == STRANGERS) {
		on_accepted(stream, &server);
		return;
	}
	strangers_seen++;
	end->accepted++;
	end->stream = stream;
	stream_set_owner(stream, &end_ops, end);
	wake();
}

static const struct stream_listener_ops stranger_ops = {.accepted = on_accepted_stranger};

static int connect_raw_from(const char *source, uint16_t port)
{
	struct sockaddr_in from = {.sin_family = AF_INET}, to = from;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, source, &from.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	to.sin_port = htons(port);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static unsigned int strangers_left(void)
{
	unsigned int left = 0;

	for (int i = 0; i < STRANGERS; i++)
		left += strangers[i].stream != NULL;
	return left;
}

/* Whether the connection still stands at our end: nothing has come, not even an end. */
static bool stands(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void stranger_end(void)
{
	for (int i = 0; i < STRANGERS; i++)
		assert_int_equal(strangers[i].opened, 0);
}

static uint16_t open_door(unsigned int max)
{
	struct tls_context *tls = pki_context("alice", "ca", TLS_1_3_ONLY, NULL);

	memset(strangers, 0, sizeof(strangers));
	strangers_seen = 0;
	assert_int_equal(stream_listen(loop, tls, "127.0.0.1", 0, max, 600000, &stranger_ops, NULL,
				       &listener),
			 0);
	tls_context_destroy(tls);
	return stream_listener_port(listener);
}

static void meet_at_door(uint16_t port)
{
	struct tls_context *tls = pki_context("bob", "ca", TLS_1_3_ONLY, NULL);

	connect_tls(tls, port, "alice");
	tls_context_destroy(tls);
	run_until(client.opened && server.opened);
	assert_string_equal(server.name, "bob");
}

/** Of one address no more than its part shakes hands; the oldest go, and a peer comes through. */
static void test_one_source_does_not_keep_the_door(void **state)
{
	uint16_t port = open_door(40); /* a quarter: 10 */
	int fds[STRANGERS];

	for (int i = 0; i < STRANGERS; i++)
		fds[i] = connect_raw(port);
	run_until(strangers_seen == STRANGERS && strangers_left() == 10);
	for (int i = 0; i < STRANGERS; i++) {
		assert_int_equal(strangers[i].closed, i < STRANGERS - 10);
		assert_int_equal(stands(fds[i]), i >= STRANGERS - 10);
	}
	assert_int_equal(strangers[0].err, -ECONNABORTED);
	assert_contains(strangers[0].reason, "too many connections at once");
	meet_at_door(port);
	stranger_end();
	for (int i = 0; i < STRANGERS; i++)
		close(fds[i]);
	run_until(strangers_left() == 0);
}

/** Many sources fill all places: the oldest newcomer goes, who is known stays. */
static void test_full_door_opens_for_peers(void **state)
{
	uint16_t port = open_door(20);
	int fds[STRANGERS];
	char source[32];

	/* One that is known, before all others. */
	strangers_seen = STRANGERS;
	meet_at_door(port);
	strangers_seen = 0;
	for (int i = 0; i < STRANGERS; i++) {
		snprintf(source, sizeof(source), "127.0.1.%d", i + 1);
		fds[i] = connect_raw_from(source, port);
		run_until(strangers_seen == (unsigned int)i + 1);
	}
	run_until(strangers_left() == 19);
	assert_int_equal(server.closed, 0);
	assert_int_equal(strangers[STRANGERS - 20].closed, 1);
	assert_int_equal(strangers[STRANGERS - 19].closed, 0);
	stream_abort(client.stream);
	run_until(client.closed && server.closed);
	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	/* One place is free, and is taken; then a peer comes all the same. */
	strangers_seen = 0;
	memset(&strangers[0], 0, sizeof(strangers[0]));
	close(fds[0]);
	fds[0] = connect_raw_from("127.0.2.1", port);
	run_until(strangers_seen == 1);
	strangers_seen = STRANGERS;
	meet_at_door(port);
	run_until(strangers_left() == 19);
	stranger_end();
	for (int i = 0; i < STRANGERS; i++)
		close(fds[i]);
	run_until(strangers_left() == 0);
}

/* -------- Unix sockets -------- */

static void test_unix(void **state)
{
	const char *path = pki_path("control", ".sock");
	struct stream_listener *other;
	struct stat st;
	uid_t uid;
	gid_t gid;
	pid_t pid;

	assert_int_equal(stream_listen_unix(loop, path, 0660, getgid(), 5, &listener_ops, &server,
					    &listener),
			 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	/* In use: not taken away. */
	assert_int_equal(
		stream_listen_unix(loop, path, 0660, getgid(), 5, &listener_ops, &server, &other),
		-EADDRINUSE);
	assert_int_equal(stream_connect_unix(loop, path, &end_ops, &client, &client.stream), 0);
	assert_int_equal(client.opened, 0);
	run_until(client.opened && server.opened);
	/* The probe above came first and has gone. */
	run_until(server.accepted);
	assert_int_equal(stream_peer_credentials(client.stream, &uid, &gid, &pid), 0);
	assert_int_equal(uid, getuid());
	assert_int_equal(pid, getpid());
	assert_int_equal(stream_export_secret(client.stream, "x", NULL, 0, (uint8_t *)&uid, 4),
			 -ENOTSUP);
	stream_listener_close(listener);
	listener = NULL;
	assert_int_equal(stat(path, &st), -1);
	stream_close(client.stream);
	run_until(client.closed);
}

static void test_unix_stale_socket_is_replaced(void **state)
{
	const char *path = pki_path("stale", ".sock");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(stream_listen_unix(loop, path, 0600, getgid(), 5, &listener_ops, &server,
					    &listener),
			 0);
}

static void test_unix_leaves_other_files_alone(void **state)
{
	assert_int_equal(stream_listen_unix(loop, pki_path("ca", ".pem"), 0600, getgid(), 5,
					    &listener_ops, &server, &listener),
			 -EADDRINUSE);
	assert_int_equal(access(pki_path("ca", ".pem"), R_OK), 0);
	assert_int_equal(stream_connect_unix(loop, pki_path("none", ".sock"), &end_ops, &client,
					     &client.stream),
			 -ENOENT);
}

/* A client that sends its question and shuts its side still gets the answer. */
static void test_unix_half_close(void **state)
{
	const char *path = pki_path("half", ".sock");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char answer[16] = "";

	assert_int_equal(stream_listen_unix(loop, path, 0600, getgid(), 5, &listener_ops, &server,
					    &listener),
			 0);
	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	server.echo = true;
	assert_int_equal(write(fd, "question", 8), 8);
	shutdown(fd, SHUT_WR);
	run_until(server.len == 8);
	run_until(stream_pending(server.stream) == 0);
	assert_int_equal(read(fd, answer, sizeof(answer)), 8);
	assert_string_equal(answer, "question");
	close(fd);
	run_until(server.closed);
}

/* -------- the files of an identity -------- */

static void refuse(struct tls_files files, const char *says)
{
	struct tls_context *tls = NULL;
	char error[1024] = "";

	assert_true(tls_context_create(&files, TLS_1_3_ONLY, NULL, &tls, error, sizeof(error)) < 0);
	assert_null(tls);
	assert_contains(error, says);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
	chmod(path, 0600);
}

static void encrypt_key(const char *from, const char *to)
{
	EVP_PKEY *key = pki_load_key(from);
	FILE *file = pki_create(pki_path(to, ".key"));

	assert_int_equal(
		PEM_write_PKCS8PrivateKey(file, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL),
		1);
	fclose(file);
	EVP_PKEY_free(key);
}

static void test_bad_files(void **state)
{
	struct tls_files files = pki_files("alice", "ca");

	refuse((struct tls_files){pki_path("none", ".pem"), files.key, files.ca},
	       "none.pem: No such");
	refuse((struct tls_files){files.certificate, pki_path("none", ".key"), files.ca},
	       "none.key");
	refuse((struct tls_files){files.certificate, files.key, pki_path("none", ".pem")},
	       "none.pem");
	refuse((struct tls_files){files.certificate, files.key, NULL}, "all needed");
	refuse((struct tls_files){files.certificate, pki_path("bob", ".key"), files.ca},
	       "bob.key: not the private key of the certificate in");
	refuse((struct tls_files){files.key, files.key, files.ca}, "no PEM certificate");
	refuse((struct tls_files){files.certificate, files.certificate, files.ca},
	       "no PEM private key");
	refuse((struct tls_files){pki_dir, files.key, files.ca}, "not a regular file");

	write_file(pki_path("empty", ".pem"), "");
	refuse((struct tls_files){pki_path("empty", ".pem"), files.key, files.ca}, "empty");
	write_file(pki_path("broken", ".pem"),
		   "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	refuse((struct tls_files){files.certificate, files.key, pki_path("broken", ".pem")},
	       "broken.pem: certificate 1 cannot be read");

	encrypt_key("alice", "locked");
	refuse((struct tls_files){files.certificate, pki_path("locked", ".key"), files.ca},
	       "encrypted with a passphrase");

	chmod(files.key, 0644);
	refuse(files, "open to everybody");
	chmod(files.key, 0640);
	tls_context_destroy(pki_context("alice", "ca", TLS_1_3_ONLY, NULL));
}

static int make_pki(void **state)
{
	pki_set_up();
	pki_make("other-ca", "Other CA", NULL, NULL, NULL, -3600, 86400);
	pki_make("same-name-ca", "Test CA", NULL, NULL, NULL, -3600, 86400);
	pki_issue("alice", "alice", "ca", -60, 3600);
	pki_issue("bob", "bob", "ca", -60, 3600);
	pki_issue("expired", "expired", "ca", -3600, -60);
	pki_issue("future", "future", "ca", 3600, 7200);
	pki_issue("stranger", "stranger", "other-ca", -60, 3600);
	pki_issue("forged", "bob", "same-name-ca", -60, 3600);
	pki_make("two", "two-cn", "ca", "DNS:two,DNS:two.example,IP:192.0.2.7",
		 "serverAuth,clientAuth", -60, 3600);
	pki_make("cn-only", "cn-only", "ca", NULL, NULL, -60, 3600);
	pki_make("wild", "wild", "ca", "DNS:*.example", NULL, -60, 3600);
	pki_make("server-only", "server-only", "ca", "DNS:server-only", "serverAuth", -60, 3600);
	return 0;
}

static int drop_pki(void **state)
{
	pki_tear_down();
	return 0;
}

#define STREAM_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(test_hello),
		STREAM_TEST(test_what_was_written_before_close_arrives),
		STREAM_TEST(test_abort),
		STREAM_TEST(test_loop_ends_first),
		STREAM_TEST(test_big_transfer_both_ways),
		STREAM_TEST(test_queue_is_bounded),
		STREAM_TEST(test_wrong_name),
		STREAM_TEST(test_ip_name),
		STREAM_TEST(test_common_name_without_alternatives),
		STREAM_TEST(test_wildcards_stand_for_nobody),
		STREAM_TEST(test_server_of_another_ca),
		STREAM_TEST(test_client_of_another_ca),
		STREAM_TEST(test_ca_of_the_same_name),
		STREAM_TEST(test_expired),
		STREAM_TEST(test_expired_client),
		STREAM_TEST(test_not_yet_valid),
		STREAM_TEST(test_wrong_key_usage),
		STREAM_TEST(test_no_client_certificate),
		STREAM_TEST(test_no_client_certificate_tls_1_2),
		STREAM_TEST(test_tls_1_2_is_served_where_allowed),
		STREAM_TEST(test_tls_1_2_is_refused_where_not),
		STREAM_TEST(test_alpn),
		STREAM_TEST(test_alpn_mismatch),
		STREAM_TEST(test_alpn_unknown_to_the_client),
		STREAM_TEST(test_alpn_unknown_to_the_server),
		STREAM_TEST(test_http_to_a_tls_port),
		STREAM_TEST(test_random_bytes),
		STREAM_TEST(test_record_header_and_nothing),
		STREAM_TEST(test_oversized_record),
		STREAM_TEST(test_silent_peer_times_out),
		STREAM_TEST(test_client_of_a_silent_server_times_out),
		STREAM_TEST(test_slow_drip),
		STREAM_TEST(test_cut_anywhere),
		STREAM_TEST(test_connection_refused),
		STREAM_TEST(test_connect_by_name),
		STREAM_TEST(test_unknown_name),
		STREAM_TEST(test_abort_while_connecting),
		STREAM_TEST(test_bad_arguments),
		STREAM_TEST(test_max_streams),
		STREAM_TEST(test_one_source_does_not_keep_the_door),
		STREAM_TEST(test_full_door_opens_for_peers),
		STREAM_TEST(test_unix),
		STREAM_TEST(test_unix_stale_socket_is_replaced),
		STREAM_TEST(test_unix_leaves_other_files_alone),
		STREAM_TEST(test_unix_half_close),
		cmocka_unit_test(test_bad_files),
	};

	return cmocka_run_group_tests_name("stream", tests, make_pki, drop_pki);
}
