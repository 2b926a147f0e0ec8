// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Derivation of an epoch's material. The expected octets were computed apart
 * from this code, by Python's hmac and by
 *
 *   openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:0020010203...1f20 \
 *       -kdfopt hexsalt:00...00 -kdfopt hexinfo:716b646b65796420...01010101 HKDF
 */
#include "unp/derive.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint8_t key[QKD_KEY_BYTES];
static uint8_t secret[DERIVE_SECRET_BYTES];
static struct derive esp;
static struct derive xpn;

static int setup(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i + 1);
	for (i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i + 0x80);
	esp = (struct derive){
		.channel = "site-a-b",
		.epoch = 0x0102030405,
		.cipher = QKD_CIPHER_AES_256_GCM,
		.combine = CONFIG_COMBINE_QKD,
		.initiator = true,
	};
	xpn = (struct derive){
		.channel = "ring",
		.epoch = 7,
		.cipher = QKD_CIPHER_GCM_AES_XPN_256,
		.combine = CONFIG_COMBINE_QKD_TLS,
		.initiator = true,
		.secret = secret,
	};
	return 0;
}

static void assert_hex(const void *octets, const char *hex)
{
	const uint8_t *p = octets;
	char text[2 * QKD_KEY_BYTES + 1] = "";
	size_t i;

	for (i = 0; i < strlen(hex) / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", p[i]);
	assert_string_equal(text, hex);
}

static void assert_zero(const void *octets, size_t len)
{
	static const uint8_t zero[sizeof(struct qkd_material)];

	assert_memory_equal(octets, zero, len);
}

static void known_answers_esp(void **state)
{
	struct qkd_material in, out;

	assert_int_equal(derive_material(&esp, key, sizeof(key), &in, &out), 0);
	assert_hex(out.key, "fadac4bbb9f8fff41d4a0657ef1c472c8228974f03e3cb57204d96c966a957c9");
	assert_hex(out.salt, "763ec1c5");
	assert_hex(in.key, "e43f4fe5ca324fb54fb82ad4c635ee71ffe5375aa64c3e19ec3ca3e32ad84c00");
	assert_hex(in.salt, "52675b64");
	/* The module refuses salts longer than the cipher's. */
	assert_zero(out.salt + QKD_ESP_SALT_BYTES, QKD_SALT_BYTES - QKD_ESP_SALT_BYTES);
	assert_zero(in.salt + QKD_ESP_SALT_BYTES, QKD_SALT_BYTES - QKD_ESP_SALT_BYTES);
	assert_int_equal(out.reserved, 0);
	assert_int_equal(in.reserved, 0);
}

static void known_answers_xpn_with_tls(void **state)
{
	struct qkd_material in, out;

	assert_int_equal(derive_material(&xpn, key, sizeof(key), &in, &out), 0);
	assert_hex(out.key, "f6231eb9e6ccb487fe03b7f501aba5072b1554819669b1e35f547253f6b059a5");
	assert_hex(out.salt, "77f69891098586f74c116c8f");
	assert_hex(in.key, "715981af25f34d3f5944fd24b587ba466e81834dc0b14b2b1c277f1f910fa99a");
	assert_hex(in.salt, "010bc64da868fc2c0ef173c3");
}

static void macsec_without_xpn_has_no_salt(void **state)
{
	struct qkd_material in, out;

	xpn.cipher = QKD_CIPHER_GCM_AES_256;
	assert_int_equal(derive_material(&xpn, key, sizeof(key), &in, &out), 0);
	assert_zero(in.salt, sizeof(in.salt));
	assert_zero(out.salt, sizeof(out.salt));
}

/* What one end sends with is what the other receives with, and nothing else. */
static void the_ends_mirror_each_other(void **state)
{
	static const enum qkd_cipher cipher[] = {
		QKD_CIPHER_AES_256_GCM,
		QKD_CIPHER_CHACHA20_POLY1305,
		QKD_CIPHER_GCM_AES_256,
		QKD_CIPHER_GCM_AES_XPN_256,
	};
	struct qkd_material a_in, a_out, b_in, b_out;
	size_t i;

	for (i = 0; i < sizeof(cipher) / sizeof(cipher[0]); i++) {
		xpn.cipher = cipher[i];
		xpn.initiator = true;
		assert_int_equal(derive_material(&xpn, key, sizeof(key), &a_in, &a_out), 0);
		xpn.initiator = false;
		assert_int_equal(derive_material(&xpn, key, sizeof(key), &b_in, &b_out), 0);
		assert_memory_equal(&a_in, &b_out, sizeof(a_in));
		assert_memory_equal(&a_out, &b_in, sizeof(a_out));
		assert_memory_not_equal(a_in.key, a_out.key, sizeof(a_in.key));
	}
}

/* Everything that the key is bound to changes it. */
static void each_parameter_counts(void **state)
{
	static const uint8_t other_secret[DERIVE_SECRET_BYTES] = {1};
	struct derive variant[6];
	struct qkd_material first, out, in;
	uint8_t other_key[QKD_KEY_BYTES];
	size_t i;

	for (i = 0; i < 6; i++)
		variant[i] = xpn;
	variant[0].channel = "rinh";
	variant[1].epoch++;
	variant[2].cipher = QKD_CIPHER_GCM_AES_256;
	variant[3].combine = CONFIG_COMBINE_QKD;
	variant[3].secret = NULL;
	variant[4].initiator = false;
	variant[5].secret = other_secret;
	assert_int_equal(derive_material(&xpn, key, sizeof(key), &in, &first), 0);
	for (i = 0; i < 6; i++) {
		assert_int_equal(derive_material(&variant[i], key, sizeof(key), &in, &out), 0);
		assert_memory_not_equal(out.key, first.key, sizeof(out.key));
	}
	memcpy(other_key, key, sizeof(key));
	other_key[31] ^= 1;
	assert_int_equal(derive_material(&xpn, other_key, sizeof(other_key), &in, &out), 0);
	assert_memory_not_equal(out.key, first.key, sizeof(out.key));
}

static void refused(const struct derive *derive, const uint8_t *octets, size_t len, int err)
{
	struct qkd_material in, out;

	memset(&in, 0xaa, sizeof(in));
	memset(&out, 0xaa, sizeof(out));
	assert_int_equal(derive_material(derive, octets, len, &in, &out), err);
	assert_zero(&in, sizeof(in));
	assert_zero(&out, sizeof(out));
}

static void bad_keys_are_refused(void **state)
{
	static const uint8_t zero[64];
	static const uint8_t longer[64] = {1};

	refused(&esp, NULL, 0, -EKEYREJECTED);
	refused(&esp, key, 0, -EKEYREJECTED);
	refused(&esp, key, 31, -EKEYREJECTED);
	refused(&esp, longer, 33, -EKEYREJECTED);
	refused(&esp, zero, 32, -EKEYREJECTED);
}

/* Nothing falls back to one input where two are asked for. */
static void bad_secrets_are_refused(void **state)
{
	static const uint8_t zero[DERIVE_SECRET_BYTES];

	xpn.secret = NULL;
	refused(&xpn, key, sizeof(key), -EKEYREJECTED);
	xpn.secret = zero;
	refused(&xpn, key, sizeof(key), -EKEYREJECTED);
	esp.secret = secret;
	refused(&esp, key, sizeof(key), -EKEYREJECTED);
}

static void bad_parameters_are_refused(void **state)
{
	esp.channel = "a name that is longer than 31 oct";
	refused(&esp, key, sizeof(key), -EINVAL);
	esp.channel = "";
	refused(&esp, key, sizeof(key), -EINVAL);
	esp.channel = NULL;
	refused(&esp, key, sizeof(key), -EINVAL);
	esp.channel = "x";
	esp.cipher = (enum qkd_cipher)9;
	refused(&esp, key, sizeof(key), -EINVAL);
	esp.cipher = QKD_CIPHER_AES_256_GCM;
	esp.combine = (enum config_combine)7;
	refused(&esp, key, sizeof(key), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(known_answers_esp, setup),
		cmocka_unit_test_setup(known_answers_xpn_with_tls, setup),
		cmocka_unit_test_setup(macsec_without_xpn_has_no_salt, setup),
		cmocka_unit_test_setup(the_ends_mirror_each_other, setup),
		cmocka_unit_test_setup(each_parameter_counts, setup),
		cmocka_unit_test_setup(bad_keys_are_refused, setup),
		cmocka_unit_test_setup(bad_secrets_are_refused, setup),
		cmocka_unit_test_setup(bad_parameters_are_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
