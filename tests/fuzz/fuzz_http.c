// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HTTP messages of strangers. The first octet: bit 0 chooses request or
 * answer, the rest seeds the cuts. However a message is cut, it must mean the
 * same; and what passes must obey the rules that keep two parsers in step.
 */
#include "loop/http.h"
#include "loop/http_parse.h"
#include <stdlib.h>
#include <string.h>

#define MAX_BODY 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail_if(bool wrong)
{
	if (wrong)
		abort();
}

/* Feeds in pieces of 1 to @cut octets. Return: octets taken, or -1. */
static long feed_cut(struct http_message *message, const uint8_t *data, size_t len, size_t cut)
{
	size_t at = 0;

	while (at < len && !message->complete) {
		size_t part = 1 + (at * 7 + cut) % cut;
		int rc = http_message_feed(message, data + at, part < len - at ? part : len - at);

		if (rc < 0)
			return -1;
		fail_if(rc == 0);
		at += (size_t)rc;
	}
	return (long)at;
}

static void check_request(const struct http_message *message)
{
	char path[HTTP_HEAD_MAX];

	fail_if(message->hosts > 1 || message->codings || message->lengths > 1);
	fail_if(!message->method || !message->target || !message->target_len);
	for (size_t i = 0; i < message->target_len; i++)
		fail_if(message->target[i] <= ' ' || message->target[i] > '~');
	http_percent_decode(message->target, message->target_len, false, path, sizeof(path));
}

static void check_answer(const struct http_message *message)
{
	fail_if(message->codings && message->lengths);
	fail_if(message->status < 200 || message->status > 999);
}

static void fuzz_query(const uint8_t *data, size_t len)
{
	char *query = strndup((const char *)data, len);
	char value[32];
	int rc;

	if (!query)
		return;
	rc = http_query_get(query, "key_ID", value, sizeof(value));
	fail_if(rc >= 0 && (size_t)rc != strlen(value));
	free(query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum http_kind kind;
	struct http_message *whole;
	struct http_message *parts;
	long took[2];

	if (size < 1)
		return 0;
	kind = data[0] & 1 ? HTTP_ANSWER_MESSAGE : HTTP_REQUEST_MESSAGE;
	whole = http_message_new(kind, MAX_BODY);
	parts = http_message_new(kind, MAX_BODY);
	if (!whole || !parts)
		abort();
	took[0] = feed_cut(whole, data + 1, size - 1, 1 << 20);
	took[1] = feed_cut(parts, data + 1, size - 1, 1 + data[0] / 2);
	/* Only where an error is found may depend on the cuts, not whether. */
	fail_if((took[0] < 0) != (took[1] < 0));
	fail_if(whole->complete != parts->complete);
	fail_if(took[0] < 0 && (!whole->fault || !whole->fault_status));
	if (whole->complete) {
		fail_if(took[0] != took[1] || whole->body_len != parts->body_len);
		fail_if(whole->body_len > MAX_BODY || whole->status != parts->status);
		fail_if(whole->body_len && memcmp(whole->body, parts->body, whole->body_len) != 0);
		if (kind == HTTP_REQUEST_MESSAGE)
			check_request(whole);
		else
			check_answer(whole);
	} else if (took[0] >= 0) {
		fail_if(http_message_finish(whole) != http_message_finish(parts));
	}
	http_message_free(whole);
	http_message_free(parts);
	fuzz_query(data + 1, size - 1);
	return 0;
}
