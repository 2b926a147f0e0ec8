// SPDX-License-Identifier: GPL-2.0-or-later
/* Fingerprints of channels: equal from both sides, different where it matters. */
#include "unp/digest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

static char *a_nets[] = {"10.1.0.0/16", "2001:db8:1::/48"};
static char *b_nets[] = {"10.2.0.0/16", "2001:db8:2::/48", "10.9.9.0/24"};
static struct config_esp esp_a, esp_b;
static struct config_channel a, b;

static int setup(void **state)
{
	esp_a = (struct config_esp){
		.local = "192.0.2.1",
		.remote = "192.0.2.2",
		.local_nets = a_nets,
		.local_nets_count = 2,
		.remote_nets = b_nets,
		.remote_nets_count = 3,
		.esn = true,
		.replay_window = 128,
	};
	esp_b = (struct config_esp){
		.local = "192.0.2.2",
		.remote = "192.0.2.1",
		.local_nets = b_nets,
		.local_nets_count = 3,
		.remote_nets = a_nets,
		.remote_nets_count = 2,
		.esn = true,
		.replay_window = 64,
	};
	a = (struct config_channel){
		.name = "office",
		.link = "x",
		.kind = QKD_KIND_ESP_TUNNEL,
		.cipher = QKD_CIPHER_AES_256_GCM,
		.rollover_ms = 1000,
		.lookahead = 4,
		.on_exhausted = QKD_EXHAUSTED_HOLD,
		.esp = &esp_a,
	};
	b = a;
	b.esp = &esp_b;
	return 0;
}

static bool equal(void)
{
	uint8_t da[16], db[16];

	assert_int_equal(digest_channel(&a, NULL, NULL, da), 0);
	assert_int_equal(digest_channel(&b, NULL, NULL, db), 0);
	return !memcmp(da, db, sizeof(da));
}

static void both_ends_see_the_same(void **state)
{
	char *shuffled[] = {"10.9.9.7/24", "10.2.255.0/16", "2001:db8:2::1/48"};

	assert_true(equal());
	/* Times, link name and what is each end's own business may differ. */
	b.rollover_ms = 60000;
	b.grace_ms = 5;
	b.lookahead = 9;
	b.hard_ms = 7;
	b.on_exhausted = QKD_EXHAUSTED_BLOCK;
	b.link = "y";
	esp_b.mark = 3;
	esp_b.mark_mask = 15;
	esp_b.if_id = 8;
	assert_true(equal());
	/* So may the order of networks, and host bits in them. */
	esp_a.remote_nets = shuffled;
	assert_true(equal());
}

#define DIFFERS(change)                                                                            \
	do {                                                                                       \
		setup(NULL);                                                                       \
		change;                                                                            \
		assert_false(equal());                                                             \
	} while (0)

static void what_must_agree(void **state)
{
	static char *short_net[] = {"10.1.0.0/17", "2001:db8:1::/48"};

	DIFFERS(b.name = "officf");
	DIFFERS(b.kind = QKD_KIND_ESP_TRANSPORT);
	DIFFERS(b.cipher = QKD_CIPHER_CHACHA20_POLY1305);
	DIFFERS(b.combine = CONFIG_COMBINE_QKD_TLS);
	DIFFERS(esp_b.esn = false);
	DIFFERS(esp_b.local = "192.0.2.3");
	DIFFERS(esp_b.remote = "192.0.2.3");
	DIFFERS(esp_b.local_nets_count = 2);
	DIFFERS(esp_b.remote_nets_count = 0);
	DIFFERS(esp_b.remote_nets = short_net);
	/* The networks belong to an end: swapped, they are another channel. */
	DIFFERS((esp_b.local_nets = a_nets, esp_b.local_nets_count = 2, esp_b.remote_nets = b_nets,
		 esp_b.remote_nets_count = 3));
}

static void unreadable_addresses_are_refused(void **state)
{
	uint8_t digest[16];

	esp_a.local = "192.0.2";
	assert_int_equal(digest_channel(&a, NULL, NULL, digest), -EINVAL);
	esp_a.local = "2001:db8::1";
	assert_int_equal(digest_channel(&a, NULL, NULL, digest), -EINVAL);
	a.esp = NULL;
	assert_int_equal(digest_channel(&a, NULL, NULL, digest), -EINVAL);
}

static void macsec_goes_by_the_pair_of_scis(void **state)
{
	static const uint8_t one[8] = {2, 0, 0, 0, 0, 1, 0, 1}, two[8] = {2, 0, 0, 0, 0, 2, 0, 1};
	static const uint8_t three[8] = {2, 0, 0, 0, 0, 2, 0, 2};
	uint8_t da[16], db[16];

	a.kind = QKD_KIND_MACSEC;
	a.cipher = QKD_CIPHER_GCM_AES_256;
	a.esp = NULL;
	assert_int_equal(digest_channel(&a, one, two, da), 0);
	assert_int_equal(digest_channel(&a, two, one, db), 0);
	assert_memory_equal(da, db, sizeof(da));
	assert_int_equal(digest_channel(&a, three, one, db), 0);
	assert_memory_not_equal(da, db, sizeof(da));
	assert_int_equal(digest_channel(&a, NULL, one, db), -EINVAL);
}

static void spi_keys_are_the_same_at_both_ends(void **state)
{
	static const uint8_t x[16] = {192, 0, 2, 1}, y[16] = {192, 0, 2, 2};
	uint8_t ka[16], kb[16];

	assert_int_equal(digest_spi_key("office", x, y, ka), 0);
	assert_int_equal(digest_spi_key("office", y, x, kb), 0);
	assert_memory_equal(ka, kb, sizeof(ka));
	assert_int_equal(digest_spi_key("officf", y, x, kb), 0);
	assert_memory_not_equal(ka, kb, sizeof(ka));
	assert_int_equal(digest_spi_key("office", x, x, kb), 0);
	assert_memory_not_equal(ka, kb, sizeof(ka));
}

/* Each octet of the record counts, but what changes while it stands. */
static void tags_cover_the_record(void **state)
{
	struct qkd_channel r;
	uint8_t first[16], tag[16];
	size_t i;

	memset(&r, 0, sizeof(r));
	assert_int_equal(digest_tag(&r, first), 0);
	for (i = 0; i < sizeof(r); i++) {
		bool same = i < 4 || i == offsetof(struct qkd_channel, state) ||
			    (i >= offsetof(struct qkd_channel, first_epoch) &&
			     i < offsetof(struct qkd_channel, name));

		((uint8_t *)&r)[i] = 1;
		assert_int_equal(digest_tag(&r, tag), 0);
		assert_int_equal(!memcmp(tag, first, sizeof(tag)), same);
		((uint8_t *)&r)[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(both_ends_see_the_same, setup),
		cmocka_unit_test_setup(what_must_agree, setup),
		cmocka_unit_test_setup(unreadable_addresses_are_refused, setup),
		cmocka_unit_test_setup(macsec_goes_by_the_pair_of_scis, setup),
		cmocka_unit_test_setup(spi_keys_are_the_same_at_both_ends, setup),
		cmocka_unit_test_setup(tags_cover_the_record, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
