/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the admin socket share. admin.c has the connections,
 * admin_call.c the life of one request, admin_verbs.c what each verb does,
 * views*.c the JSON. docs/admin-protocol.md describes what callers see.
 */
#ifndef MANAGE_ADMIN_PARTS_H
#define MANAGE_ADMIN_PARTS_H

#include "loop/stream.h"
#include "manage/admin.h"
#include <jansson.h>

#define ADMIN_SCHEMA	  "qkdctl/1"
#define ADMIN_LINE_MAX	  65536	       /* octets of a request, with its line end */
#define ADMIN_ANSWER_MAX  (64U << 20)  /* octets of an answer */
#define ADMIN_PORTION	  (512U << 10) /* octets given to the stream at a time */
#define ADMIN_BEHIND_MAX  (1U << 20)   /* octets that a follower of events may be behind */
#define ADMIN_CONNECTIONS 64

struct admin_call;

/** A growing text; @failed: out of memory or over ADMIN_ANSWER_MAX, then it is empty. */
struct admin_text {
	char *data;
	size_t len;
	size_t room;
	bool failed;
};

void admin_text_add(struct admin_text *text, const char *data, size_t len);
void admin_text_free(struct admin_text *text);

/**
 * struct admin_conn - one caller
 * @line: input that is no whole line yet, or waits for the call under way
 * @call: the request under way; one at a time, answers come in order
 * @out: the answer on its way out, from @sent on
 * @follows: gets events
 * @closing: what came after an error that ends the connection is not read
 */
struct admin_conn {
	struct admin *admin;
	struct stream *stream;
	struct admin_conn *next;
	struct admin_conn **link;
	char *line;
	size_t used;
	struct admin_call *call;
	struct admin_text out;
	size_t sent;
	bool allowed;
	bool follows;
	bool closing;
};

struct admin {
	struct node *node;
	struct stream_listener *listener;
	struct admin_conn *conns;
	gid_t group; /* (gid_t)-1: none */
};

/**
 * struct admin_call - one request; ended by admin_call_ok(), _fail() or _list_end()
 * @conn: NULL once the caller has gone; the call goes on, its answer is dropped
 * @args: never NULL; an empty object if none were given
 *
 * names to error: of sa.list, which asks for one channel after the other.
 * @subject: of changes: what a person should know when it went well, or NULL
 */
struct admin_call {
	struct admin_conn *conn;
	struct node *node;
	json_t *args;
	struct admin_text text;
	bool any_entry;
	char **names;
	size_t name_count;
	size_t name_at;
	bool asking; /* within channels_epochs() */
	bool came;   /* it has answered */
	int error;
	char *subject;
	bool dry_run;
	bool quiet; /* what the change says is no news for people */
};

/** A request, the stream's text line; answers or starts it. */
void admin_call_start(struct admin_conn *conn, const char *line, size_t len);

/** Answers with @data (taken over, NULL: {}) and ends the call. */
void admin_call_ok(struct admin_call *call, json_t *data);

/** Answers with an error and ends the call. @details: taken over, may be NULL. */
__attribute__((format(printf, 4, 5))) void
admin_call_fail(struct admin_call *call, const char *code, json_t *details, const char *fmt, ...);

/** An answer in portions: {"NAME": [ENTRIES]}; entries are taken over. */
void admin_call_list_begin(struct admin_call *call, const char *name);
void admin_call_list_entry(struct admin_call *call, json_t *entry);
void admin_call_list_end(struct admin_call *call);

/** The caller's connection is gone. */
void admin_call_orphan(struct admin_call *call);

/** Sends a whole answer of @conn, taking over the text, then reads its next request. */
void admin_conn_answer(struct admin_conn *conn, struct admin_text *text);

/** Runs @verb, or says that there is none. */
void admin_verb_run(struct admin_call *call, const char *verb);

/* ---- views.c, views_channel.c: new references; NULL: out of memory ---- */

/** RFC 3339 in UTC with milliseconds; null for 0. */
json_t *view_time(uint64_t ns);
json_t *view_status(struct node *node);
json_t *view_links(struct node *node);
json_t *view_keys(struct node *node);
json_t *view_event(struct node *node, const struct channel_event *event);

/** @whole: with esp and macsec, as `channel show` wants it. */
json_t *view_channel(struct node *node, const struct channel_view *view, bool whole);

/** One direction of an epoch; null if no SA stands there. */
json_t *view_sa(struct node *node, const struct channel_view *view, const struct qkd_epoch *epoch,
		bool outbound);

/** Whether the keys of a channel are, or may be, simulated. */
bool view_simulated(struct node *node, const struct channel_view *view);
const char *view_state(const struct channel_view *view);
uint64_t view_now_ns(void);

#endif
