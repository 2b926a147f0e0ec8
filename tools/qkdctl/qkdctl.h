/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qkdctl: what its files share. options.c reads the command line against the
 * verbs of verbs.c; client.c asks the daemon; show.c turns the answer into
 * what was asked for (-o).
 */
#ifndef QKDCTL_H
#define QKDCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define QKDCTL_SCHEMA  "qkdctl/1"
#define DEFAULT_SOCKET "/run/qkdkeyd/control.sock"

/** Exit codes: part of the interface, see qkdctl(1). */
enum qkdctl_exit {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_NO_OBJECT = 4,
	EXIT_PERMISSION = 5,
	EXIT_DEGRADED = 6,
	EXIT_TIMEOUT = 7,
};

enum output {
	OUTPUT_TABLE, /* for people; may change */
	OUTPUT_JSON,
	OUTPUT_JSONL, /* one line each entry */
	OUTPUT_PLAIN, /* the table's columns, tabs between, no header */
};

enum verb_argument {
	ARG_NONE,
	ARG_CHANNEL,
	ARG_CHANNEL_OPTIONAL,
	ARG_FILE,
};

#define VERB_WATCH   (1U << 0) /* takes --watch */
#define VERB_CHANGES (1U << 1) /* takes --dry-run; silent when done */
#define VERB_DANGER  (1U << 2) /* asks, or wants --yes */
#define VERB_LOCAL   (1U << 3) /* needs no daemon */
#define VERB_STREAM  (1U << 4) /* goes on until it is stopped */
#define VERB_CHECK   (1U << 5) /* takes --check */

struct options;

/**
 * struct column - one column of a table, or one line of a vertical one
 * @key: field of the entry, or of a group in it: "esp.local"
 * @format: NULL: as it stands
 * @colour: NULL: none
 */
struct column {
	const char *header;
	const char *key;
	void (*format)(const json_t *value, char *text, size_t size);
	int (*colour)(const json_t *value);
	bool right;
};

/** struct section - a list in the answer's data, or, @vertical, a single object */
struct section {
	const char *key;
	const char *title; /* NULL: no title */
	const char *empty; /* said when the list has no entry */
	const struct column *columns;
	size_t count;
	bool vertical;
};

/**
 * struct verb - one thing that qkdctl does: the only place where it is described
 * @wire: the daemon's verb; NULL: local
 * @text: what --help teaches
 * @examples: one a line, "command # what for"
 * @run: NULL: ask the daemon and show the answer
 */
struct verb {
	const char *noun;
	const char *verb; /* "" for a noun that is its own verb */
	enum verb_argument argument;
	unsigned int flags;
	const char *wire;
	const char *summary;
	const char *text;
	const char *examples;
	const struct section *sections;
	size_t section_count;
	int (*run)(const struct options *options);
};

extern const struct verb verbs[];
extern const size_t verb_count;

const struct verb *verb_find(const char *noun, const char *verb);
bool noun_exists(const char *noun);
const char *noun_summary(const char *noun);
/** "channel show NAME" */
void verb_usage(const struct verb *verb, char *text, size_t size);

/** One option, for help, completion and getopt. */
struct option_text {
	const char *name;
	char letter;
	const char *argument; /* NULL: none; "[SECS]": may be left out */
	unsigned int flags;   /* VERB_*: only for verbs that have one of these; 0: all */
	const char *summary;
};
extern const struct option_text option_texts[];
extern const size_t option_text_count;

struct options {
	const struct verb *verb;
	const char *argument; /* NAME or FILE, NULL if none */
	const char *socket;
	enum output output;
	double timeout; /* seconds */
	double watch;	/* seconds between two looks; 0: once */
	bool check;
	bool dry_run;
	bool yes;
	bool help;
	bool version;
	const char *help_noun; /* with @help: of this noun, if @verb is NULL */
};

/**
 * options_parse - reads a command line
 * Return: 0, or EXIT_USAGE after a sentence in @error that tells the way out.
 */
int options_parse(int argc, char **argv, struct options *options, char *error, size_t error_len);

void help_print(FILE *out, const struct options *options);
int complete_run(const struct options *options, int count, char **words);

/* ---- client ---- */

struct client;

/** Says on standard error what is wrong and what to do. Return: an exit code. */
int client_open(const struct options *options, struct client **client);
void client_close(struct client *client);
int client_send(struct client *client, const char *wire, json_t *args);

/**
 * client_receive - the next line
 * @wait: without the timeout of the options
 * @answer: new reference; NULL with EXIT_DONE: the daemon closed the connection
 */
int client_receive(struct client *client, bool wait, json_t **answer);

/** Exit code for an answer's error, said on standard error; EXIT_DONE if it has none. */
int client_error(const struct options *options, const json_t *answer);

/** One request, its data (new reference). */
int client_ask(const struct options *options, const char *wire, json_t *args, json_t **data);

/* ---- output ---- */

/** Prints @data of @verb as the options say. */
void show_data(FILE *out, const struct options *options, const json_t *data);

/** One event of `event follow`. */
void show_event(FILE *out, const struct options *options, const json_t *event);

/** Whether colours go to @out: a terminal, no NO_COLOR, TERM not dumb. */
bool show_colours(FILE *out);

/* ---- the verbs that do more than show an answer ---- */

int run_status(const struct options *options);
int run_add(const struct options *options);
int run_change(const struct options *options);
int run_follow(const struct options *options);
int run_check(const struct options *options);
int run_show(const struct options *options);

#endif
