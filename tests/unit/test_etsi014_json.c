// SPDX-License-Identifier: GPL-2.0-or-later
/* ETSI GS QKD 014: URLs, answers of KMEs good and bad, what we send. */
#include "quantum/etsi014.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID0  "bc490419-7d60-487f-adc1-4ddcc177c139"
#define ID1  "0a782fb5-3434-48fe-aa4d-14f41d46cf92"
#define KEY0 "wHHVxRwDJs3/bXd38GHP3oe4svTuRpZS0yCC7x4Ly+s="
#define KEY1 "OeGMPxh1+2RpJpNCYixWHFLYRubpOKCw94FcCI7VdJA="

static struct km_key keys[ETSI014_KEYS_MAX];
static size_t count;
static char text[256];

static int parse(const char *body, size_t max)
{
	text[0] = '\0';
	memset(keys, 0xcc, sizeof(keys));
	return etsi014_parse_keys((const uint8_t *)body, strlen(body), keys, max, &count, text,
				  sizeof(text));
}

/** The example of clause 6.3 of the standard's Annex, both keys. */
static void test_keys(void **state)
{
	char id[KM_KEY_ID_TEXT];

	assert_int_equal(parse("{\"keys\":[{\"key_ID\":\"" ID0 "\",\"key\":\"" KEY0
			       "\"},{\"key_ID\":\"" ID1 "\",\"key\":\"" KEY1 "\"}]}",
			       2),
			 0);
	assert_int_equal(count, 2);
	km_key_id_format(&keys[0].id, id);
	assert_string_equal(id, ID0);
	km_key_id_format(&keys[1].id, id);
	assert_string_equal(id, ID1);
	assert_int_equal(keys[0].value[0], 0xc0);
	assert_int_equal(keys[0].value[1], 0x71);
	assert_int_equal(keys[0].value[31], 0xeb);
	assert_int_equal(keys[1].value[0], 0x39);
	assert_int_equal(keys[1].value[31], 0x90);
	assert_false(keys[0].simulated);
	assert_int_equal(parse("{\"keys\":[]}", 2), 0);
	assert_int_equal(count, 0);
	/* Unknown members are not ours to refuse. */
	assert_int_equal(parse(" {\"x\":[1,{\"y\":null}], \"keys\":[{\"key\":\"" KEY0
			       "\", \"key_ID\":\"" ID0 "\", \"key_ID_extension\":{}}]} ",
			       1),
			 0);
}

static void test_base64(void **state)
{
	/* All 64 digits, in both halves. */
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char body[200], key[45];

	for (int offset = 0; offset < 64; offset++) {
		uint8_t expected[33];
		uint32_t bits = 0;

		for (int i = 0; i < 44; i++) {
			int d = (i * 5 + offset) % 64;

			if (i == 42)
				d &= ~3; /* canonical: unused bits are zero */
			if (i == 43)
				d = 0;
			key[i] = i == 43 ? '=' : digits[d];
			bits = bits << 6 | (uint32_t)d;
			if (i % 4 == 3) {
				expected[i / 4 * 3] = (uint8_t)(bits >> 16);
				expected[i / 4 * 3 + 1] = (uint8_t)(bits >> 8);
				expected[i / 4 * 3 + 2] = (uint8_t)bits;
			}
		}
		key[44] = '\0';
		snprintf(body, sizeof(body), "{\"keys\":[{\"key_ID\":\"" ID0 "\",\"key\":\"%s\"}]}",
			 key);
		assert_int_equal(parse(body, 1), 0);
		assert_memory_equal(keys[0].value, expected, 32);
	}
	/* And no other octet in any place. */
	for (int c = 1; c < 256; c++) {
		if (strchr(digits, c) || c == '"' || c == '\\')
			continue;
		for (int at = 0; at < 43; at += 6) {
			strcpy(key, KEY0);
			key[at] = (char)c;
			snprintf(body, sizeof(body),
				 "{\"keys\":[{\"key_ID\":\"" ID0 "\",\"key\":\"%s\"}]}", key);
			assert_int_equal(parse(body, 1), -EPROTO);
		}
	}
}

static void test_simulated(void **state)
{
#define ONE(extra) "{\"keys\":[{\"key_ID\":\"" ID0 "\",\"key\":\"" KEY0 "\"" extra "}]"
	assert_int_equal(parse(ONE(",\"key_extension\":{\"qkdsim_simulated\":true}") "}", 1), 0);
	assert_true(keys[0].simulated);
	assert_int_equal(parse(ONE(",\"key_extension\":{\"qkdsim_simulated\":false}") "}", 1), 0);
	assert_false(keys[0].simulated);
	assert_int_equal(parse(ONE(",\"key_extension\":{\"qkdsim_simulated\":\"true\"}") "}", 1),
			 0);
	assert_false(keys[0].simulated);
	assert_int_equal(parse(ONE(",\"key_extension\":{\"_simulated\":true}") "}", 1), 0);
	assert_false(keys[0].simulated); /* no vendor prefix */
	assert_int_equal(parse(ONE("") ",\"key_container_extension\":{\"x_simulated\":true}}", 1),
			 0);
	assert_true(keys[0].simulated);
	assert_int_equal(parse(ONE(",\"key_extension\":[]") "}", 1), -EPROTO);
	assert_string_equal(text, "keys[0].key_extension is no object");
	assert_int_equal(parse(ONE("") ",\"key_container_extension\":1}", 1), -EPROTO);
}

static void test_malformed(void **state)
{
	static const struct {
		const char *body;
		const char *complaint;
	} bad[] = {
		{"", "is no JSON"},
		{"{", "is no JSON"},
		{"null", "is no JSON"},
		{"[]", "is no JSON object"},
		{"{}", "keys is missing"},
		{"{\"keys\":{}}", "keys is no array"},
		{"{\"keys\":[1]}", "keys[0] is no object"},
		{"{\"keys\":[{}]}", "keys[0].key_ID is missing"},
		{"{\"keys\":[{\"key_ID\":5}]}", "keys[0].key_ID is no string"},
		{"{\"keys\":[{\"key_ID\":\"5\"}]}", "keys[0].key_ID is no UUID"},
		{"{\"keys\":[{\"key_ID\":\"" ID0 "\\u0000\"}]}", "is no JSON"},
		{"{\"keys\":[{\"key_ID\":\"" ID0 "\"}]}", "keys[0].key is missing"},
		{"{\"keys\":[{\"key_ID\":\"" ID0 "\",\"key\":[]}]}", "keys[0].key is no string"},
		{"{\"keys\":[{\"key_ID\":\"" ID0 "\",\"key\":\"\"}]}", "not the base64 of 32"},
		/* 16 octets; 33 octets; no padding; unused bits; blanks; URL-safe. */
		{"{\"keys\":[{\"key_ID\":\"" ID0 "\",\"key\":\"wHHVxRwDJs3/bXd38GHP3g==\"}]}",
		 "not the base64 of 32"},
		{"{\"keys\":[{\"key_ID\":\"" ID0
		 "\",\"key\":\"wHHVxRwDJs3/bXd38GHP3oe4svTuRpZS0yCC7x4Ly+vA\"}]}",
		 "not the base64 of 32"},
		{"{\"keys\":[{\"key_ID\":\"" ID0
		 "\",\"key\":\"wHHVxRwDJs3/bXd38GHP3oe4svTuRpZS0yCC7x4Ly+s\"}]}",
		 "not the base64 of 32"},
		{"{\"keys\":[{\"key_ID\":\"" ID0
		 "\",\"key\":\"wHHVxRwDJs3/bXd38GHP3oe4svTuRpZS0yCC7x4Ly+t=\"}]}",
		 "not the base64 of 32"},
		{"{\"keys\":[{\"key_ID\":\"" ID0
		 "\",\"key\":\" HHVxRwDJs3/bXd38GHP3oe4svTuRpZS0yCC7x4Ly+s=\"}]}",
		 "not the base64 of 32"},
		{"{\"keys\":[{\"key_ID\":\"" ID0
		 "\",\"key\":\"wHHVxRwDJs3_bXd38GHP3oe4svTuRpZS0yCC7x4Ly-s=\"}]}",
		 "not the base64 of 32"},
		{"{\"keys\":[{\"key_ID\":\"" ID0 "\",\"key\":\"" KEY0 "\"},{\"key_ID\":\"" ID0
		 "\",\"key\":\"" KEY1 "\"}]}",
		 "keys[1].key_ID repeats keys[0]"},
		{"{\"keys\":[],\"keys\":[]}", "is no JSON"},
		{"{\"keys\":[{},{},{}]}", "keys has 3 entries, 2 were asked for"},
		{"{\"keys\":[]} x", "is no JSON"},
		{"{\"keys\":[\xff]}", "is no JSON"},
		{"{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}", "nests deeper than 16"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int err = parse(bad[i].body, 2);

		if (err != -EPROTO || !strstr(text, bad[i].complaint))
			fail_msg("%s: %d \"%s\" lacks \"%s\"", bad[i].body, err, text,
				 bad[i].complaint);
		assert_int_equal(count, 0);
		for (size_t j = 0; j < sizeof(struct km_key) * 2; j++)
			assert_int_equal(((uint8_t *)keys)[j], 0);
		/* A complaint never quotes the text: it may be a key. */
		assert_null(strstr(text, "wHHV"));
	}
}

/** Brackets in strings do not count, and a deep answer is not parsed at all. */
static void test_depth(void **state)
{
	char *deep = malloc(ETSI014_BODY_MAX + 2);

	assert_int_equal(parse("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[{{{{{{\\\"[[[[[\",\"keys\":[]}", 1),
			 0);
	assert_non_null(deep);
	memset(deep, '[', ETSI014_BODY_MAX);
	deep[ETSI014_BODY_MAX] = '\0';
	assert_int_equal(parse(deep, 1), -EPROTO);
	assert_non_null(strstr(text, "nests deeper"));
	memset(deep, ' ', ETSI014_BODY_MAX + 1);
	deep[ETSI014_BODY_MAX + 1] = '\0';
	assert_int_equal(parse(deep, 1), -EPROTO);
	assert_non_null(strstr(text, "at most 262144"));
	free(deep);
}

static int status(const char *body, struct etsi014_status *parsed)
{
	return etsi014_parse_status((const uint8_t *)body, strlen(body), parsed, text,
				    sizeof(text));
}

static void test_status(void **state)
{
	struct etsi014_status parsed;

	assert_int_equal(
		status("{\"source_KME_ID\":\"A\",\"target_KME_ID\":\"B\",\"master_SAE_ID\":\"M\","
		       "\"slave_SAE_ID\":\"S\",\"key_size\":352,\"stored_key_count\":25000,"
		       "\"max_key_count\":100000,\"max_key_per_request\":128,"
		       "\"max_key_size\":1024,\"min_key_size\":64,\"max_SAE_ID_count\":0}",
		       &parsed),
		0);
	assert_int_equal(parsed.key_size, 352);
	assert_int_equal(parsed.stored_key_count, 25000);
	assert_int_equal(parsed.max_key_per_request, 128);
	assert_false(parsed.simulated);
	assert_true(parsed.qber < 0 && parsed.skr_bps < 0);
	assert_int_equal(status("{\"status_extension\":{\"qkdsim_simulated\":true,"
				"\"qkdsim_qber\":0.021,\"qkdsim_skr_bps\":12000}}",
				&parsed),
			 0);
	assert_true(parsed.simulated);
	assert_true(parsed.qber > 0.0209 && parsed.qber < 0.0211);
	assert_true(parsed.skr_bps > 11999 && parsed.skr_bps < 12001);
	assert_int_equal(status("{\"stored_key_count\":-1}", &parsed), -EPROTO);
	assert_string_equal(text, "status: stored_key_count is no integer from 0 up");
	assert_int_equal(status("{\"max_key_per_request\":\"5\"}", &parsed), -EPROTO);
	assert_int_equal(status("{\"key_size\":1.5}", &parsed), -EPROTO);
	assert_int_equal(status("{\"key_size\":99999999999999999999}", &parsed), -EPROTO);
	assert_int_equal(status("{\"max_key_size\":128}", &parsed), -EPROTO);
	assert_string_equal(text, "status: max_key_size is 128 bits, but keys of 256 are needed");
	assert_int_equal(status("{\"min_key_size\":512}", &parsed), -EPROTO);
	assert_int_equal(status("{\"status_extension\":true}", &parsed), -EPROTO);
}

static void test_error(void **state)
{
	static const char body[] = "{\"message\":\"size shall be\\n a multiple of 8\"}";
	char message[64];

	etsi014_parse_error((const uint8_t *)body, strlen(body), message, sizeof(message));
	assert_string_equal(message, "size shall be? a multiple of 8");
	etsi014_parse_error((const uint8_t *)body, strlen(body), message, 5);
	assert_string_equal(message, "size");
	etsi014_parse_error((const uint8_t *)"<html>", 6, message, sizeof(message));
	assert_string_equal(message, "");
	etsi014_parse_error((const uint8_t *)"{\"message\":3}", 13, message, sizeof(message));
	assert_string_equal(message, "");
	etsi014_parse_error(NULL, 0, message, sizeof(message));
	assert_string_equal(message, "");
}

static void test_requests(void **state)
{
	struct km_key_id ids[ETSI014_KEYS_MAX];
	char body[ETSI014_KEY_IDS_SIZE(ETSI014_KEYS_MAX)];
	json_t *root;
	int len;

	len = etsi014_write_key_request(12, body, sizeof(body));
	assert_string_equal(body, "{\"number\":12,\"size\":256}");
	assert_int_equal(len, strlen(body));
	assert_int_equal(km_key_id_parse(ID0, &ids[0]), 0);
	assert_int_equal(km_key_id_parse(ID1, &ids[1]), 0);
	len = etsi014_write_key_ids(ids, 2, body, sizeof(body));
	assert_string_equal(body,
			    "{\"key_IDs\":[{\"key_ID\":\"" ID0 "\"},{\"key_ID\":\"" ID1 "\"}]}");
	assert_int_equal(len, strlen(body));
	memset(ids, 0xab, sizeof(ids));
	len = etsi014_write_key_ids(ids, ETSI014_KEYS_MAX, body, sizeof(body));
	assert_true(len > 0 && len < (int)sizeof(body));
	root = json_loadb(body, (size_t)len, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(root, "key_IDs")), ETSI014_KEYS_MAX);
	json_decref(root);
	assert_int_equal(etsi014_write_key_ids(ids, 2, body, 100), -ENOSPC);
}

static void test_url(void **state)
{
	static const struct {
		const char *text;
		const char *host;
		uint16_t port;
	} good[] = {
		{"https://kme-a.example", "kme-a.example", 443},
		{"https://kme-a.example/", "kme-a.example", 443},
		{"https://192.0.2.1:8443", "192.0.2.1", 8443},
		{"https://[2001:db8::1]:8443/", "2001:db8::1", 8443},
		{"https://[::1]", "::1", 443},
		{"https://k:65535", "k", 65535},
	};
	static const char *const bad[] = {
		"",
		"http://kme",
		"https://",
		"https:///",
		"https://kme/api/v1",
		"https://user@kme",
		"https://kme:",
		"https://kme:0",
		"https://kme:65536",
		"https://kme:99999999999999999999",
		"https://kme:8443x",
		"https://kme:8443/x",
		"https://[::1",
		"https://[kme]",
		"https://::1",
		"https://kme?x",
		"https://kme name",
	};
	struct etsi014_url url;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(etsi014_url_parse(good[i].text, &url, text, sizeof(text)), 0);
		assert_string_equal(url.host, good[i].host);
		assert_int_equal(url.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		text[0] = '\0';
		if (etsi014_url_parse(bad[i], &url, text, sizeof(text)) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		assert_true(text[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),	  cmocka_unit_test(test_base64),
		cmocka_unit_test(test_simulated), cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_depth),	  cmocka_unit_test(test_status),
		cmocka_unit_test(test_error),	  cmocka_unit_test(test_requests),
		cmocka_unit_test(test_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
