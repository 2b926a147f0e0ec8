// SPDX-License-Identifier: GPL-2.0-or-later
/* ETSI GS QKD 014 data formats, by jansson. */
#include "quantum/etsi014_json.h"

#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Base64 of 32 octets: 43 digits and one '='. */
#define KEY_TEXT_BYTES 44

/** Where the sentence for a person goes. */
struct report {
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int malformed(struct report *report,
							   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(report->text, report->size, format, args);
	va_end(args);
	return -EPROTO;
}

/* -------- JSON -------- */

static void wipe_and_free(void *block)
{
	if (block)
		OPENSSL_cleanse(block, malloc_usable_size(block));
	free(block);
}

/** Both functions are the C library's but for the wiping: no order of calls matters. */
static void set_allocator(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
}

/** Whether brackets nest deeper than ETSI014_DEPTH; jansson's own limit is 2048. */
static bool too_deep(const uint8_t *body, size_t len)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (body[i] == '\\')
				i++;
			else if (body[i] == '"')
				in_string = false;
		} else if (body[i] == '"') {
			in_string = true;
		} else if (body[i] == '{' || body[i] == '[') {
			if (++depth > ETSI014_DEPTH)
				return true;
		} else if (body[i] == '}' || body[i] == ']') {
			depth--;
		}
	}
	return false;
}

/** The object in @body. jansson's own words are left out: they quote the text. */
static int load(const uint8_t *body, size_t len, json_t **root, struct report *report)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_error_t error;

	pthread_once(&once, set_allocator);
	*root = NULL;
	if (len > ETSI014_BODY_MAX)
		return malformed(report, "the answer has %zu octets, at most %d expected", len,
				 ETSI014_BODY_MAX);
	if (too_deep(body, len))
		return malformed(report, "the answer's JSON nests deeper than %d", ETSI014_DEPTH);
	*root = json_loadb((const char *)body, len, JSON_REJECT_DUPLICATES, &error);
	if (!*root)
		malformed(report, "the answer is no JSON at line %d, column %d", error.line,
			  error.column);
	OPENSSL_cleanse(&error, sizeof(error));
	if (!*root)
		return -EPROTO;
	if (json_is_object(*root))
		return 0;
	json_decref(*root);
	*root = NULL;
	return malformed(report, "the answer is no JSON object");
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	/* Something stands in front: the vendor's prefix (clause 6.1). */
	return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/** First member of @extension (may be NULL) whose name ends in @end. */
static const json_t *extension_member(const json_t *extension, const char *end)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)extension, name, value)
		if (ends_in(name, end))
			return value;
	return NULL;
}

static bool says_simulated(const json_t *extension)
{
	return json_is_true(extension_member(extension, "_simulated"));
}

/* -------- base64 -------- */

/** Value of a base64 digit (RFC 4648, clause 4), or -1; no branch or table on it. */
static int digit(int c)
{
	int value = -1;

	value += ((('A' - 1 - c) & (c - ('Z' + 1))) >> 8) & (c - 'A' + 1);
	value += ((('a' - 1 - c) & (c - ('z' + 1))) >> 8) & (c - 'a' + 27);
	value += ((('0' - 1 - c) & (c - ('9' + 1))) >> 8) & (c - '0' + 53);
	value += ((('+' - 1 - c) & (c - ('+' + 1))) >> 8) & 63;
	value += ((('/' - 1 - c) & (c - ('/' + 1))) >> 8) & 64;
	return value;
}

/** Exactly 32 octets, canonical. Return: 0 or -EINVAL. */
static int decode_key(const char *text, size_t len, uint8_t value[QKD_KEY_BYTES])
{
	uint32_t bits = 0;
	size_t at = 0;
	int bad = 0;

	if (len != KEY_TEXT_BYTES || text[len - 1] != '=')
		return -EINVAL;
	for (size_t i = 0; i < KEY_TEXT_BYTES - 1; i++) {
		int d = digit((uint8_t)text[i]);

		bad |= d; /* negative once one was no digit */
		bits = bits << 6 | (uint32_t)(d & 63);
		if (i % 4 == 3) {
			value[at++] = (uint8_t)(bits >> 16);
			value[at++] = (uint8_t)(bits >> 8);
			value[at++] = (uint8_t)bits;
		}
	}
	value[at++] = (uint8_t)(bits >> 10); /* three digits are left: 18 bits, 16 used */
	value[at++] = (uint8_t)(bits >> 2);
	bad |= -(int)(bits & 3);
	OPENSSL_cleanse(&bits, sizeof(bits));
	return bad < 0 ? -EINVAL : 0;
}

/* -------- key container -------- */

static int parse_key(const json_t *entry, size_t index, struct km_key *key, struct report *report)
{
	const json_t *id = json_object_get(entry, "key_ID");
	const json_t *value = json_object_get(entry, "key");
	const json_t *extension = json_object_get(entry, "key_extension");

	if (!json_is_object(entry))
		return malformed(report, "keys[%zu] is no object", index);
	if (!json_is_string(id))
		return malformed(report, "keys[%zu].key_ID is %s", index,
				 id ? "no string" : "missing");
	if (km_key_id_parse(json_string_value(id), &key->id) ||
	    json_string_length(id) != KM_KEY_ID_TEXT - 1)
		return malformed(report, "keys[%zu].key_ID is no UUID", index);
	if (!json_is_string(value))
		return malformed(report, "keys[%zu].key is %s", index,
				 value ? "no string" : "missing");
	if (decode_key(json_string_value(value), json_string_length(value), key->value))
		return malformed(report, "keys[%zu].key is not the base64 of 32 octets", index);
	if (extension && !json_is_object(extension))
		return malformed(report, "keys[%zu].key_extension is no object", index);
	key->simulated = says_simulated(extension);
	return 0;
}

static int parse_container(const json_t *root, struct km_key *keys, size_t max, size_t *count,
			   struct report *report)
{
	const json_t *list = json_object_get(root, "keys");
	const json_t *extension = json_object_get(root, "key_container_extension");
	size_t length = json_array_size(list);

	if (!json_is_array(list))
		return malformed(report, "keys is %s", list ? "no array" : "missing");
	if (extension && !json_is_object(extension))
		return malformed(report, "key_container_extension is no object");
	if (length > max)
		return malformed(report, "keys has %zu entries, %zu were asked for", length, max);
	for (size_t i = 0; i < length; i++) {
		int err = parse_key(json_array_get(list, i), i, &keys[i], report);

		if (err)
			return err;
		keys[i].simulated |= says_simulated(extension);
		for (size_t j = 0; j < i; j++)
			if (memcmp(&keys[i].id, &keys[j].id, sizeof(keys[i].id)) == 0)
				return malformed(report, "keys[%zu].key_ID repeats keys[%zu]", i,
						 j);
	}
	*count = length;
	return 0;
}

int etsi014_parse_keys(const uint8_t *body, size_t len, struct km_key *keys, size_t max,
		       size_t *count, char *text, size_t text_len)
{
	struct report report = {text, text_len};
	json_t *root;
	int err = load(body, len, &root, &report);

	*count = 0;
	if (!err)
		err = parse_container(root, keys, max, count, &report);
	if (err)
		OPENSSL_cleanse(keys, max * sizeof(*keys));
	json_decref(root);
	return err;
}

/* -------- status -------- */

static int parse_count(const json_t *root, const char *name, uint64_t *value, struct report *report)
{
	const json_t *field = json_object_get(root, name);

	*value = 0;
	if (!field)
		return 0;
	if (!json_is_integer(field) || json_integer_value(field) < 0)
		return malformed(report, "status: %s is no integer from 0 up", name);
	*value = (uint64_t)json_integer_value(field);
	return 0;
}

/** A measured value of the extension; below 0 if it is not told. */
static double parse_measure(const json_t *extension, const char *end)
{
	const json_t *field = extension_member(extension, end);

	if (!json_is_number(field) || json_number_value(field) < 0)
		return -1;
	return json_number_value(field);
}

static int parse_status(const json_t *root, struct etsi014_status *status, struct report *report)
{
	const json_t *extension = json_object_get(root, "status_extension");
	const struct {
		const char *name;
		uint64_t *value;
	} counts[] = {
		{"key_size", &status->key_size},
		{"stored_key_count", &status->stored_key_count},
		{"max_key_count", &status->max_key_count},
		{"max_key_per_request", &status->max_key_per_request},
		{"max_key_size", &status->max_key_size},
		{"min_key_size", &status->min_key_size},
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		int err = parse_count(root, counts[i].name, counts[i].value, report);

		if (err)
			return err;
	}
	if (extension && !json_is_object(extension))
		return malformed(report, "status: status_extension is no object");
	if (status->max_key_size && status->max_key_size < QKD_KEY_BYTES * 8)
		return malformed(report,
				 "status: max_key_size is %llu bits, but keys of %d are needed",
				 (unsigned long long)status->max_key_size, QKD_KEY_BYTES * 8);
	if (status->min_key_size > QKD_KEY_BYTES * 8)
		return malformed(report,
				 "status: min_key_size is %llu bits, but keys of %d are needed",
				 (unsigned long long)status->min_key_size, QKD_KEY_BYTES * 8);
	status->simulated = says_simulated(extension);
	status->qber = parse_measure(extension, "_qber");
	status->skr_bps = parse_measure(extension, "_skr_bps");
	return 0;
}

int etsi014_parse_status(const uint8_t *body, size_t len, struct etsi014_status *status, char *text,
			 size_t text_len)
{
	struct report report = {text, text_len};
	json_t *root;
	int err;

	memset(status, 0, sizeof(*status));
	err = load(body, len, &root, &report);
	if (!err)
		err = parse_status(root, status, &report);
	json_decref(root);
	return err;
}

/* -------- errors -------- */

void etsi014_parse_error(const uint8_t *body, size_t len, char *message, size_t message_len)
{
	char ignored[128];
	struct report report = {ignored, sizeof(ignored)};
	const char *text = NULL;
	json_t *root;

	message[0] = '\0';
	if (!body || !len || load(body, len, &root, &report))
		return;
	text = json_string_value(json_object_get(root, "message"));
	if (text) {
		snprintf(message, message_len, "%s", text);
		for (char *c = message; *c; c++)
			if (*c < 0x20 || *c > 0x7e)
				*c = '?';
	}
	json_decref(root);
}

/* -------- what we send -------- */

int etsi014_write_key_request(size_t number, char *body, size_t size)
{
	return snprintf(body, size, "{\"number\":%zu,\"size\":%d}", number, QKD_KEY_BYTES * 8);
}

int etsi014_write_key_ids(const struct km_key_id *ids, size_t count, char *body, size_t size)
{
	size_t len;

	if (size < ETSI014_KEY_IDS_SIZE(count))
		return -ENOSPC;
	len = (size_t)sprintf(body, "{\"key_IDs\":[");
	for (size_t i = 0; i < count; i++) {
		char text[KM_KEY_ID_TEXT];

		km_key_id_format(&ids[i], text);
		len += (size_t)sprintf(body + len, "%s{\"key_ID\":\"%s\"}", i ? "," : "", text);
	}
	len += (size_t)sprintf(body + len, "]}");
	return (int)len;
}
