// SPDX-License-Identifier: GPL-2.0-or-later
/* Kx frames: there and back, and each malformed field with its own complaint. */
#include "km/kx_frame.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t wire[KX_HEADER_BYTES + KX_PAYLOAD_MAX];
static char complaint[256];

static struct kx_frame *frame_of(enum kx_type type)
{
	static struct kx_frame frame;

	memset(&frame, 0, sizeof(frame));
	frame.type = type;
	switch (type) {
	case KX_HELLO:
		frame.hello.version = KX_VERSION;
		strcpy(frame.hello.node, "site-a.example");
		memset(frame.hello.store, 0xab, sizeof(frame.hello.store));
		break;
	case KX_PING:
	case KX_PONG:
		frame.ping.token = 0x0123456789abcdefULL;
		break;
	case KX_ERROR:
		frame.error.code = KX_ERROR_NAME;
		strcpy(frame.error.text, "your certificate does not carry the name site-a");
		break;
	case KX_KEYS_ANNOUNCE:
		strcpy(frame.announce.link, "link-1");
		frame.announce.count = KX_KEYS_MAX;
		for (int i = 0; i < KX_KEYS_MAX; i++) {
			frame.announce.key[i].id.octet[7] = (uint8_t)i;
			frame.announce.key[i].check[0] = (uint8_t)~i;
		}
		break;
	case KX_KEYS_CONFIRM:
		strcpy(frame.confirm.link, "link-1");
		frame.confirm.count = 9;
		for (int i = 0; i < 9; i++) {
			frame.confirm.key[i].id.octet[0] = (uint8_t)i;
			frame.confirm.key[i].status = (uint8_t)i;
		}
		break;
	case KX_EPOCH_OFFER:
		strcpy(frame.offer.channel, "tunnel");
		memset(frame.offer.digest, 1, sizeof(frame.offer.digest));
		frame.offer.epoch = 77;
		frame.offer.key_id.octet[15] = 3;
		break;
	case KX_EPOCH_ANSWER:
		strcpy(frame.answer.channel, "tunnel");
		frame.answer.epoch = 77;
		frame.answer.next = 90;
		frame.answer.status = KX_STALE;
		break;
	case KX_CHANNEL_STATE:
		strcpy(frame.state.channel, "tunnel");
		frame.state.settled = 10;
		frame.state.out = QKD_EPOCH_NONE;
		frame.state.role = KX_RESPONDER;
		frame.state.count = KX_EPOCHS_MAX;
		for (int i = 0; i < KX_EPOCHS_MAX; i++)
			frame.state.epoch[i] = (uint64_t)i * i;
		break;
	case KX_CHANNEL_GONE:
		strcpy(frame.gone.channel, "0123456789012345678901234567890");
		break;
	}
	return &frame;
}

static const enum kx_type TYPES[] = {
	KX_HELLO,	 KX_PING,	 KX_PONG,	  KX_ERROR,	    KX_KEYS_ANNOUNCE,
	KX_KEYS_CONFIRM, KX_EPOCH_OFFER, KX_EPOCH_ANSWER, KX_CHANNEL_STATE, KX_CHANNEL_GONE};
#define TYPE_COUNT (sizeof(TYPES) / sizeof(TYPES[0]))

/** Decodes what is in @wire as one frame from an exactly sized heap block. */
static int decode(struct kx_frame *frame)
{
	struct kx_header header;
	uint8_t *payload;
	int err = kx_header_decode(wire, &header);

	complaint[0] = '\0';
	if (err)
		return err;
	payload = malloc(header.length ? header.length : 1);
	assert_non_null(payload);
	memcpy(payload, wire + KX_HEADER_BYTES, header.length);
	err = kx_frame_decode(&header, payload, frame, complaint, sizeof(complaint));
	free(payload);
	return err;
}

static void set_length(uint32_t length)
{
	length = htobe32(length);
	memcpy(wire, &length, sizeof(length));
}

static void test_there_and_back(void **state)
{
	static struct kx_frame back;

	for (size_t i = 0; i < TYPE_COUNT; i++) {
		const struct kx_frame *frame = frame_of(TYPES[i]);
		int len = kx_frame_encode(frame, wire, sizeof(wire));

		assert_true(len >= KX_HEADER_BYTES);
		memset(&back, 0, sizeof(back));
		assert_int_equal(decode(&back), 0);
		assert_memory_equal(&back, frame, sizeof(back));
	}
}

/** docs/kx.md shows these octets. */
static void test_octets(void **state)
{
	static const uint8_t expected[] = {
		0,   0,	  0,   52,  0,	 33,  0, 0,			      /* header */
		't', 'u', 'n', 'n', 'e', 'l', 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,  /* channel */
		0,   0,	  0,   0,   0,	 0,   0, 0,  0, 0, 0, 0, 0, 0, 0, 0,  /* padding */
		0,   0,	  0,   0,   0,	 0,   0, 77, 0, 0, 0, 0, 0, 0, 0, 90, /* epoch, next */
		3,   0,	  0,   0,					      /* status */
	};
	int len = kx_frame_encode(frame_of(KX_EPOCH_ANSWER), wire, sizeof(wire));

	assert_int_equal(len, sizeof(expected));
	assert_memory_equal(wire, expected, sizeof(expected));
}

static void test_lengths(void **state)
{
	static struct kx_frame back;

	for (size_t i = 0; i < TYPE_COUNT; i++) {
		int len = kx_frame_encode(frame_of(TYPES[i]), wire, sizeof(wire));

		assert_int_equal(kx_frame_encode(frame_of(TYPES[i]), wire, (size_t)len - 1),
				 -EMSGSIZE);
		assert_int_equal(kx_frame_encode(frame_of(TYPES[i]), wire, 3), -EMSGSIZE);
		kx_frame_encode(frame_of(TYPES[i]), wire, sizeof(wire));
		for (int cut = 1; cut <= len - KX_HEADER_BYTES; cut++) {
			set_length((uint32_t)(len - KX_HEADER_BYTES - cut));
			assert_int_equal(decode(&back), -EPROTO);
			assert_true(strlen(complaint) > 10);
		}
		set_length((uint32_t)(len - KX_HEADER_BYTES + 1));
		wire[len] = 0;
		assert_int_equal(decode(&back), -EPROTO);
		assert_non_null(strstr(complaint, "too many"));
	}
}

static void test_header(void **state)
{
	struct kx_header header;

	kx_frame_encode(frame_of(KX_PING), wire, sizeof(wire));
	assert_int_equal(kx_header_decode(wire, &header), 0);
	assert_int_equal(header.type, KX_PING);
	assert_int_equal(header.length, 8);
	wire[7] = 1;
	assert_int_equal(kx_header_decode(wire, &header), -EPROTO);
	wire[7] = 0;
	for (unsigned int type = 0; type < 65536; type++) {
		bool known = false;

		for (size_t i = 0; i < TYPE_COUNT; i++)
			known |= TYPES[i] == type;
		wire[4] = (uint8_t)(type >> 8);
		wire[5] = (uint8_t)type;
		assert_int_equal(kx_type_ignored((uint16_t)type), type >= 0x80 && type <= 0xff);
		assert_int_equal(kx_header_decode(wire, &header),
				 known || kx_type_ignored((uint16_t)type) ? 0 : -EPROTO);
	}
	wire[4] = 0;
	wire[5] = KX_PING;
	set_length(KX_PAYLOAD_MAX);
	assert_int_equal(kx_header_decode(wire, &header), 0);
	set_length(KX_PAYLOAD_MAX + 1);
	assert_int_equal(kx_header_decode(wire, &header), -EMSGSIZE);
	set_length(0xffffffff);
	assert_int_equal(kx_header_decode(wire, &header), -EMSGSIZE);
}

/** Encodes @type, puts @value at @offset of the payload, expects the complaint. */
static void spoil(enum kx_type type, size_t offset, uint8_t value, const char *expected)
{
	static struct kx_frame back;

	kx_frame_encode(frame_of(type), wire, sizeof(wire));
	wire[KX_HEADER_BYTES + offset] = value;
	assert_int_equal(decode(&back), -EPROTO);
	if (!strstr(complaint, expected))
		fail_msg("complaint \"%s\" lacks \"%s\"", complaint, expected);
}

static void test_fields(void **state)
{
	spoil(KX_HELLO, 4, 0, "hello.node is empty");
	spoil(KX_HELLO, 6, ' ', "hello.node has octet 0x20 at 2");
	spoil(KX_HELLO, 6, 0xc3, "hello.node has octet 0xc3");
	spoil(KX_HELLO, 6, '\n', "hello.node has octet 0x0a");
	spoil(KX_HELLO, 35, 'x', "hello.node is not padded");
	spoil(KX_CHANNEL_GONE, 31, 'x', "gone.channel has no terminating NUL");
	spoil(KX_ERROR, 5, 7, "error.text has octet 0x07");
	spoil(KX_ERROR, 5, 0, "error.text has a NUL");
	spoil(KX_ERROR, 2, 1, "error.text is");
	spoil(KX_KEYS_ANNOUNCE, 0, 0, "announce.link is empty");
	spoil(KX_KEYS_ANNOUNCE, 33, 0, "announce.count is 0");
	spoil(KX_KEYS_ANNOUNCE, 33, KX_KEYS_MAX + 1, "announce.count is 129");
	spoil(KX_KEYS_ANNOUNCE, 35, 1, "announce: reserved octet");
	spoil(KX_KEYS_ANNOUNCE, 36 + 32 + 7, 0, "announce.key[1] repeats key[0]");
	spoil(KX_KEYS_CONFIRM, 0, 0, "confirm.link is empty");
	spoil(KX_KEYS_CONFIRM, 32, 1, "confirm.count is 265");
	spoil(KX_KEYS_CONFIRM, 36 + 16, KX_STATUS_LAST + 1, "confirm.key: status 9");
	spoil(KX_EPOCH_OFFER, 1, 0, "offer.channel is not padded");
	spoil(KX_EPOCH_ANSWER, 48, 200, "answer: status 200");
	spoil(KX_EPOCH_ANSWER, 51, 1, "answer: reserved octet");
	spoil(KX_CHANNEL_STATE, 64, 255, "state.count is 65280");
	spoil(KX_CHANNEL_STATE, 66, 0, "state.role is 0");
	spoil(KX_CHANNEL_STATE, 66, 3, "state.role is 3");
	spoil(KX_CHANNEL_STATE, 67, 1, "state: reserved octet");
	spoil(KX_CHANNEL_STATE, 68 + 8 + 7, 0, "state.epoch[1] is 0, behind 0");
}

/** Features that nobody knows yet are read, and mean nothing. */
static void test_features(void **state)
{
	static struct kx_frame back;

	kx_frame_encode(frame_of(KX_HELLO), wire, sizeof(wire));
	assert_int_equal(wire[KX_HEADER_BYTES + 2] | wire[KX_HEADER_BYTES + 3], 0);
	wire[KX_HEADER_BYTES + 2] = 0x80;
	wire[KX_HEADER_BYTES + 3] = 0x01;
	assert_int_equal(decode(&back), 0);
	assert_int_equal(back.hello.features, 0x8001);
	/* What is to be passed over is not decoded. */
	kx_frame_encode(frame_of(KX_PING), wire, sizeof(wire));
	wire[5] = KX_IGNORABLE_FIRST;
	assert_int_equal(decode(&back), -EPROTO);
	assert_string_equal(complaint, "type 128 is unknown");
}

static void test_no_epoch(void **state)
{
	static struct kx_frame back;

	kx_frame_encode(frame_of(KX_EPOCH_OFFER), wire, sizeof(wire));
	memset(wire + KX_HEADER_BYTES + 48, 0xff, 8);
	assert_int_equal(decode(&back), -EPROTO);
	assert_string_equal(complaint, "offer.epoch is no epoch");
	kx_frame_encode(frame_of(KX_EPOCH_ANSWER), wire, sizeof(wire));
	memset(wire + KX_HEADER_BYTES + 32, 0xff, 8);
	assert_int_equal(decode(&back), -EPROTO);
	assert_string_equal(complaint, "answer.epoch is no epoch");
	kx_frame_encode(frame_of(KX_CHANNEL_STATE), wire, sizeof(wire));
	memset(wire + KX_HEADER_BYTES + 68 + 511 * 8, 0xff, 8);
	assert_int_equal(decode(&back), -EPROTO);
	assert_string_equal(complaint, "state.epoch[511] is no epoch");
}

/** What the decoder would refuse is not sent. */
static void test_encode_refuses(void **state)
{
	struct kx_frame *frame = frame_of(KX_HELLO);

	frame->hello.node[0] = '\0';
	assert_int_equal(kx_frame_encode(frame, wire, sizeof(wire)), -EINVAL);
	frame = frame_of(KX_ERROR);
	memset(frame->error.text, 'x', sizeof(frame->error.text));
	assert_int_equal(kx_frame_encode(frame, wire, sizeof(wire)), -EINVAL);
	frame = frame_of(KX_KEYS_ANNOUNCE);
	frame->announce.count = KX_KEYS_MAX + 1;
	assert_int_equal(kx_frame_encode(frame, wire, sizeof(wire)), -EINVAL);
	frame = frame_of(KX_CHANNEL_STATE);
	frame->state.count = KX_EPOCHS_MAX + 1;
	assert_int_equal(kx_frame_encode(frame, wire, sizeof(wire)), -EINVAL);
	frame = frame_of(KX_CHANNEL_STATE);
	frame->state.epoch[9] = frame->state.epoch[8];
	assert_int_equal(kx_frame_encode(frame, wire, sizeof(wire)), -EINVAL);
	frame = frame_of(KX_PING);
	frame->type = (enum kx_type)99;
	assert_int_equal(kx_frame_encode(frame, wire, sizeof(wire)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_octets),
		cmocka_unit_test(test_lengths),	       cmocka_unit_test(test_header),
		cmocka_unit_test(test_fields),	       cmocka_unit_test(test_no_epoch),
		cmocka_unit_test(test_encode_refuses), cmocka_unit_test(test_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
