// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * YAML text to a tree that knows the line of each value, by libyaml's events.
 * Hostile files end early: no anchors and aliases (so no bombs), no tags, one
 * document, and bounds on depth, fields, values and nodes.
 */
#include "config/config_parts.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct builder {
	struct config_reports *reports;
	struct config_node *root;
	struct config_node *open; /* innermost mapping or sequence */
	char *key;		  /* read, its value not yet */
	unsigned int key_line;
	unsigned int depth;
	unsigned int nodes;
	unsigned int documents;
};

const struct config_node *config_node_get(const struct config_node *node, const char *key)
{
	if (!node || node->kind != CONFIG_NODE_MAPPING)
		return NULL;
	for (unsigned int i = 0; i < node->count; i++)
		if (!strcmp(node->child[i]->key, key))
			return node->child[i];
	return NULL;
}

const struct config_node *config_node_at(const struct config_node *node, unsigned int index)
{
	if (!node || node->kind != CONFIG_NODE_SEQUENCE || index >= node->count)
		return NULL;
	return node->child[index];
}

/* The depth is bounded by CONFIG_DEPTH_MAX. */
void config_node_free(struct config_node *node)
{
	if (!node)
		return;
	for (unsigned int i = 0; i < node->count; i++)
		config_node_free(node->child[i]);
	free(node->child);
	free(node->key);
	free(node->text);
	free(node);
}

static bool out_of_memory(struct builder *b, unsigned int line)
{
	config_report_line(b->reports, line, "out of memory");
	return false;
}

static bool append(struct config_node *parent, struct config_node *node)
{
	if (parent->count == parent->room) {
		unsigned int room = parent->room ? parent->room * 2 : 8;
		struct config_node **child = realloc(parent->child, room * sizeof(*child));

		if (!child)
			return false;
		parent->child = child;
		parent->room = room;
	}
	node->index = parent->count;
	node->parent = parent;
	parent->child[parent->count++] = node;
	return true;
}

/* Takes over the pending key. Reports, returns NULL on an error. */
static struct config_node *add_node(struct builder *b, enum config_node_kind kind,
				    unsigned int line)
{
	struct config_node *node;

	if (++b->nodes > CONFIG_NODES_MAX) {
		config_report_line(b->reports, line, "the file has more than %u values; split it",
				   CONFIG_NODES_MAX);
		return NULL;
	}
	node = calloc(1, sizeof(*node));
	if (!node) {
		out_of_memory(b, line);
		return NULL;
	}
	node->kind = kind;
	node->line = b->key ? b->key_line : line;
	node->key = b->key;
	b->key = NULL;
	if (!b->open) {
		b->root = node;
	} else if (!append(b->open, node)) {
		config_node_free(node);
		out_of_memory(b, line);
		return NULL;
	}
	return node;
}

static bool open_node(struct builder *b, enum config_node_kind kind, unsigned int line)
{
	struct config_node *node;

	if (b->open && b->open->kind == CONFIG_NODE_MAPPING && !b->key) {
		config_report_line(b->reports, line,
				   "a field name must be a plain word, not a list or a group");
		return false;
	}
	if (++b->depth > CONFIG_DEPTH_MAX) {
		config_report_line(b->reports, line,
				   "nested deeper than %d levels; no field here is that deep",
				   CONFIG_DEPTH_MAX);
		return false;
	}
	node = add_node(b, kind, line);
	if (!node)
		return false;
	b->open = node;
	return true;
}

static bool close_node(struct builder *b)
{
	if (!b->open)
		return false;
	b->depth--;
	b->open = b->open->parent;
	return true;
}

static bool take_key(struct builder *b, const char *text, size_t len, unsigned int line)
{
	const struct config_node *twin;
	char quoted[CONFIG_QUOTE];

	if (strlen(text) != len || len > CONFIG_TEXT_MAX) {
		config_report_line(b->reports, line, "this field name cannot be one of ours");
		return false;
	}
	if (b->open->count == CONFIG_KEYS_MAX) {
		config_report_line(b->reports, line, "more than %u fields in one group",
				   CONFIG_KEYS_MAX);
		return false;
	}
	twin = config_node_get(b->open, text);
	if (twin) {
		config_report_line(b->reports, line,
				   "%s is given twice in the same group, first in line %u; remove "
				   "one of them",
				   config_quote(text, quoted), twin->line);
		return false;
	}
	b->key = strdup(text);
	b->key_line = line;
	return b->key ? true : out_of_memory(b, line);
}

static bool take_scalar(struct builder *b, const yaml_event_t *event, unsigned int line)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	struct config_node *node;

	if (b->open && b->open->kind == CONFIG_NODE_MAPPING && !b->key)
		return take_key(b, text, len, line);
	if (len > CONFIG_TEXT_MAX) {
		config_report_line(b->reports, line, "a value longer than %d octets",
				   CONFIG_TEXT_MAX);
		return false;
	}
	node = add_node(b, CONFIG_NODE_SCALAR, line);
	if (!node)
		return false;
	node->text = strndup(text, len);
	node->len = len;
	node->empty = !len && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return node->text ? true : out_of_memory(b, line);
}

/* Anchors and tags: of a node event, or NULL. */
static const yaml_char_t *decoration(const yaml_event_t *event, const char **what)
{
	const yaml_char_t *anchor = NULL;
	const yaml_char_t *tag = NULL;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	case YAML_ALIAS_EVENT:
		*what = "alias *";
		return event->data.alias.anchor;
	default:
		break;
	}
	*what = anchor ? "anchor &" : "tag ";
	return anchor ? anchor : tag;
}

static bool take_event(struct builder *b, const yaml_event_t *event)
{
	unsigned int line = (unsigned int)event->start_mark.line + 1;
	const yaml_char_t *extra;
	char quoted[CONFIG_QUOTE];
	const char *what;

	extra = decoration(event, &what);
	if (extra) {
		config_report_line(b->reports, line,
				   "YAML's %s%s is not taken here; write the value itself", what,
				   config_quote((const char *)extra, quoted));
		return false;
	}
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->documents++) {
			config_report_line(b->reports, line,
					   "a second YAML document begins; one file has one");
			return false;
		}
		return true;
	case YAML_SCALAR_EVENT:
		return take_scalar(b, event, line);
	case YAML_MAPPING_START_EVENT:
		return open_node(b, CONFIG_NODE_MAPPING, line);
	case YAML_SEQUENCE_START_EVENT:
		return open_node(b, CONFIG_NODE_SEQUENCE, line);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return close_node(b);
	default:
		return true;
	}
}

static void report_syntax(struct config_reports *reports, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ? parser->problem : "not readable";
	unsigned int line = (unsigned int)parser->problem_mark.line + 1;

	if (parser->error == YAML_MEMORY_ERROR)
		config_report_line(reports, line, "out of memory");
	else if (parser->error == YAML_READER_ERROR)
		config_report_line(reports, 0, "not a text file in UTF-8: %s at octet %zu", problem,
				   parser->problem_offset);
	else if (strstr(problem, "cannot start any token"))
		config_report_line(reports, line,
				   "not YAML: %s; if it is a tab, indent with spaces", problem);
	else
		config_report_line(reports, line,
				   "not YAML: %s%s%s; compare the indentation and quotes with the "
				   "lines around",
				   parser->context ? parser->context : "",
				   parser->context ? ": " : "", problem);
}

static bool parse(yaml_parser_t *parser, struct builder *b)
{
	bool going = true;

	while (going) {
		yaml_event_t event;
		bool end;

		if (!yaml_parser_parse(parser, &event)) {
			report_syntax(b->reports, parser);
			return false;
		}
		end = event.type == YAML_STREAM_END_EVENT;
		going = take_event(b, &event);
		yaml_event_delete(&event);
		if (end)
			return true;
	}
	return false;
}

struct config_node *config_locate(const char *text, size_t len, struct config_reports *reports)
{
	struct builder b = {.reports = reports};
	yaml_parser_t parser;
	bool good;

	if (!yaml_parser_initialize(&parser)) {
		config_report_line(reports, 0, "out of memory");
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	good = parse(&parser, &b);
	yaml_parser_delete(&parser);
	free(b.key);
	if (good && !b.root) {
		config_report_line(reports, 0, "the file is empty");
		good = false;
	}
	if (!good) {
		config_node_free(b.root);
		return NULL;
	}
	return b.root;
}
