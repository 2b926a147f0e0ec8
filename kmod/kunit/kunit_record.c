// SPDX-License-Identifier: GPL-2.0
/* What the kernel lets in, and what not. The unit tests have every field. */
#include <kunit/test.h>
#include <linux/module.h>
#include "../record.c"

static const struct qkd_channel esp = {
	.id = 1,
	.kind = QKD_KIND_ESP_TUNNEL,
	.cipher = QKD_CIPHER_AES_256_GCM,
	.on_exhausted = QKD_EXHAUSTED_HOLD,
	.lookahead = 4,
	.family = AF_INET,
	.rollover_ms = 1000,
	.grace_ms = 100,
	.reqid = 1,
	.replay_window = 64,
	.local = {10, 0, 0, 1},
	.remote = {10, 0, 0, 2},
	.name = "kunit",
};

static const struct qkd_channel macsec = {
	.id = 1,
	.kind = QKD_KIND_MACSEC,
	.cipher = QKD_CIPHER_GCM_AES_XPN_256,
	.on_exhausted = QKD_EXHAUSTED_BLOCK,
	.lookahead = 2,
	.rollover_ms = 1000,
	.grace_ms = 100,
	.ifindex = 3,
	.sci_peer = {2, 0, 0, 0, 0, 1, 0, 1},
};

static void good_channels(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, qkd_record_check_channel_add(&esp), 0);
	KUNIT_EXPECT_EQ(test, qkd_record_check_channel_add(&macsec), 0);
}

#define BAD(base, field, value)                                                                    \
	do {                                                                                       \
		struct qkd_channel r_ = base;                                                      \
		r_.field = (value);                                                                \
		KUNIT_EXPECT_EQ_MSG(test, qkd_record_check_channel_add(&r_), -EINVAL,              \
				    #base " with " #field " = " #value);                           \
	} while (0)

static void bad_channels(struct kunit *test)
{
	BAD(esp, id, 0);
	BAD(esp, kind, QKD_KIND_MACSEC);
	BAD(esp, cipher, QKD_CIPHER_GCM_AES_256);
	BAD(esp, lookahead, 0);
	BAD(esp, family, AF_PACKET);
	BAD(esp, ifindex, 1);
	BAD(esp, remote[3], 1);
	BAD(esp, name[QKD_NAME_BYTES - 1], 'x');
	BAD(macsec, cipher, QKD_CIPHER_AES_256_GCM);
	BAD(macsec, hard_ms, 1);
	BAD(macsec, reqid, 1);
	BAD(macsec, ifindex, -1);
	BAD(macsec, grace_ms, 1000);
}

static void keys(struct kunit *test)
{
	struct qkd_key r = {.channel = 1, .in.key = {1}, .out.key = {2}};

	KUNIT_EXPECT_EQ(test, qkd_record_check_key(&r), 0);
	KUNIT_EXPECT_EQ(test, qkd_record_check_salt(&r, QKD_CIPHER_AES_256_GCM), 0);
	r.in.salt[QKD_ESP_SALT_BYTES] = 1;
	KUNIT_EXPECT_EQ(test, qkd_record_check_salt(&r, QKD_CIPHER_AES_256_GCM), -EINVAL);
	KUNIT_EXPECT_EQ(test, qkd_record_check_salt(&r, QKD_CIPHER_GCM_AES_256), -EINVAL);
	KUNIT_EXPECT_EQ(test, qkd_record_check_salt(&r, QKD_CIPHER_GCM_AES_XPN_256), 0);
	r.out.key[0] = 1;
	KUNIT_EXPECT_EQ(test, qkd_record_check_key(&r), -EINVAL);
	r.out.key[0] = 0;
	KUNIT_EXPECT_EQ(test, qkd_record_check_key(&r), -EINVAL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(good_channels),
	KUNIT_CASE(bad_channels),
	KUNIT_CASE(keys),
	{},
};

static struct kunit_suite suite = {.name = "qkd_record", .test_cases = cases};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of qkd");
