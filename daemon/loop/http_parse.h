/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One HTTP message at a time, for both sides. llhttp parses; what it lets pass
 * and a second parser might read otherwise (RFC 9112, 11.2: request smuggling)
 * is refused before it sees it.
 */
#ifndef LOOP_HTTP_PARSE_H
#define LOOP_HTTP_PARSE_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192

enum http_kind {
	HTTP_REQUEST_MESSAGE,
	HTTP_ANSWER_MESSAGE,
};

/**
 * struct http_message - a message that is being read
 * @complete: all of it is here
 * @method: static string; requests
 * @target, @target_len: within @head; requests
 * @status: answers
 * @keep_alive: another message may follow on this connection
 * @expects_continue: the sender waits for "100 Continue"
 * @fault, @fault_status: what is wrong, and the status to answer
 */
struct http_message {
	llhttp_t parser;
	enum http_kind kind;
	size_t max_body;
	size_t head_len;
	bool head_done;
	bool complete;
	bool keep_alive;
	bool http_1_0;
	bool expects_continue;
	const char *method;
	const char *target;
	size_t target_len;
	int status;
	uint8_t *body;
	size_t body_len;
	size_t body_room;
	const char *fault;
	int fault_status;
	/* The header field at hand, and what was seen of those that matter. */
	const char *name;
	size_t name_len;
	const char *value;
	size_t value_len;
	bool in_value;
	unsigned int hosts;
	unsigned int lengths;
	unsigned int codings;
	size_t trailer;
	unsigned int interim;
	char head[HTTP_HEAD_MAX];
};

/** NULL: out of memory. */
struct http_message *http_message_new(enum http_kind kind, size_t max_body);

/** Wipes and frees; NULL is fine. */
void http_message_free(struct http_message *message);

/**
 * http_message_feed - takes octets of this message
 * Return: how many it took (fewer than @len only when it is complete);
 *         -EBADMSG: see fault and fault_status.
 */
int http_message_feed(struct http_message *message, const uint8_t *data, size_t len);

/** The connection ended in order: completes an answer that runs to the end. Else -EBADMSG. */
int http_message_finish(struct http_message *message);

/** Whether anything of it has come. */
bool http_message_begun(const struct http_message *message);

/* http_head.c: the strict look at a head, "\r\n\r\n" included. */

/** Whether @c may follow @before in a head: CR and LF come only as a pair. */
bool http_head_octet_fits(char before, char c);

/** NULL, or what is wrong. */
const char *http_head_check(enum http_kind kind, const char *head, size_t len);

/* query.c */

/**
 * http_percent_decode - decodes %XX
 * @plus: "+" means a space, as in queries
 * Return: length; -EINVAL (bad encoding, control character), -ENOSPC.
 *         Ends @out with a NUL.
 */
int http_percent_decode(const char *in, size_t len, bool plus, char *out, size_t size);

#endif
