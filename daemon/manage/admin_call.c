// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of one request. */
#include "manage/admin_parts.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8 /* of a request; jansson itself stops at 2048 */

void admin_text_add(struct admin_text *text, const char *data, size_t len)
{
	size_t room = text->room ? text->room : 1024;
	char *grown;

	if (text->failed)
		return;
	while (room - text->len < len && room <= ADMIN_ANSWER_MAX)
		room *= 2;
	grown = room > ADMIN_ANSWER_MAX ? NULL
		: room == text->room	? text->data
					: realloc(text->data, room);
	if (!grown) {
		admin_text_free(text);
		text->failed = true;
		return;
	}
	text->data = grown;
	text->room = room;
	memcpy(text->data + text->len, data, len);
	text->len += len;
}

void admin_text_free(struct admin_text *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}

static int add_dump(const char *data, size_t len, void *arg)
{
	admin_text_add(arg, data, len);
	return 0;
}

static void add_json(struct admin_text *text, const json_t *value)
{
	if (!value || json_dump_callback(value, add_dump, text, JSON_COMPACT | JSON_ENCODE_ANY)) {
		admin_text_free(text);
		text->failed = true;
	}
}

static void add_string(struct admin_text *text, const char *string)
{
	admin_text_add(text, string, strlen(string));
}

static void free_call(struct admin_call *call)
{
	for (size_t i = 0; i < call->name_count; i++)
		free(call->names[i]);
	free(call->names);
	free(call->subject);
	json_decref(call->args);
	admin_text_free(&call->text);
	free(call);
}

/* Sends what call->text holds, or, if that failed, that it did. */
static void finish(struct admin_call *call)
{
	static const char failure[] = "{\"schema\":\"" ADMIN_SCHEMA "\",\"ok\":false,\"error\":"
				      "{\"code\":\"failed\",\"message\":\"the answer is larger "
				      "than 64 MiB, or memory ran out\"}}";
	struct admin_conn *conn = call->conn;
	struct admin_text text;

	if (call->text.failed) {
		call->text.failed = false;
		add_string(&call->text, failure);
	}
	add_string(&call->text, "\n");
	text = call->text;
	memset(&call->text, 0, sizeof(call->text));
	if (conn)
		conn->call = NULL;
	free_call(call);
	if (conn)
		admin_conn_answer(conn, &text);
	else
		admin_text_free(&text);
}

void admin_call_ok(struct admin_call *call, json_t *data)
{
	json_t *answer = json_pack("{s:s, s:b, s:o}", "schema", ADMIN_SCHEMA, "ok", true, "data",
				   data ? data : json_object());

	add_json(&call->text, answer);
	json_decref(answer);
	finish(call);
}

/* Bytes that are no UTF-8, from a file's name or a peer, must not lose the answer. */
static void make_ascii(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = '?';
}

void admin_call_fail(struct admin_call *call, const char *code, json_t *details, const char *fmt,
		     ...)
{
	char message[512];
	json_t *answer;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	make_ascii(message);
	admin_text_free(&call->text); /* the beginning of a list, perhaps */
	answer = json_pack("{s:s, s:b, s:{s:s, s:s, s:o*}}", "schema", ADMIN_SCHEMA, "ok", false,
			   "error", "code", code, "message", message, "details", details);
	add_json(&call->text, answer);
	json_decref(answer);
	finish(call);
}

void admin_call_list_begin(struct admin_call *call, const char *name)
{
	add_string(&call->text, "{\"schema\":\"" ADMIN_SCHEMA "\",\"ok\":true,\"data\":{\"");
	add_string(&call->text, name);
	add_string(&call->text, "\":[");
}

void admin_call_list_entry(struct admin_call *call, json_t *entry)
{
	if (json_is_null(entry)) {
		json_decref(entry);
		return;
	}
	if (call->any_entry)
		add_string(&call->text, ",");
	call->any_entry = true;
	add_json(&call->text, entry);
	json_decref(entry);
}

void admin_call_list_end(struct admin_call *call)
{
	add_string(&call->text, "]}}");
	finish(call);
}

void admin_call_orphan(struct admin_call *call)
{
	call->conn = NULL;
}

static bool too_deep(const json_t *value, int depth)
{
	const json_t *child;
	const char *key;
	size_t i;

	if (depth > DEPTH_MAX)
		return true;
	json_array_foreach(value, i, child)
		if (too_deep(child, depth + 1))
			return true;
	json_object_foreach((json_t *)value, key, child)
		if (too_deep(child, depth + 1))
			return true;
	return false;
}

/* Checks the envelope; NULL after the answer says what is wrong with it. */
static const char *envelope(struct admin_call *call, const json_t *request)
{
	const char *schema = json_string_value(json_object_get(request, "schema"));
	const char *verb = json_string_value(json_object_get(request, "verb"));
	json_t *args = json_object_get(request, "args");

	if (!json_is_object(request) || too_deep(request, 0)) {
		admin_call_fail(call, "bad_request", NULL,
				"a request is a JSON object with schema, verb and args");
		return NULL;
	}
	if (!schema || strcmp(schema, ADMIN_SCHEMA)) {
		admin_call_fail(call, "bad_request", NULL,
				"schema must be \"" ADMIN_SCHEMA
				"\"; this is qkdkeyd " NODE_VERSION);
		return NULL;
	}
	if (!verb) {
		admin_call_fail(call, "bad_request", NULL, "verb is missing");
		return NULL;
	}
	if (args && !json_is_object(args)) {
		admin_call_fail(call, "bad_request", NULL, "args must be an object");
		return NULL;
	}
	call->args = args ? json_incref(args) : json_object();
	return verb;
}

void admin_call_start(struct admin_conn *conn, const char *line, size_t len)
{
	struct admin_call *call = calloc(1, sizeof(*call));
	json_error_t error;
	json_t *request;
	const char *verb;

	if (!call) {
		stream_abort(conn->stream);
		return;
	}
	call->conn = conn;
	call->node = conn->admin->node;
	conn->call = call;
	if (!conn->allowed) {
		conn->closing = true;
		admin_call_fail(call, "permission", NULL,
				"you are neither root nor qkdkeyd's user nor in the group that "
				"control.group names");
		return;
	}
	request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!request) {
		admin_call_fail(call, "bad_request", NULL, "not JSON: %s at octet %d", error.text,
				error.position);
		return;
	}
	verb = envelope(call, request);
	if (verb)
		admin_verb_run(call, verb);
	json_decref(request);
}
