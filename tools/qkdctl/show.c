// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers as tables, JSON, JSON lines and plain columns. */
#include "format.h"
#include "qkdctl.h"
#include "table.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool show_colours(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return !(no_color && *no_color) && term && strcmp(term, "dumb") && isatty(fileno(out));
}

/* "esp.local": a field of a group in @entry; NULL if there is none. */
static const json_t *value_at(const json_t *entry, const char *key)
{
	const char *dot = strchr(key, '.');
	char group[32];

	if (!dot)
		return json_object_get(entry, key);
	snprintf(group, sizeof(group), "%.*s", (int)(dot - key), key);
	return json_object_get(json_object_get(entry, group), dot + 1);
}

static int add_entry(struct table *table, const struct section *section, const json_t *entry)
{
	if (table_row(table))
		return -1;
	for (size_t i = 0; i < section->count; i++) {
		const struct column *column = &section->columns[i];
		const json_t *value = value_at(entry, column->key);
		char text[512];

		(column->format ? column->format : format_plain)(value, text, sizeof(text));
		if (table_cell(table, i, text,
			       column->colour ? (enum colour)column->colour(value) : COLOUR_NONE))
			return -1;
	}
	return 0;
}

/* The section's key "" is the data itself. */
static struct table *section_table(const struct section *section, const json_t *data, size_t *rows)
{
	const json_t *value = *section->key ? json_object_get(data, section->key) : data;
	struct table *table = table_new(section->count);
	const json_t *entry;
	size_t i;

	*rows = 0;
	if (!table)
		return NULL;
	for (i = 0; i < section->count; i++)
		table_header(table, i, section->columns[i].header, section->columns[i].right);
	if (json_is_object(value)) {
		if (add_entry(table, section, value))
			goto fail;
		*rows = 1;
		return table;
	}
	json_array_foreach(value, i, entry) {
		if (add_entry(table, section, entry))
			goto fail;
		++*rows;
	}
	return table;
fail:
	table_free(table);
	return NULL;
}

static bool any_simulated(const json_t *value)
{
	const json_t *child;
	const char *key;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach(value, i, child)
			if (any_simulated(child))
				return true;
		return false;
	}
	if (json_is_true(json_object_get(value, "simulated")))
		return true;
	json_object_foreach((json_t *)value, key, child)
		if ((json_is_array(child) || json_is_object(child)) && any_simulated(child))
			return true;
	return false;
}

static void show_section(FILE *out, const struct options *options, const struct section *section,
			 const json_t *data, bool colours)
{
	size_t rows;
	struct table *table = section_table(section, data, &rows);

	if (!table) {
		fprintf(stderr, "qkdctl: out of memory\n");
		return;
	}
	if (options->output == OUTPUT_PLAIN) {
		table_print_plain(table, out);
	} else if (!rows) {
		fprintf(out, "%s\n", section->empty);
	} else {
		if (section->title) {
			colour_print(out, section->title, COLOUR_BOLD, colours);
			fputc('\n', out);
		}
		if (section->vertical)
			table_print_vertical(table, out, colours);
		else
			table_print(table, out, colours);
	}
	table_free(table);
}

static void show_tables(FILE *out, const struct options *options, const json_t *data)
{
	const struct verb *verb = options->verb;
	bool colours = options->output == OUTPUT_TABLE && show_colours(out);

	for (size_t i = 0; i < verb->section_count; i++) {
		if (i && options->output == OUTPUT_TABLE)
			fputc('\n', out);
		show_section(out, options, &verb->sections[i], data, colours);
	}
	if (options->output == OUTPUT_TABLE && any_simulated(data))
		colour_print(out, "\nSIM: keys of a simulator, no real QKD keys\n", COLOUR_WARN,
			     colours);
}

static void dump(FILE *out, const json_t *value, size_t flags)
{
	if (json_dumpf(value, out, flags))
		fprintf(stderr, "qkdctl: the answer could not be written\n");
	fputc('\n', out);
}

static void show_json(FILE *out, const json_t *data, size_t flags)
{
	json_t *whole = json_pack("{s:s, s:O}", "schema", QKDCTL_SCHEMA, "data", data);

	if (whole)
		dump(out, whole, flags);
	json_decref(whole);
}

/* One line each entry of the lists; an answer without a list is one line. */
static void show_lines(FILE *out, const struct verb *verb, const json_t *data)
{
	bool any = false;

	for (size_t s = 0; s < verb->section_count; s++) {
		const json_t *list = json_object_get(data, verb->sections[s].key);
		const json_t *entry;
		size_t i;

		if (verb->sections[s].vertical || !json_is_array(list))
			break;
		any = true;
		json_array_foreach(list, i, entry)
			dump(out, entry, JSON_COMPACT);
	}
	if (!any)
		show_json(out, data, JSON_COMPACT);
}

void show_data(FILE *out, const struct options *options, const json_t *data)
{
	if (options->output == OUTPUT_JSON)
		show_json(out, data, JSON_INDENT(2));
	else if (options->output == OUTPUT_JSONL)
		show_lines(out, options->verb, data);
	else
		show_tables(out, options, data);
}

void show_event(FILE *out, const struct options *options, const json_t *answer)
{
	static const struct column columns[] = {
		{"", "time", format_clock, NULL, false},
		{"", "channel", NULL, NULL, false},
		{"", "type", NULL, NULL, false},
		{"", "epoch", NULL, NULL, false},
		{"", "text", format_text, NULL, false},
		{"", "simulated", format_simulated, NULL, false},
	};
	static const int widths[] = {12, 20, 12, 8, 0, 0};
	const json_t *event = json_object_get(answer, "event");

	if (options->output == OUTPUT_JSON || options->output == OUTPUT_JSONL) {
		dump(out, answer, JSON_COMPACT);
		fflush(out);
		return;
	}
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		char text[512];
		bool plain = options->output == OUTPUT_PLAIN;

		(columns[i].format && !(plain && !i) ? columns[i].format : format_plain)(
			json_object_get(event, columns[i].key), text, sizeof(text));
		for (char *c = text; *c; c++)
			*c = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
		if (plain)
			fprintf(out, "%s%s", i ? "\t" : "", text);
		else if (*text)
			fprintf(out, "%s%-*s", i ? "  " : "", widths[i], text);
	}
	fputc('\n', out);
	fflush(out);
}
