// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KM links over TLS on loopback: two nodes, alice and bob, and a third party
 * that speaks raw frames.
 */
#include "km/kx_link.h"
#include "km_helpers.h"
#include "pki.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static struct loop *loop;

/* Hangs are failures; the limit is no measure of speed. */
static void hang(void *arg)
{
	fail_msg("nothing happens any more, waiting for %s", (const char *)arg);
}

static void turn(void *arg)
{
	loop_stop(loop, 0);
}

#define run_until(condition)                                                                       \
	do {                                                                                       \
		struct loop_timer watchdog = {.fire = hang, .arg = #condition};                    \
		struct loop_timer tick = {.fire = turn};                                           \
		loop_timer_set(loop, &watchdog, 45000);                                            \
		while (!(condition)) {                                                             \
			loop_timer_set(loop, &tick, 5);                                            \
			assert_int_equal(loop_run(loop), 0);                                       \
		}                                                                                  \
		loop_timer_cancel(loop, &watchdog);                                                \
		loop_timer_cancel(loop, &tick);                                                    \
	} while (0)

/* -------- a node -------- */

struct node {
	struct config config;
	struct config_peer peer;
	struct kx *kx;
	struct kx_peer *link;
	struct kx_handler handler;
	int up, down, frames;
	uint64_t last_epoch;
	int refuse_with;
};

static struct node alice, bob;
static uint16_t port_a, port_b;

static void on_up(struct kx_peer *peer, void *arg)
{
	struct node *node = arg;

	assert_true(kx_peer_up(peer));
	assert_int_equal(node->up, node->down); /* in turn */
	node->up++;
}

static void on_down(struct kx_peer *peer, void *arg)
{
	struct node *node = arg;

	assert_false(kx_peer_up(peer));
	node->down++;
	assert_int_equal(node->up, node->down);
}

static int on_frame(struct kx_peer *peer, const struct kx_frame *frame, void *arg)
{
	struct node *node = arg;

	assert_int_equal(frame->type, KX_EPOCH_OFFER);
	assert_true(kx_peer_up(peer));
	node->frames++;
	node->last_epoch = frame->offer.epoch;
	return node->refuse_with;
}

static uint16_t free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	close(fd);
	return ntohs(addr.sin_port);
}

/** @dial_port: of the peer, 0: wait to be called. @cert, @ca: names of files in pki. */
static void node_start(struct node *node, const char *name, uint16_t port, const char *peer,
		       uint16_t dial_port, const char *cert, const char *ca)
{
	struct tls_files files = pki_files(cert, ca);
	uint8_t store[16];
	char error[600];

	memset(node, 0, sizeof(*node));
	memset(store, name[0], sizeof(store));
	node->config.node = (char *)name;
	node->config.kx.listen = (char *)"127.0.0.1";
	node->config.kx.port = port;
	node->config.kx.tls.certificate = (char *)files.certificate;
	node->config.kx.tls.key = (char *)files.key;
	node->config.kx.tls.ca = (char *)files.ca;
	node->peer.name = (char *)peer;
	node->peer.address = dial_port ? (char *)"127.0.0.1" : NULL;
	node->peer.port = dial_port;
	node->config.peers = &node->peer;
	node->config.peers_count = 1;
	if (kx_create(loop, &node->config, store, &node->kx, error, sizeof(error)))
		fail_msg("%s", error);
	node->handler = (struct kx_handler){
		.type_first = KX_EPOCH_OFFER,
		.type_last = KX_EPOCH_OFFER,
		.up = on_up,
		.down = on_down,
		.frame = on_frame,
		.arg = node,
	};
	assert_int_equal(kx_add_handler(node->kx, &node->handler), 0);
	if (kx_start(node->kx, error, sizeof(error)))
		fail_msg("%s", error);
	node->link = kx_find(node->kx, peer);
	assert_non_null(node->link);
}

static void node_stop(struct node *node)
{
	kx_destroy(node->kx);
	node->kx = NULL;
}

static const char *last_error(const struct node *node)
{
	struct kx_peer_status status;

	kx_peer_status(node->link, &status);
	return status.last_error;
}

static bool both_up(void)
{
	return kx_peer_up(alice.link) && kx_peer_up(bob.link);
}

static int send_offer(struct node *node, uint64_t epoch)
{
	static struct kx_frame frame;

	memset(&frame, 0, sizeof(frame));
	frame.type = KX_EPOCH_OFFER;
	strcpy(frame.offer.channel, "ch");
	frame.offer.epoch = epoch;
	return kx_send(node->link, &frame);
}

static int set_up(void **state)
{
	assert_int_equal(loop_create(&loop), 0);
	port_a = free_port();
	port_b = free_port();
	memset(&alice, 0, sizeof(alice));
	memset(&bob, 0, sizeof(bob));
	return 0;
}

static int tear_down(void **state)
{
	kx_destroy(alice.kx);
	kx_destroy(bob.kx);
	loop_destroy(loop);
	return 0;
}

static void start_both(void)
{
	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	node_start(&alice, "alice", port_a, "bob", port_b, "alice", "ca");
	run_until(both_up());
}

/* -------- good peers -------- */

static void test_frames(void **state)
{
	struct kx_peer_status status;

	start_both();
	assert_string_equal(kx_peer_name(alice.link), "bob");
	assert_null(kx_find(alice.kx, "mallory"));
	for (uint64_t i = 0; i < 500; i++) {
		assert_int_equal(send_offer(&alice, i), 0);
		assert_int_equal(send_offer(&bob, 2 * i), 0);
	}
	run_until(alice.frames == 500 && bob.frames == 500);
	assert_int_equal(alice.last_epoch, 998);
	assert_int_equal(bob.last_epoch, 499);
	kx_peer_status(alice.link, &status);
	assert_true(status.up);
	assert_int_equal(status.reconnects, 0);
	assert_string_equal(status.last_error, "");
	assert_string_equal(status.name, "bob");
	assert_int_equal(alice.up, 1);
	assert_int_equal(alice.down, 0);
	assert_int_equal(kx_add_handler(alice.kx, &alice.handler), -EBUSY);
}

static void test_session_secret(void **state)
{
	uint8_t a[32], b[32], other[32];

	start_both();
	assert_int_equal(kx_session_secret(alice.link, "ctx", 3, a), 0);
	assert_int_equal(kx_session_secret(bob.link, "ctx", 3, b), 0);
	assert_memory_equal(a, b, sizeof(a));
	assert_int_equal(kx_session_secret(bob.link, "ctX", 3, other), 0);
	assert_memory_not_equal(a, other, sizeof(a));
	node_stop(&bob);
	run_until(!kx_peer_up(alice.link));
	assert_int_equal(kx_session_secret(alice.link, "ctx", 3, a), -ENOTCONN);
	assert_int_equal(send_offer(&alice, 1), -ENOTCONN);
	/* Another session, another secret. */
	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	run_until(both_up());
	assert_int_equal(kx_session_secret(bob.link, "ctx", 3, other), 0);
	assert_memory_not_equal(b, other, sizeof(b));
}

static void test_reconnect(void **state)
{
	struct kx_peer_status status;

	start_both();
	for (uint32_t round = 1; round <= 3; round++) {
		node_stop(&bob);
		run_until(!kx_peer_up(alice.link));
		assert_int_equal(alice.down, round);
		assert_true(strlen(last_error(&alice)) > 0);
		node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
		run_until(both_up());
		kx_peer_status(alice.link, &status);
		assert_int_equal(status.reconnects, round);
		assert_string_equal(status.last_error, "");
	}
	assert_int_equal(send_offer(&alice, 5), 0);
	run_until(bob.frames == 1);
}

/** Both call each other, again and again: one link, the same one at both ends. */
static void test_both_call(void **state)
{
	for (int round = 0; round < 10; round++) {
		uint8_t a[32] = {1}, b[32] = {2};

		port_a = free_port();
		port_b = free_port();
		node_start(&bob, "bob", port_b, "alice", port_a, "bob", "ca");
		node_start(&alice, "alice", port_a, "bob", port_b, "alice", "ca");
		run_until(both_up() && kx_session_secret(alice.link, "", 0, a) == 0 &&
			  kx_session_secret(bob.link, "", 0, b) == 0 && memcmp(a, b, 32) == 0 &&
			  alice.link->link->ours);
		assert_int_equal(send_offer(&alice, 1), 0);
		assert_int_equal(send_offer(&bob, 2), 0);
		run_until(alice.frames == 1 && bob.frames == 1);
		node_stop(&alice);
		node_stop(&bob);
	}
}

static void test_round_trip(void **state)
{
	struct kx_peer_status status;

	start_both();
	kx_peer_status(alice.link, &status);
	assert_int_equal(status.round_trip_us, 0);
	run_until((kx_peer_status(alice.link, &status), status.round_trip_us > 0));
	run_until((kx_peer_status(bob.link, &status), status.round_trip_us > 0));
	assert_int_equal(alice.down + bob.down, 0);
}

static void test_no_room(void **state)
{
	int err = 0, sent = 0;

	start_both();
	for (sent = 0; !err && sent < 200000; sent++)
		err = send_offer(&alice, (uint64_t)sent);
	assert_int_equal(err, -ENOBUFS);
	run_until(bob.frames == sent - 1); /* the rest arrived whole */
	assert_int_equal(send_offer(&alice, 7), 0);
	run_until(bob.frames == sent);
}

static void test_handler_refuses(void **state)
{
	start_both();
	bob.refuse_with = -EINVAL;
	assert_int_equal(send_offer(&alice, 1), 0);
	run_until(alice.down == 1 && bob.down == 1);
	assert_non_null(strstr(last_error(&alice), "frame of type 32 was not accepted"));
	bob.refuse_with = 0;
	run_until(both_up());
}

/* -------- wrong certificates: the message says why -------- */

static void expect_error(struct node *node, const char *text)
{
	run_until(strstr(last_error(node), text));
	assert_false(kx_peer_up(node->link));
	assert_int_equal(node->up, 0);
}

static void test_other_ca(void **state)
{
	node_start(&bob, "bob", port_b, "alice", 0, "bob-other", "ca");
	node_start(&alice, "alice", port_a, "bob", port_b, "alice", "ca");
	expect_error(&alice, "unknown authority");
	assert_non_null(strstr(last_error(&alice), "Other CA"));
	assert_int_equal(bob.up, 0);
}

static void test_other_ca_client(void **state)
{
	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	node_start(&alice, "alice", port_a, "bob", port_b, "alice-other", "ca");
	expect_error(&alice, "unknown CA");
	assert_int_equal(bob.up, 0);
}

static void test_wrong_name(void **state)
{
	node_start(&bob, "bob", port_b, "alice", 0, "mallory", "ca");
	node_start(&alice, "alice", port_a, "bob", port_b, "alice", "ca");
	expect_error(&alice, "is for mallory; expected bob");
	assert_int_equal(bob.up, 0);
}

static void test_expired(void **state)
{
	node_start(&bob, "bob", port_b, "alice", 0, "bob-expired", "ca");
	node_start(&alice, "alice", port_a, "bob", port_b, "alice", "ca");
	expect_error(&alice, "expired on");
	assert_int_equal(bob.up, 0);
}

/** The right authority, but the caller's certificate is not for the name it says. */
static void test_liar(void **state)
{
	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	node_start(&alice, "alice", port_a, "bob", port_b, "mallory", "ca");
	expect_error(&alice, "it says that it is alice, but its certificate is for mallory");
	assert_int_equal(bob.up, 0);
}

static void test_not_configured(void **state)
{
	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	node_start(&alice, "mallory", port_a, "bob", port_b, "mallory", "ca");
	expect_error(&alice, "mallory is not configured as a peer of bob");
	assert_int_equal(bob.up, 0);
}

static void test_bad_config(void **state)
{
	struct config config = {.node = (char *)"a b", .kx.listen = (char *)"127.0.0.1"};
	uint8_t store[16] = {0};
	char error[600];
	struct kx *kx;

	assert_int_equal(kx_create(loop, &config, store, &kx, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "node: \"a b\" cannot be a node's name"));
	config.node = (char *)"0123456789012345678901234567890123";
	assert_int_equal(kx_create(loop, &config, store, &kx, error, sizeof(error)), -EINVAL);
	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	bob.config.peers_count = 0;
	assert_int_equal(kx_create(loop, &bob.config, store, &kx, error, sizeof(error)), 0);
	assert_int_equal(kx_start(kx, error, sizeof(error)), -EADDRINUSE);
	assert_non_null(strstr(error, "kx: cannot listen on 127.0.0.1 port"));
	kx_destroy(kx);
}

/* -------- a third party with alice's certificate that speaks raw frames -------- */

static struct raw {
	struct stream *stream;
	struct tls_context *tls;
	int opened, closed;
	uint8_t data[65536];
	size_t len;
} raw;

static void raw_opened(struct stream *stream, void *arg)
{
	raw.opened++;
}

static void raw_received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	if (len > sizeof(raw.data) - raw.len)
		len = sizeof(raw.data) - raw.len;
	memcpy(raw.data + raw.len, data, len);
	raw.len += len;
}

static void raw_closed(struct stream *stream, void *arg, int err, const char *reason)
{
	raw.closed++;
	raw.stream = NULL;
}

static const struct stream_ops raw_ops = {
	.opened = raw_opened,
	.received = raw_received,
	.closed = raw_closed,
};

static void raw_connect(void)
{
	memset(&raw, 0, sizeof(raw));
	raw.tls = pki_context("alice", "ca", TLS_1_3_ONLY, KX_ALPN);
	assert_int_equal(stream_connect(loop, raw.tls, "127.0.0.1", port_b, "bob", 60000, &raw_ops,
					NULL, &raw.stream),
			 0);
	run_until(raw.opened);
}

static void raw_end(void)
{
	if (raw.stream)
		stream_abort(raw.stream);
	run_until(raw.closed);
	tls_context_destroy(raw.tls);
}

static size_t hello_octets(uint8_t *octets, uint16_t version, const char *node, uint8_t store)
{
	static struct kx_frame frame;
	int len;

	memset(&frame, 0, sizeof(frame));
	frame.type = KX_HELLO;
	frame.hello.version = version;
	strcpy(frame.hello.node, node);
	memset(frame.hello.store, store, sizeof(frame.hello.store));
	len = kx_frame_encode(&frame, octets, 256);
	assert_true(len > 0);
	return (size_t)len;
}

static void raw_hello(void)
{
	uint8_t octets[256];
	size_t len = hello_octets(octets, KX_VERSION, "alice", 1);

	assert_int_equal(stream_write(raw.stream, octets, len), 0);
}

/** The KX_ERROR among what came, or NULL. */
static const struct kx_error *raw_error(void)
{
	static struct kx_frame frame;
	size_t at = 0;

	while (raw.len - at >= KX_HEADER_BYTES) {
		struct kx_header header;

		assert_int_equal(kx_header_decode(raw.data + at, &header), 0);
		if (raw.len - at - KX_HEADER_BYTES < header.length)
			return NULL;
		assert_int_equal(
			kx_frame_decode(&header, raw.data + at + KX_HEADER_BYTES, &frame, NULL, 0),
			0);
		if (frame.type == KX_ERROR)
			return &frame.error;
		at += KX_HEADER_BYTES + header.length;
	}
	return NULL;
}

/** Sends @octets (after a hello if @greeted), expects to be refused in these words. */
static void refused(bool greeted, const void *octets, size_t len, uint16_t code, const char *text)
{
	const struct kx_error *error;

	raw_connect();
	if (greeted)
		raw_hello();
	assert_int_equal(stream_write(raw.stream, octets, len), 0);
	run_until((error = raw_error()));
	assert_int_equal(error->code, code);
	if (!strstr(error->text, text))
		fail_msg("\"%s\" lacks \"%s\"", error->text, text);
	run_until(raw.closed);
	raw_end();
}

static void test_malformed(void **state)
{
	static const uint8_t unknown[] = {0, 0, 0, 1, 0, 99, 0, 0, 7};
	static const uint8_t beyond[] = {0, 0, 0, 1, 1, 0, 0, 0, 7};
	static const uint8_t too_early[] = {0, 0, 0, 1, 0, 0x80, 0, 0, 7};
	static const uint8_t too_long[] = {0, 0, 0x40, 1, 0, 0x80, 0, 0};
	static const uint8_t reserved[] = {0, 0, 0, 8, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t long_frame[] = {0, 0, 0x40, 1, 0, 34, 0, 0};
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0, 34, 0, 0};
	static const uint8_t ping[] = {0, 0, 0, 8, 0, 2, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	static const uint8_t short_ping[] = {0, 0, 0, 3, 0, 2, 0, 0, 1, 2, 3};
	static const uint8_t unwanted[40] = {0, 0, 0, 32, 0, 35, 0, 0, 'c'};
	uint8_t hello[256];
	size_t len;

	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	refused(false, unknown, sizeof(unknown), KX_ERROR_FRAME, "type 99");
	refused(true, unknown, sizeof(unknown), KX_ERROR_FRAME, "type 99");
	refused(true, beyond, sizeof(beyond), KX_ERROR_FRAME, "type 256");
	refused(false, too_early, sizeof(too_early), KX_ERROR_FRAME, "128 before the hello");
	refused(true, too_long, sizeof(too_long), KX_ERROR_FRAME, "16385 octets, too long");
	refused(true, reserved, sizeof(reserved), KX_ERROR_FRAME, "type 2");
	refused(true, long_frame, sizeof(long_frame), KX_ERROR_FRAME, "16385 octets, too long");
	refused(true, huge, sizeof(huge), KX_ERROR_FRAME, "too long");
	refused(false, ping, sizeof(ping), KX_ERROR_FRAME, "before the hello");
	refused(true, short_ping, sizeof(short_ping), KX_ERROR_FRAME, "too short: 3 octets");
	refused(true, unwanted, sizeof(unwanted), KX_ERROR_FRAME, "type 35 was not accepted");
	len = hello_octets(hello, KX_VERSION, "alice", 1);
	refused(true, hello, len, KX_ERROR_FRAME, "a second hello");
	len = hello_octets(hello, 2, "alice", 1);
	refused(false, hello, len, KX_ERROR_VERSION, "Kx version 2 is not known here, 1 is");
	len = hello_octets(hello, KX_VERSION, "bob", 1);
	refused(false, hello, len, KX_ERROR_NAME, "it says that it is bob");
	len = hello_octets(hello, KX_VERSION, "alice", 'b');
	refused(false, hello, len, KX_ERROR_STORE, "alice and bob have the same key store");
	hello[12] = ' ';
	refused(false, hello, len, KX_ERROR_FRAME, "hello.node has octet 0x20");
	/* After all this, the real one is welcome. */
	node_start(&alice, "alice", port_a, "bob", port_b, "alice", "ca");
	run_until(both_up());
}

/** Octets may come one by one, or many frames at once. */
static void test_fragments(void **state)
{
	uint8_t octets[600];
	size_t hello_len, len;
	struct kx_frame *frame = calloc(1, sizeof(*frame));

	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	raw_connect();
	hello_len = hello_octets(octets, KX_VERSION, "alice", 1);
	for (size_t i = 0; i < hello_len; i++) {
		assert_false(kx_peer_up(bob.link));
		assert_int_equal(stream_write(raw.stream, octets + i, 1), 0);
	}
	run_until(kx_peer_up(bob.link));
	frame->type = KX_EPOCH_OFFER;
	strcpy(frame->offer.channel, "ch");
	len = 0;
	for (uint64_t i = 1; i <= 6; i++) {
		frame->offer.epoch = i;
		len += (size_t)kx_frame_encode(frame, octets + len, sizeof(octets) - len);
	}
	assert_int_equal(stream_write(raw.stream, octets, len - 1), 0);
	run_until(bob.frames == 5);
	assert_int_equal(stream_write(raw.stream, octets + len - 1, 1), 0);
	run_until(bob.frames == 6);
	assert_int_equal(bob.last_epoch, 6);
	raw_end();
	run_until(bob.down == 1);
	free(frame);
}

static size_t offer_octets(uint8_t *octets, size_t size, uint64_t epoch)
{
	static struct kx_frame frame;

	memset(&frame.offer, 0, sizeof(frame.offer));
	frame.type = KX_EPOCH_OFFER;
	strcpy(frame.offer.channel, "ch");
	frame.offer.epoch = epoch;
	return (size_t)kx_frame_encode(&frame, octets, size);
}

/** A peer of a later version: features that we do not know, frames that we may ignore. */
static void test_later_version(void **state)
{
	static const uint16_t lengths[] = {0, 1, 5000, KX_PAYLOAD_MAX};
	static uint8_t octets[8 * KX_PAYLOAD_MAX];
	size_t len = hello_octets(octets, KX_VERSION, "alice", 1);
	uint64_t epoch = 0;

	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	octets[KX_HEADER_BYTES + 2] = 0xff;
	octets[KX_HEADER_BYTES + 3] = 0xff;
	for (int i = 0; i < 4; i++) {
		octets[len] = octets[len + 1] = 0;
		octets[len + 2] = (uint8_t)(lengths[i] >> 8);
		octets[len + 3] = (uint8_t)lengths[i];
		octets[len + 4] = 0;
		octets[len + 5] = i & 1 ? KX_IGNORABLE_FIRST : KX_IGNORABLE_LAST;
		octets[len + 6] = octets[len + 7] = 0;
		memset(octets + len + KX_HEADER_BYTES, 0xa5, lengths[i]);
		len += KX_HEADER_BYTES + lengths[i];
		len += offer_octets(octets + len, sizeof(octets) - len, ++epoch);
	}
	raw_connect();
	assert_int_equal(stream_write(raw.stream, octets, len), 0);
	run_until(bob.frames == 4);
	assert_int_equal(bob.last_epoch, 4);
	assert_null(raw_error());
	/* And it said what it understands itself. */
	assert_int_equal(raw.data[KX_HEADER_BYTES + 2] | raw.data[KX_HEADER_BYTES + 3], 0);
	raw_end();
}

static void test_silence(void **state)
{
	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	bob.kx->hello_ms = 30;
	raw_connect();
	run_until(raw.closed); /* no hello */
	assert_non_null(raw_error());
	assert_non_null(strstr(raw_error()->text, "no hello within 30 ms"));
	raw_end();
	bob.kx->hello_ms = 60000;
	bob.kx->ping_ms = 20;
	raw_connect();
	raw_hello();
	run_until(bob.up == 1);
	run_until(bob.down == 1); /* pings, but no pong */
	assert_non_null(strstr(last_error(&bob), "nothing heard for 60 ms"));
	run_until(raw.closed);
	raw_end();
}

/** The same peer calls again before we saw its first connection die: the new one counts. */
static void test_called_again(void **state)
{
	struct stream *first;
	struct tls_context *first_tls;

	node_start(&bob, "bob", port_b, "alice", 0, "bob", "ca");
	raw_connect();
	raw_hello();
	run_until(bob.up == 1);
	first = raw.stream;
	first_tls = raw.tls;
	stream_set_owner(first, NULL, NULL);
	raw_connect();
	raw_hello();
	run_until(bob.up == 2);
	assert_int_equal(bob.down, 1);
	assert_true(kx_peer_up(bob.link));
	raw_end();
	run_until(bob.down == 2);
	tls_context_destroy(first_tls);
}

#define kx_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int make_certificates(void **state)
{
	log_set_level(LOG_LEVEL_ERR);
	pki_set_up();
	pki_make("other-ca", "Other CA", NULL, NULL, NULL, -3600, 86400);
	pki_issue("alice", "alice", "ca", -60, 3600);
	pki_issue("bob", "bob", "ca", -60, 3600);
	pki_issue("mallory", "mallory", "ca", -60, 3600);
	pki_issue("bob-other", "bob", "other-ca", -60, 3600);
	pki_issue("alice-other", "alice", "other-ca", -60, 3600);
	pki_issue("bob-expired", "bob", "ca", -7200, -3600);
	return 0;
}

static int remove_certificates(void **state)
{
	pki_tear_down();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kx_test(test_frames),	       kx_test(test_session_secret),
		kx_test(test_reconnect),       kx_test(test_both_call),
		kx_test(test_round_trip),      kx_test(test_no_room),
		kx_test(test_handler_refuses), kx_test(test_other_ca),
		kx_test(test_other_ca_client), kx_test(test_wrong_name),
		kx_test(test_expired),	       kx_test(test_liar),
		kx_test(test_not_configured),  kx_test(test_bad_config),
		kx_test(test_malformed),       kx_test(test_fragments),
		kx_test(test_silence),	       kx_test(test_called_again),
		kx_test(test_later_version),
	};

	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
