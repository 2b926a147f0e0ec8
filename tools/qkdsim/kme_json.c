// SPDX-License-Identifier: GPL-2.0-or-later
#include "kme_json.h"
#include "loop/http.h"
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define MANDATORY_UNKNOWN "not all extension_mandatory parameters are supported"

/* Base64 of keys goes through jansson's memory. */
static void wipe_and_free(void *memory)
{
	if (memory)
		OPENSSL_cleanse(memory, malloc_usable_size(memory));
	free(memory);
}

void kme_json_init(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
}

/* -------- requests -------- */

static const char *read_object(const uint8_t *body, size_t len, json_t **root)
{
	json_error_t error;

	*root = json_loadb((const char *)body, len, JSON_REJECT_DUPLICATES, &error);
	if (!*root)
		return "the body is not valid JSON";
	if (!json_is_object(*root)) {
		json_decref(*root);
		*root = NULL;
		return "the body must be a JSON object";
	}
	return NULL;
}

/* Whether @object has a member that is not in @known. */
static bool has_unknown(json_t *object, const char *const *known)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value) {
		const char *const *one = known;

		while (*one && strcmp(*one, name) != 0)
			one++;
		if (!*one)
			return true;
	}
	return false;
}

static const char *check_number(json_int_t number)
{
	if (number < 1)
		return "number shall be 1 or more";
	if (number > LINK_REQUEST_MAX)
		return "number shall not be larger than max_key_per_request";
	return NULL;
}

static const char *check_size(json_int_t size)
{
	if (size < 1)
		return "size shall be positive";
	if (size % 8)
		return "size shall be a multiple of 8";
	if (size < KME_MIN_KEY_BITS)
		return "size shall not be smaller than min_key_size";
	if (size > KME_MAX_KEY_BITS)
		return "size shall not be larger than max_key_size";
	return NULL;
}

static const char *read_integer(const json_t *object, const char *name, const char *type_error,
				const char *(*check)(json_int_t), unsigned int *value)
{
	const json_t *member = json_object_get(object, name);
	const char *wrong;

	if (!member)
		return NULL;
	if (!json_is_integer(member))
		return type_error;
	wrong = check(json_integer_value(member));
	if (!wrong)
		*value = (unsigned int)json_integer_value(member);
	return wrong;
}

/* max_SAE_ID_count is 0: there is one slave at the other end, and no more. */
static const char *check_additional_slaves(const json_t *object)
{
	const json_t *list = json_object_get(object, "additional_slave_SAE_IDs");
	size_t count = json_array_size(list);

	if (!list)
		return NULL;
	if (!json_is_array(list))
		return "additional_slave_SAE_IDs shall be an array of strings";
	if (!count)
		return "additional_slave_SAE_IDs shall not be empty";
	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_array_get(list, i);

		if (!json_is_string(one))
			return "additional_slave_SAE_IDs shall be an array of strings";
		if (strspn(json_string_value(one), " \t") == json_string_length(one))
			return "additional_slave_SAE_IDs shall not contain a blank SAE ID";
		for (size_t j = 0; j < i; j++)
			if (json_equal(one, json_array_get(list, j)))
				return "additional_slave_SAE_IDs shall not contain an SAE ID twice";
	}
	return "additional_slave_SAE_IDs is not supported: max_SAE_ID_count is 0";
}

static const char *check_extension(const json_t *object, const char *name, const char *type_error,
				   bool mandatory)
{
	const json_t *list = json_object_get(object, name);

	if (!list)
		return NULL;
	if (!json_is_array(list))
		return type_error;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		if (!json_is_object(one))
			return type_error;
		if (mandatory && json_object_size(one))
			return MANDATORY_UNKNOWN;
	}
	return NULL;
}

static const char *check_key_request(json_t *root, struct key_request *request)
{
	static const char *const known[] = {
		"number",
		"size",
		"additional_slave_SAE_IDs",
		"extension_mandatory",
		"extension_optional",
		NULL,
	};
	const char *wrong = NULL;

	if (has_unknown(root, known))
		return "the key request has a member that the standard does not know";
	wrong = read_integer(root, "number", "number shall be an integer", check_number,
			     &request->number);
	if (!wrong)
		wrong = read_integer(root, "size", "size shall be an integer", check_size,
				     &request->bits);
	if (!wrong)
		wrong = check_additional_slaves(root);
	if (!wrong)
		wrong = check_extension(root, "extension_mandatory",
					"extension_mandatory shall be an array of objects", true);
	if (!wrong)
		wrong = check_extension(root, "extension_optional",
					"extension_optional shall be an array of objects", false);
	return wrong;
}

const char *kme_read_key_request(const uint8_t *body, size_t len, struct key_request *request)
{
	const char *wrong;
	json_t *root;

	*request = (struct key_request){0};
	if (!len)
		return NULL; /* all members are optional, and so is the object */
	wrong = read_object(body, len, &root);
	if (wrong)
		return wrong;
	wrong = check_key_request(root, request);
	json_decref(root);
	return wrong;
}

/* Whether a query has a parameter whose name is neither @first nor @second. */
static bool query_has_unknown(const char *query, const char *first, const char *second)
{
	while (*query) {
		size_t len = strcspn(query, "=&");

		if (len && !(len == strlen(first) && memcmp(query, first, len) == 0) &&
		    !(second && len == strlen(second) && memcmp(query, second, len) == 0))
			return true;
		query += strcspn(query, "&");
		query += *query == '&';
	}
	return false;
}

/* 0, -ENOENT, or -EINVAL: not a plain decimal number. */
static int query_integer(const char *query, const char *name, json_int_t *value)
{
	char text[12];
	int len = http_query_get(query, name, text, sizeof(text));

	if (len < 0)
		return len == -ENOENT ? -ENOENT : -EINVAL;
	if (len == 0 || len > 9 || strspn(text, "0123456789") != (size_t)len)
		return -EINVAL;
	*value = atol(text);
	return 0;
}

const char *kme_read_key_query(const char *query, struct key_request *request)
{
	const char *wrong = NULL;
	json_int_t value;
	int rc;

	*request = (struct key_request){0};
	if (query_has_unknown(query, "number", "size"))
		return "GET enc_keys knows the parameters number and size only: use POST";
	rc = query_integer(query, "number", &value);
	if (rc == -EINVAL)
		return "number shall be an integer";
	if (!rc) {
		wrong = check_number(value);
		request->number = (unsigned int)value;
	}
	rc = query_integer(query, "size", &value);
	if (!wrong && rc == -EINVAL)
		return "size shall be an integer";
	if (!wrong && !rc) {
		wrong = check_size(value);
		request->bits = (unsigned int)value;
	}
	return wrong;
}

/* -------- key IDs -------- */

static const char *add_id(const json_t *text, struct key_ids *ids)
{
	struct km_key_id *id = &ids->id[ids->count];

	if (!json_is_string(text) || strlen(json_string_value(text)) != json_string_length(text) ||
	    km_key_id_parse(json_string_value(text), id))
		return "key_ID shall be a UUID";
	for (unsigned int i = 0; i < ids->count; i++)
		if (memcmp(&ids->id[i], id, sizeof(*id)) == 0)
			return "key_IDs shall not contain a key_ID twice";
	ids->count++;
	return NULL;
}

static const char *read_entry(json_t *entry, struct key_ids *ids)
{
	static const char *const known[] = {"key_ID", "key_ID_extension", NULL};
	const json_t *extension;

	if (!json_is_object(entry))
		return "key_IDs shall be an array of objects";
	if (has_unknown(entry, known))
		return "key_IDs has a member that the standard does not know";
	extension = json_object_get(entry, "key_ID_extension");
	if (extension && !json_is_object(extension))
		return "key_ID_extension shall be an object";
	return add_id(json_object_get(entry, "key_ID"), ids);
}

static const char *check_key_ids(json_t *root, struct key_ids *ids)
{
	static const char *const known[] = {"key_IDs", "key_IDs_extension", NULL};
	const json_t *list = json_object_get(root, "key_IDs");
	const json_t *extension = json_object_get(root, "key_IDs_extension");
	const char *wrong = NULL;

	if (has_unknown(root, known))
		return "the key IDs object has a member that the standard does not know";
	if (!json_is_array(list))
		return "key_IDs shall be an array of objects";
	if (extension && !json_is_object(extension))
		return "key_IDs_extension shall be an object";
	if (!json_array_size(list))
		return "key_IDs shall not be empty";
	if (json_array_size(list) > LINK_REQUEST_MAX)
		return "key_IDs shall not be more than max_key_per_request";
	for (size_t i = 0; i < json_array_size(list) && !wrong; i++)
		wrong = read_entry(json_array_get(list, i), ids);
	return wrong;
}

const char *kme_read_key_ids(const uint8_t *body, size_t len, struct key_ids *ids)
{
	const char *wrong;
	json_t *root;

	ids->count = 0;
	if (!len)
		return "dec_keys needs a body with key_IDs";
	wrong = read_object(body, len, &root);
	if (wrong)
		return wrong;
	wrong = check_key_ids(root, ids);
	json_decref(root);
	return wrong;
}

const char *kme_read_key_id_query(const char *query, struct key_ids *ids)
{
	char text[64];

	ids->count = 0;
	if (query_has_unknown(query, "key_ID", NULL))
		return "GET dec_keys knows the parameter key_ID only";
	switch (http_query_get(query, "key_ID", text, sizeof(text))) {
	case -ENOENT:
		return "GET dec_keys needs the parameter key_ID";
	case KM_KEY_ID_TEXT - 1:
		if (!km_key_id_parse(text, &ids->id[0])) {
			ids->count = 1;
			return NULL;
		}
		/* fall through */
	default:
		return "key_ID shall be exactly one UUID";
	}
}

/* -------- answers -------- */

static json_t *write_key(const struct sim_key *key)
{
	char text[4 * ((LINK_KEY_OCTETS_MAX + 2) / 3) + 1];
	char id[KM_KEY_ID_TEXT];
	json_t *object;

	km_key_id_format(&key->id, id);
	EVP_EncodeBlock((unsigned char *)text, key->value, (int)key->octets);
	object = json_pack("{s:s, s:s, s:{s:b}}", "key_ID", id, "key", text, "key_extension",
			   "qkdsim_simulated", 1);
	OPENSSL_cleanse(text, sizeof(text));
	return object;
}

json_t *kme_write_keys(const struct sim_key *keys, unsigned int count)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < count; i++) {
		if (json_array_append_new(list, write_key(&keys[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:o, s:{s:b}}", "keys", list, "key_container_extension",
			 "qkdsim_simulated", 1);
}

json_t *kme_write_error(const char *message)
{
	return json_pack("{s:s}", "message", message);
}

json_t *kme_write_link(const struct link *link)
{
	struct link_report report = link_report(link);
	const char *state = report.cut		  ? "cut"
			    : report.rate.aborted ? "aborted: QBER above threshold"
						  : "up";
	json_t *object = json_pack("{s:b, s:s, s:f, s:f, s:b}", "qkdsim_simulated", 1,
				   "qkdsim_link", state, "qkdsim_skr_bps", report.bits_per_s,
				   "qkdsim_distance_km", link_settings(link)->physics.distance_km,
				   "qkdsim_rate_override", report.rate_forced);

	/* Without light there is no error rate to speak of. */
	if (object && !report.cut)
		json_object_set_new(object, "qkdsim_qber", json_real(report.rate.qber));
	return object;
}
