/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files config*.c share. A configuration is read in four steps:
 *
 *   config_locate.c  YAML text to a bounded tree that knows the lines (libyaml)
 *   config_shape.c   the tree against the schema: unknown fields, wrong types
 *   libcyaml         the text into struct config, by config_schema.c
 *   config_check.c   defaults, ranges, and what fields say about one another
 *
 * The steps before libcyaml exist so that one run reports every mistake, each
 * with its line.
 */
#ifndef CONFIG_PARTS_H
#define CONFIG_PARTS_H

#include "config/config.h"
#include <cyaml/cyaml.h>

#define CONFIG_FILE_MAX	 (8U << 20) /* octets */
#define CONFIG_DEPTH_MAX 8	    /* our deepest field is at 5 */
#define CONFIG_NODES_MAX 400000U
#define CONFIG_KEYS_MAX	 64U  /* fields of one mapping */
#define CONFIG_TEXT_MAX	 4096 /* octets of one value */
#define CONFIG_ERRORS_MAX                                                                          \
	100U /* reports of one file; then one that there are more                                  \
	      */
#define CONFIG_NAME_MAX 31U
#define CONFIG_QUOTE	48 /* room for a value in a report */

enum config_node_kind {
	CONFIG_NODE_SCALAR,
	CONFIG_NODE_MAPPING,
	CONFIG_NODE_SEQUENCE,
};

/**
 * struct config_node - one value of the file, in the tree
 * @line: where it (or its key) stands, from 1
 * @parent: NULL for the root
 * @key: its key, in a mapping; else NULL
 * @index: its place, in a sequence
 * @text: of a scalar, NUL-terminated; @len may be longer if it has a NUL inside
 * @empty: a scalar without any text: "key:"
 */
struct config_node {
	enum config_node_kind kind;
	unsigned int line;
	struct config_node *parent;
	char *key;
	unsigned int index;
	char *text;
	size_t len;
	bool empty;
	struct config_node **child;
	unsigned int count;
	unsigned int room;
};

/** Where reports go, and how many there were. */
struct config_reports {
	const char *origin;
	void (*report)(const char *line, void *arg);
	void *arg;
	unsigned int count;
};

/** Reports "ORIGIN:LINE: PATH-OF-NODE.FIELD: ..."; @field may be NULL, @node too. */
__attribute__((format(printf, 4, 5))) void config_report(struct config_reports *reports,
							 const struct config_node *node,
							 const char *field, const char *fmt, ...);

/** As config_report(), for what has a line but no field (syntax). */
__attribute__((format(printf, 3, 4))) void
config_report_line(struct config_reports *reports, unsigned int line, const char *fmt, ...);

/** Copies @text for a report: quoted, cut short, without control characters. */
const char *config_quote(const char *text, char quoted[CONFIG_QUOTE]);

/** Parses @text; NULL after at least one report. Bounded in depth, nodes and time. */
struct config_node *config_locate(const char *text, size_t len, struct config_reports *reports);
void config_node_free(struct config_node *node);

/** The child with @key of a mapping, or NULL; @node may be NULL. */
const struct config_node *config_node_get(const struct config_node *node, const char *key);

/** The child at @index of a sequence, or NULL; @node may be NULL. */
const struct config_node *config_node_at(const struct config_node *node, unsigned int index);

extern const struct cyaml_schema_value config_schema;
extern const struct cyaml_schema_value config_channel_schema;

/** Reports every unknown field, wrong type, and number or word out of the schema. */
void config_shape(const struct config_node *node, const struct cyaml_schema_value *schema,
		  struct config_reports *reports);

/** Fills in the defaults, then reports whatever is wrong. */
void config_check(struct config *config, const struct config_node *root,
		  struct config_reports *reports);

/** One channel: @config for its link. */
void config_check_channel(const struct config *config, struct config_channel *channel,
			  const struct config_node *node, struct config_reports *reports);

/** The fields of an ESP and of a MACsec channel (config_check_kinds.c). */
void config_check_esp(struct config_channel *channel, const struct config_node *node,
		      struct config_reports *reports);
void config_check_macsec(struct config_channel *channel, const struct config_node *node,
			 struct config_reports *reports);

/** When the keys of a channel change (config_check_rollover.c). */
void config_check_rollover(struct config_channel *channel, const struct config_node *node,
			   struct config_reports *reports);

/* Checks of single fields, in config_check_field.c. Each reports, and returns whether it is good.
 */

/** Present and not "". */
bool config_check_given(const char *value, const struct config_node *map, const char *field,
			const char *what, struct config_reports *reports);
/** A name of ours: 1 to 31 printable ASCII characters without spaces. */
bool config_check_name(const char *value, const struct config_node *map, const char *field,
		       struct config_reports *reports);
/** An absolute path of a file, given. */
bool config_check_path(const char *value, const struct config_node *map, const char *field,
		       const char *what, struct config_reports *reports);
/** @low <= @value <= @high, if the field is there. @unit: "ms", "packets", ... */
bool config_check_range(uint32_t value, uint32_t low, uint32_t high, const char *unit,
			const struct config_node *map, const char *field,
			struct config_reports *reports);
void config_check_tls(const struct config_tls *tls, const struct config_node *map,
		      struct config_reports *reports);

/** struct config_entry - a value of a list that must not come twice, and its place */
struct config_entry {
	const char *value;
	unsigned int index;
};

/**
 * config_check_unique - reports each entry whose value came before
 * @entries: get sorted
 * @field: of the entry, to be named in the report
 * @what: the value is this of another entry
 */
void config_check_unique(struct config_entry *entries, unsigned int count,
			 const struct config_node *list, const char *field, const char *what,
			 struct config_reports *reports);

/** No two channels may claim the same traffic: the kernel takes one policy for it. */
void config_check_selectors(const struct config *config, const struct config_node *list,
			    struct config_reports *reports);

/** Sets *@value to a copy of @fallback if it is NULL. -ENOMEM is reported. */
bool config_default_text(char **value, const char *fallback, struct config_reports *reports);

#endif
