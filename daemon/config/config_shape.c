// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file's tree against the schema. libcyaml checks the same while it loads,
 * but stops at the first mistake; and it would take "flase" as true, and 010
 * as 8.
 */
#include "config/config_parts.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 24 /* longer names are not compared for likeness */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein distance; both at most NAME_MAX_LEN. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1];
	size_t len = strlen(b);

	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len; j++) {
			size_t above = row[j + 1];

			row[j + 1] =
				least(least(above, row[j]) + 1, corner + (a[i] != b[j] ? 1 : 0));
			corner = above;
		}
	}
	return row[len];
}

/* The one field that is @key with its unit, as jitter_ms is jitter; or NULL. */
static const char *with_unit(const char *key, const struct cyaml_schema_field *fields)
{
	const char *found = NULL;
	size_t len = strlen(key);

	for (; fields->key; fields++) {
		if (strncmp(key, fields->key, len) || fields->key[len] != '_')
			continue;
		if (found)
			return NULL;
		found = fields->key;
	}
	return found;
}

/* The field that the operator may have meant, or NULL. */
static const char *likely_field(const char *key, const struct cyaml_schema_field *fields)
{
	const char *best = with_unit(key, fields);
	size_t best_distance = 3;

	if (best || strlen(key) > NAME_MAX_LEN)
		return best;
	for (; fields->key; fields++) {
		size_t d = distance(key, fields->key);

		if (d < best_distance) {
			best_distance = d;
			best = fields->key;
		}
	}
	return best;
}

static void list_fields(const struct cyaml_schema_field *fields, char *list, size_t size)
{
	size_t used = 0;

	list[0] = '\0';
	for (; fields->key && used < size; fields++)
		used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "",
					 fields->key);
}

static void list_words(const struct cyaml_schema_value *schema, char *list, size_t size)
{
	size_t used = 0;

	list[0] = '\0';
	for (uint32_t i = 0; i < schema->enumeration.count && used < size; i++)
		used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "",
					 schema->enumeration.strings[i].str);
}

static void unknown_field(const struct config_node *node, const struct cyaml_schema_field *fields,
			  struct config_reports *reports)
{
	const char *likely = likely_field(node->key, fields);
	char list[256];

	if (likely) {
		config_report(reports, node, NULL, "there is no such field; did you mean %s?",
			      likely);
		return;
	}
	list_fields(fields, list, sizeof(list));
	config_report(reports, node, NULL, "there is no such field; here are: %s", list);
}

/* " of milliseconds" for rollover_ms, and so on. */
static const char *of_unit(const char *field)
{
	static const char *const unit[][2] = {
		{"_ms", " of milliseconds"},
		{"_bytes", " of octets"},
		{"_packets", " of packets"},
	};
	size_t len = field ? strlen(field) : 0;

	for (size_t i = 0; i < sizeof(unit) / sizeof(unit[0]); i++) {
		size_t end = strlen(unit[i][0]);

		if (len > end && !strcmp(field + len - end, unit[i][0]))
			return unit[i][1];
	}
	return "";
}

static void check_number(const struct config_node *node, const struct cyaml_schema_value *schema,
			 struct config_reports *reports)
{
	/* Of 64 bits one less: listings are JSON, whose numbers have a sign. */
	uint64_t max = schema->data_size >= 8 ? INT64_MAX : (1ULL << (8 * schema->data_size)) - 1;
	const char *digits = node->text;
	char quoted[CONFIG_QUOTE];
	bool hex = !strncmp(digits, "0x", 2);
	unsigned long long value;
	size_t good;

	digits += hex ? 2 : 0;
	good = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	if (!good || good != strlen(digits) || node->len != strlen(node->text)) {
		config_report(reports, node, NULL,
			      "%s is not a number; write a whole number%s without a unit, such as "
			      "2000 or 0x7d0",
			      config_quote(node->text, quoted), of_unit(node->key));
		return;
	}
	if (!hex && good > 1 && digits[0] == '0') {
		config_report(reports, node, NULL,
			      "%s begins with 0 and could be meant as octal; write it without",
			      config_quote(node->text, quoted));
		return;
	}
	errno = 0;
	value = strtoull(digits, NULL, hex ? 16 : 10);
	if (errno || value > max)
		config_report(reports, node, NULL, "%s is too large; the most is %" PRIu64,
			      config_quote(node->text, quoted), max);
}

static void check_word(const struct config_node *node, const struct cyaml_schema_value *schema,
		       struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];
	char list[160];

	for (uint32_t i = 0; i < schema->enumeration.count; i++)
		if (!strcmp(node->text, schema->enumeration.strings[i].str))
			return;
	list_words(schema, list, sizeof(list));
	config_report(reports, node, NULL, "%s is none of: %s", config_quote(node->text, quoted),
		      list);
}

/* Control characters would end in terminals and logs. */
static void check_text(const struct config_node *node, struct config_reports *reports)
{
	for (size_t i = 0; i < node->len; i++) {
		unsigned char c = (unsigned char)node->text[i];

		if (c < 0x20 || c == 0x7f) {
			config_report(reports, node, NULL,
				      "has a control character (octet 0x%02x); take it out", c);
			return;
		}
	}
}

static void check_switch(const struct config_node *node, struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];

	if (strcmp(node->text, "true") && strcmp(node->text, "false"))
		config_report(reports, node, NULL, "%s must be true or false",
			      config_quote(node->text, quoted));
}

static void check_scalar(const struct config_node *node, const struct cyaml_schema_value *schema,
			 struct config_reports *reports)
{
	switch (schema->type) {
	case CYAML_UINT:
		check_number(node, schema, reports);
		break;
	case CYAML_BOOL:
		check_switch(node, reports);
		break;
	case CYAML_ENUM:
		check_word(node, schema, reports);
		break;
	default:
		check_text(node, reports);
		break;
	}
}

static void check_mapping(const struct config_node *node, const struct cyaml_schema_value *schema,
			  struct config_reports *reports)
{
	for (unsigned int i = 0; i < node->count; i++) {
		const struct cyaml_schema_field *field = schema->mapping.fields;
		const struct config_node *child = node->child[i];

		while (field->key && strcmp(field->key, child->key))
			field++;
		if (field->key)
			config_shape(child, &field->value, reports);
		else
			unknown_field(child, schema->mapping.fields, reports);
	}
}

static enum config_node_kind kind_of(const struct cyaml_schema_value *schema)
{
	switch (schema->type) {
	case CYAML_MAPPING:
		return CONFIG_NODE_MAPPING;
	case CYAML_SEQUENCE:
		return CONFIG_NODE_SEQUENCE;
	default:
		return CONFIG_NODE_SCALAR;
	}
}

static void wrong_kind(const struct config_node *node, enum config_node_kind want,
		       const struct cyaml_schema_value *schema, struct config_reports *reports)
{
	char list[256];

	if (node->kind == CONFIG_NODE_SCALAR && node->empty) {
		config_report(reports, node, NULL, "has no value; give one or remove the field%s",
			      want == CONFIG_NODE_SEQUENCE ? " ([] is the empty list)" : "");
	} else if (want == CONFIG_NODE_SEQUENCE) {
		config_report(reports, node, NULL,
			      "must be a list: entries begin with '- ', or stand in [ ]");
	} else if (want == CONFIG_NODE_SCALAR) {
		config_report(reports, node, NULL, "must be a single value, not a %s",
			      node->kind == CONFIG_NODE_SEQUENCE ? "list" : "group of fields");
	} else {
		list_fields(schema->mapping.fields, list, sizeof(list));
		config_report(reports, node, NULL, "must be a group of fields: %s", list);
	}
}

/* Depth is bounded by the schema's. */
void config_shape(const struct config_node *node, const struct cyaml_schema_value *schema,
		  struct config_reports *reports)
{
	enum config_node_kind want = kind_of(schema);

	if (node->kind != want || (want == CONFIG_NODE_SCALAR && node->empty))
		return wrong_kind(node, want, schema, reports);
	if (want == CONFIG_NODE_SCALAR)
		check_scalar(node, schema, reports);
	else if (want == CONFIG_NODE_MAPPING)
		check_mapping(node, schema, reports);
	else
		for (unsigned int i = 0; i < node->count; i++)
			config_shape(node->child[i], schema->sequence.entry, reports);
}
