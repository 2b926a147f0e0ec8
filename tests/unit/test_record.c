// SPDX-License-Identifier: GPL-2.0-or-later
/* Every field of every record: the values at the border pass, those beyond do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The module's checks; no part of the daemon's library. */
#include "../../kmod/record.c"

static struct qkd_channel esp(void)
{
	struct qkd_channel r = {
		.id = 1,
		.kind = QKD_KIND_ESP_TUNNEL,
		.cipher = QKD_CIPHER_AES_256_GCM,
		.on_exhausted = QKD_EXHAUSTED_HOLD,
		.flags = QKD_CHANNEL_ESN,
		.lookahead = 4,
		.family = AF_INET,
		.rollover_ms = 1000,
		.grace_ms = 1000,
		.reqid = 1,
		.replay_window = 64,
		.local = {10, 0, 0, 1},
		.remote = {10, 0, 0, 2},
		.name = "a link",
	};

	return r;
}

static struct qkd_channel macsec(void)
{
	struct qkd_channel r = {
		.id = 1,
		.kind = QKD_KIND_MACSEC,
		.cipher = QKD_CIPHER_GCM_AES_XPN_256,
		.on_exhausted = QKD_EXHAUSTED_BLOCK,
		.flags = QKD_CHANNEL_SSCI_1,
		.lookahead = 2,
		.rollover_ms = 1000,
		.grace_ms = 999,
		.ifindex = 3,
		.sci_peer = {2, 0, 0, 0, 0, 1, 0, 1},
	};

	return r;
}

static int add(const struct qkd_channel *r)
{
	return qkd_record_check_channel_add(r);
}

/* @base with @field set to @value is accepted, or refused. */
#define accepts(base, field, value)                                                                \
	do {                                                                                       \
		struct qkd_channel r_ = base;                                                      \
		r_.field = (value);                                                                \
		assert_int_equal(add(&r_), 0);                                                     \
	} while (0)
#define refuses(base, field, value)                                                                \
	do {                                                                                       \
		struct qkd_channel r_ = base;                                                      \
		r_.field = (value);                                                                \
		assert_int_equal(add(&r_), -EINVAL);                                               \
	} while (0)

static void channel_of_both_kinds(void **state)
{
	struct qkd_channel e = esp(), m = macsec(), none = {0};

	assert_int_equal(add(&e), 0);
	assert_int_equal(add(&m), 0);
	assert_int_equal(add(&none), -EINVAL);
	refuses(e, id, 0);
	refuses(e, kind, 0);
	refuses(e, kind, 4);
	accepts(e, kind, QKD_KIND_ESP_TRANSPORT);
	refuses(e, kind, QKD_KIND_MACSEC);
	refuses(m, kind, QKD_KIND_ESP_TUNNEL);
	refuses(e, on_exhausted, 0);
	refuses(e, on_exhausted, 3);
	refuses(e, state, QKD_CHANNEL_IDLE);
	accepts(e, rollover_ms, 100);
	refuses(e, rollover_ms, 99);
	accepts(e, rollover_ms, 86400000);
	refuses(e, rollover_ms, 86400001);
	accepts(e, grace_ms, 100);
	refuses(e, grace_ms, 99);
	accepts(e, grace_ms, 60000);
	refuses(e, grace_ms, 60001);
	accepts(e, hard_ms, UINT32_MAX);
	refuses(m, hard_ms, 1); /* it blocks anyway */
	accepts(e, first_epoch, QKD_SPI_EPOCHS - 1);
	refuses(e, first_epoch, QKD_SPI_EPOCHS);
	refuses(e, first_epoch, QKD_EPOCH_NONE);
	accepts(e, tag[15], 1);
	refuses(e, reserved32, 1);
	refuses(e, reserved[0], 1);
	refuses(e, reserved[6], 1ULL << 63);
}

static void limits(void **state)
{
	struct qkd_channel e = esp();

	accepts(e, jitter_ms, e.rollover_ms / 2);
	refuses(e, jitter_ms, e.rollover_ms / 2 + 1);
	accepts(e, soft_bytes, QKD_SOFT_BYTES_MIN);
	refuses(e, soft_bytes, QKD_SOFT_BYTES_MIN - 1);
	refuses(e, hard_bytes, QKD_SOFT_BYTES_MIN); /* no soft one before it */
	e.soft_bytes = QKD_SOFT_BYTES_MIN;
	accepts(e, hard_bytes, QKD_SOFT_BYTES_MIN + 1);
	refuses(e, hard_bytes, QKD_SOFT_BYTES_MIN);
	accepts(e, soft_packets, QKD_SOFT_PACKETS_MIN);
	refuses(e, soft_packets, QKD_SOFT_PACKETS_MIN - 1);
	refuses(e, hard_packets, UINT64_MAX);
	e.soft_packets = UINT64_MAX - 1;
	accepts(e, hard_packets, UINT64_MAX);
	refuses(e, hard_packets, e.soft_packets);
}

static void esp_channel(void **state)
{
	struct qkd_channel e = esp();

	accepts(e, cipher, QKD_CIPHER_CHACHA20_POLY1305);
	refuses(e, cipher, QKD_CIPHER_GCM_AES_256);
	refuses(e, cipher, 0);
	accepts(e, flags, 0);
	refuses(e, flags, QKD_CHANNEL_SSCI_1);
	refuses(e, flags, 1U << 31);
	accepts(e, lookahead, 1);
	refuses(e, lookahead, 0);
	accepts(e, lookahead, QKD_MAX_LOOKAHEAD);
	refuses(e, lookahead, QKD_MAX_LOOKAHEAD + 1);
	refuses(e, reqid, 0);
	accepts(e, if_id, 7);
	refuses(e, mark, 1);
	accepts(e, mark_mask, 0xff);
	accepts(e, replay_window, 1);
	refuses(e, replay_window, 0);
	accepts(e, replay_window, 4096);
	refuses(e, replay_window, 4097);
	refuses(e, ifindex, 1);
	refuses(e, sci_peer[7], 1);
	accepts(e, spi_key[0], 1);
}

static void esp_addresses(void **state)
{
	struct qkd_channel e = esp();

	refuses(e, family, 0);
	refuses(e, family, 1);
	refuses(e, family, 0xffff);
	refuses(e, local[0], 0);
	refuses(e, local[0], 224);
	refuses(e, remote[0], 255);
	refuses(e, local[4], 1);
	refuses(e, remote[15], 1);
	refuses(e, local[3], 2); /* both the same */
	e.family = AF_INET6;
	accepts(e, local[4], 1);
	accepts(e, remote[15], 1);
	refuses(e, remote[0], 0xff); /* multicast */
	memset(e.remote, 0, sizeof(e.remote));
	assert_int_equal(add(&e), -EINVAL);
}

static void macsec_channel(void **state)
{
	struct qkd_channel m = macsec();

	refuses(m, cipher, QKD_CIPHER_AES_256_GCM);
	refuses(m, cipher, QKD_CIPHER_GCM_AES_256); /* has no SSCI */
	m.flags = 0;
	accepts(m, cipher, QKD_CIPHER_GCM_AES_256);
	refuses(m, flags, QKD_CHANNEL_ESN);
	refuses(m, ifindex, 0);
	refuses(m, ifindex, -1);
	memset(m.sci_peer, 0, sizeof(m.sci_peer));
	refuses(m, sci_peer[0], 0);
	accepts(m, sci_peer[7], 1);
	m = macsec();
	refuses(m, lookahead, QKD_MAX_LOOKAHEAD_MACSEC + 1);
	refuses(m, grace_ms, 1000);
	refuses(m, family, AF_INET);
	refuses(m, reqid, 1);
	refuses(m, if_id, 1);
	refuses(m, mark_mask, 1);
	refuses(m, replay_window, 1);
	refuses(m, spi_key[15], 1);
	refuses(m, local[0], 1);
	refuses(m, remote[0], 1);
}

static void channel_name(void **state)
{
	struct qkd_channel e = esp();

	memset(e.name, 'x', sizeof(e.name));
	assert_int_equal(add(&e), -EINVAL); /* not ended */
	e.name[sizeof(e.name) - 1] = '\0';
	assert_int_equal(add(&e), 0);
	refuses(e, name[3], '\033');
	refuses(e, name[3], '\0'); /* not padded */
	refuses(e, name[3], 0x7f);
	accepts(e, name[3], (char)0xc3);
	memset(e.name, 0, sizeof(e.name));
	assert_int_equal(add(&e), 0);
}

static void channel_delete_and_list(void **state)
{
	struct qkd_channel r = {.id = 1};
	size_t i;

	assert_int_equal(qkd_record_check_channel_delete(&r), 0);
	assert_int_equal(qkd_record_check_channel_list(&r), 0);
	r.status = -EINVAL; /* of the time before */
	assert_int_equal(qkd_record_check_channel_delete(&r), 0);
	for (i = offsetof(struct qkd_channel, kind); i < sizeof(r); i++) {
		((__u8 *)&r)[i] = 1;
		assert_int_equal(qkd_record_check_channel_delete(&r), -EINVAL);
		assert_int_equal(qkd_record_check_channel_list(&r), -EINVAL);
		((__u8 *)&r)[i] = 0;
	}
	memset(&r, 0, sizeof(r));
	assert_int_equal(qkd_record_check_channel_delete(&r), -EINVAL);
	assert_int_equal(qkd_record_check_channel_list(&r), 0);
}

static struct qkd_key key(void)
{
	struct qkd_key r = {.channel = 1};

	memset(r.in.key, 1, sizeof(r.in.key));
	memset(r.out.key, 2, sizeof(r.out.key));
	return r;
}

static void key_material(void **state)
{
	struct qkd_key good = key(), r = good;

	assert_int_equal(qkd_record_check_key(&r), 0);
	r.channel = 0;
	assert_int_equal(qkd_record_check_key(&r), -EINVAL);
	r = good;
	r.in.reserved = 1;
	assert_int_equal(qkd_record_check_key(&r), -EINVAL);
	r = good;
	r.out.reserved = 1;
	assert_int_equal(qkd_record_check_key(&r), -EINVAL);
	r = good;
	memset(r.in.key, 0, sizeof(r.in.key));
	assert_int_equal(qkd_record_check_key(&r), -EINVAL);
	r.in.key[31] = 1;
	assert_int_equal(qkd_record_check_key(&r), 0);
	memset(r.out.key, 0, sizeof(r.out.key));
	assert_int_equal(qkd_record_check_key(&r), -EINVAL);
	memcpy(r.out.key, r.in.key, sizeof(r.out.key));
	assert_int_equal(qkd_record_check_key(&r), -EINVAL);
	r.out.key[0] ^= 0x80;
	assert_int_equal(qkd_record_check_key(&r), 0);
}

/* A salt longer than the cipher's must not be cut in silence. */
static void key_salt(void **state)
{
	static const struct {
		__u8 cipher;
		size_t len;
	} ciphers[] = {
		{QKD_CIPHER_AES_256_GCM, QKD_ESP_SALT_BYTES},
		{QKD_CIPHER_CHACHA20_POLY1305, QKD_ESP_SALT_BYTES},
		{QKD_CIPHER_GCM_AES_256, 0},
		{QKD_CIPHER_GCM_AES_XPN_256, QKD_SALT_BYTES},
	};
	size_t i, j;

	for (i = 0; i < 4; i++) {
		for (j = 0; j < QKD_SALT_BYTES; j++) {
			struct qkd_key in = key(), out = key();
			int expected = j < ciphers[i].len ? 0 : -EINVAL;

			in.in.salt[j] = 1;
			out.out.salt[j] = 1;
			assert_int_equal(qkd_record_check_salt(&in, ciphers[i].cipher), expected);
			assert_int_equal(qkd_record_check_salt(&out, ciphers[i].cipher), expected);
		}
	}
}

static void watermark(void **state)
{
	struct qkd_watermark r = {.channel = 1, .first = 3, .last = 3};

	assert_int_equal(qkd_record_check_watermark(&r), 0);
	r.flags = QKD_WATERMARK_NONE;
	assert_int_equal(qkd_record_check_watermark(&r), 0);
	r.flags |= 2;
	assert_int_equal(qkd_record_check_watermark(&r), -EINVAL);
	r.flags = 0;
	r.reserved32 = 1;
	assert_int_equal(qkd_record_check_watermark(&r), -EINVAL);
	r.reserved32 = 0;
	r.reserved[1] = 1;
	assert_int_equal(qkd_record_check_watermark(&r), -EINVAL);
	r.reserved[1] = 0;
	r.channel = 0;
	assert_int_equal(qkd_record_check_watermark(&r), -EINVAL);
}

static void the_rest(void **state)
{
	struct qkd_hello hello = {0};
	struct qkd_rollover rollover = {.channel = 1};
	struct qkd_retire gone = {.channel = 1};
	struct qkd_counters counters = {.channel = 1};
	struct qkd_epoch epoch = {.channel = 1};

	assert_int_equal(qkd_record_check_hello(&hello), 0);
	assert_int_equal(qkd_record_check_rollover(&rollover), 0);
	assert_int_equal(qkd_record_check_retire(&gone), 0);
	assert_int_equal(qkd_record_check_counters(&counters), 0);
	assert_int_equal(qkd_record_check_epoch_list(&epoch), 0);
	rollover.epoch = 1;
	epoch.reserved8 = 1;
	assert_int_equal(qkd_record_check_rollover(&rollover), -EINVAL);
	assert_int_equal(qkd_record_check_epoch_list(&epoch), -EINVAL);
	rollover.epoch = 0;
	epoch.reserved8 = 0;
	epoch.reserved32 = 1;
	assert_int_equal(qkd_record_check_epoch_list(&epoch), -EINVAL);
	epoch.reserved32 = 0;
	hello.reserved[3] = rollover.reserved[1] = gone.reserved[1] = 1;
	counters.reserved[4] = epoch.reserved[1] = 1;
	assert_int_equal(qkd_record_check_hello(&hello), -EINVAL);
	assert_int_equal(qkd_record_check_rollover(&rollover), -EINVAL);
	assert_int_equal(qkd_record_check_retire(&gone), -EINVAL);
	assert_int_equal(qkd_record_check_counters(&counters), -EINVAL);
	assert_int_equal(qkd_record_check_epoch_list(&epoch), -EINVAL);
}

/* 32 and 64-bit programs see the same records: no holes, sizes frozen. */
static void layout(void **state)
{
	assert_int_equal(sizeof(struct qkd_cmd), 16);
	assert_int_equal(sizeof(struct qkd_hello), 64);
	assert_int_equal(sizeof(struct qkd_channel), 264);
	assert_int_equal(sizeof(struct qkd_key), 128);
	assert_int_equal(sizeof(struct qkd_watermark), 56);
	assert_int_equal(sizeof(struct qkd_rollover), 32);
	assert_int_equal(sizeof(struct qkd_retire), 32);
	assert_int_equal(sizeof(struct qkd_counters), 216);
	assert_int_equal(sizeof(struct qkd_epoch), 96);
	assert_int_equal(sizeof(struct qkd_event), 56);
	assert_int_equal(offsetof(struct qkd_channel, first_epoch), 112);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(channel_of_both_kinds),
		cmocka_unit_test(limits),
		cmocka_unit_test(esp_channel),
		cmocka_unit_test(esp_addresses),
		cmocka_unit_test(macsec_channel),
		cmocka_unit_test(channel_name),
		cmocka_unit_test(channel_delete_and_list),
		cmocka_unit_test(key_material),
		cmocka_unit_test(key_salt),
		cmocka_unit_test(watermark),
		cmocka_unit_test(the_rest),
		cmocka_unit_test(layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
