// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/http_parse.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int fault(struct http_message *message, int status, const char *what)
{
	if (!message->fault) {
		message->fault = what;
		message->fault_status = status;
	}
	return HPE_USER;
}

/* -------- what llhttp tells -------- */

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	struct http_message *message = parser->data;

	/* The head is one piece, so the parts of the target lie side by side. */
	if (!message->target)
		message->target = at;
	message->target_len += len;
	return 0;
}

static bool name_is(const struct http_message *message, const char *name)
{
	return message->name_len == strlen(name) &&
	       strncasecmp(message->name, name, message->name_len) == 0;
}

static bool value_is(const struct http_message *message, const char *value)
{
	return message->value_len == strlen(value) &&
	       strncasecmp(message->value, value, message->value_len) == 0;
}

static bool all_digits(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return len > 0;
}

static int check_coding(struct http_message *message)
{
	message->codings++;
	if (message->kind == HTTP_REQUEST_MESSAGE)
		return 0; /* refused when the head is complete: by then we know how */
	if (message->codings > 1 || !value_is(message, "chunked"))
		return fault(message, 502, "Transfer-Encoding other than 'chunked'");
	return 0;
}

static int end_field(struct http_message *message)
{
	if (!message->name)
		return 0;
	/* Trailing blanks are not part of the value. */
	while (message->value_len && (message->value[message->value_len - 1] == ' ' ||
				      message->value[message->value_len - 1] == '\t'))
		message->value_len--;
	if (name_is(message, "host"))
		message->hosts++;
	else if (name_is(message, "transfer-encoding"))
		return check_coding(message);
	else if (name_is(message, "content-length")) {
		message->lengths++;
		if (message->lengths > 1 || !all_digits(message->value, message->value_len))
			return fault(message, 400, "Content-Length must be one number");
	} else if (name_is(message, "expect")) {
		if (!value_is(message, "100-continue"))
			return fault(message, 417, "Expect other than '100-continue'");
		message->expects_continue = true;
	}
	return 0;
}

static int on_trailer(struct http_message *message, size_t len)
{
	message->trailer += len;
	if (message->trailer > HTTP_HEAD_MAX)
		return fault(message, 502, "too many trailing headers");
	return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
	struct http_message *message = parser->data;

	if (message->head_done)
		return on_trailer(message, len);
	if (message->in_value || !message->name) {
		if (end_field(message))
			return HPE_USER;
		message->name = at;
		message->name_len = 0;
		message->value = at;
		message->value_len = 0;
		message->in_value = false;
	}
	message->name_len += len;
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct http_message *message = parser->data;

	if (message->head_done)
		return on_trailer(message, len);
	if (!message->in_value) {
		message->in_value = true;
		message->value = at;
		message->value_len = 0;
	}
	message->value_len += len;
	return 0;
}

static int check_request(struct http_message *message)
{
	if (message->hosts > 1 || (!message->hosts && !message->http_1_0))
		return fault(message, 400, "there must be one Host");
	if (message->codings && message->lengths)
		return fault(message, 400, "both Content-Length and Transfer-Encoding");
	if (message->codings)
		return fault(message, 411,
			     "Transfer-Encoding is not served: send a Content-Length");
	return 0;
}

static int check_answer(struct http_message *message)
{
	if (message->codings && (message->lengths || message->http_1_0))
		return fault(message, 502, "both Content-Length and Transfer-Encoding");
	if (message->status < 200 && (message->codings || message->lengths))
		return fault(message, 502, "an interim answer with a body");
	if (message->status == 101)
		return fault(message, 502, "a change of protocol that nobody asked for");
	return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
	struct http_message *message = parser->data;

	if (message->head_done)
		return 0;
	if (end_field(message))
		return -1;
	message->http_1_0 = parser->http_minor == 0;
	if (parser->http_major != 1 || parser->http_minor > 1) {
		fault(message, 505, "only HTTP/1.1 and HTTP/1.0 are served");
		return -1;
	}
	message->status = parser->status_code;
	message->method = llhttp_method_name(parser->method);
	if (message->kind == HTTP_REQUEST_MESSAGE ? check_request(message) : check_answer(message))
		return -1;
	if (message->lengths && parser->content_length > message->max_body) {
		fault(message, 413, "the body is too large");
		return -1;
	}
	return 0;
}

static int make_room(struct http_message *message, size_t len)
{
	size_t room = message->body_room ? message->body_room : 1024;
	uint8_t *body;

	if (len > message->max_body - message->body_len)
		return fault(message, 413, "the body is too large");
	/* One allocation when the length is known: nothing to wipe on the way. */
	if (!message->body_room && message->lengths)
		room = (size_t)message->parser.content_length + len;
	while (room < message->body_len + len)
		room *= 2;
	if (room <= message->body_room)
		return 0;
	body = malloc(room);
	if (!body)
		return fault(message, 503, "out of memory");
	if (message->body) {
		memcpy(body, message->body, message->body_len);
		OPENSSL_cleanse(message->body, message->body_room);
		free(message->body);
	}
	message->body = body;
	message->body_room = room;
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	struct http_message *message = parser->data;
	int rc = make_room(message, len);

	if (rc)
		return rc;
	memcpy(message->body + message->body_len, at, len);
	message->body_len += len;
	return 0;
}

static int on_complete(llhttp_t *parser)
{
	struct http_message *message = parser->data;

	message->complete = true;
	message->keep_alive = llhttp_should_keep_alive(parser);
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

/* -------- feeding it -------- */

static void prepare(struct http_message *message)
{
	llhttp_init(&message->parser,
		    message->kind == HTTP_REQUEST_MESSAGE ? HTTP_REQUEST : HTTP_RESPONSE,
		    &settings);
	message->parser.data = message;
}

struct http_message *http_message_new(enum http_kind kind, size_t max_body)
{
	struct http_message *message = calloc(1, sizeof(*message));

	if (!message)
		return NULL;
	message->kind = kind;
	message->max_body = max_body;
	prepare(message);
	return message;
}

void http_message_free(struct http_message *message)
{
	if (!message)
		return;
	if (message->body)
		OPENSSL_cleanse(message->body, message->body_room);
	free(message->body);
	OPENSSL_cleanse(message, sizeof(*message));
	free(message);
}

/* An error that llhttp found, in our words where it is a matter of status. */
static int refuse(struct http_message *message, llhttp_errno_t err)
{
	if (err == HPE_INVALID_METHOD)
		fault(message, 501, "unknown method");
	else if (err == HPE_INVALID_VERSION)
		fault(message, 505, "only HTTP/1.1 and HTTP/1.0 are served");
	else if (err == HPE_UNEXPECTED_CONTENT_LENGTH)
		fault(message, 400, "Content-Length must be one number, without Transfer-Encoding");
	else if (err == HPE_INVALID_CONTENT_LENGTH)
		fault(message, 400, "Content-Length must be one number");
	else
		fault(message, 400, "malformed HTTP message");
	return -EBADMSG;
}

static int execute(struct http_message *message, const char *data, size_t len, size_t *taken)
{
	llhttp_errno_t err = llhttp_execute(&message->parser, data, len);

	*taken = len;
	if (message->fault)
		return -EBADMSG;
	if (err == HPE_OK)
		return 0;
	if (!message->complete || (err != HPE_PAUSED && err != HPE_PAUSED_UPGRADE))
		return refuse(message, err);
	*taken = (size_t)(llhttp_get_error_pos(&message->parser) - data);
	return 0;
}

/* Gathers the head. Return: octets taken, or -EBADMSG. */
static int gather(struct http_message *message, const uint8_t *data, size_t len)
{
	size_t used = 0;

	while (used < len) {
		char before = message->head_len ? message->head[message->head_len - 1] : 0;
		char c = (char)data[used];

		if (message->head_len == sizeof(message->head)) {
			fault(message, 431, "the headers are larger than 8 KiB");
			return -EBADMSG;
		}
		if (!http_head_octet_fits(before, c) || !c) {
			fault(message, 400, "a line end that is not CR LF, or a NUL");
			return -EBADMSG;
		}
		message->head[message->head_len++] = c;
		used++;
		if (c == '\n' && message->head_len >= 4 &&
		    memcmp(message->head + message->head_len - 4, "\r\n\r\n", 4) == 0) {
			message->head_done = true;
			break;
		}
	}
	return (int)used;
}

static int parse_head(struct http_message *message)
{
	const char *wrong = http_head_check(message->kind, message->head, message->head_len);
	size_t taken;
	int rc;

	if (wrong) {
		fault(message, 400, wrong);
		return -EBADMSG;
	}
	message->head_done = false; /* for the callbacks: these are no trailers */
	rc = execute(message, message->head, message->head_len, &taken);
	message->head_done = true;
	return rc;
}

/* "100 Continue" and its kin announce the answer; they are none. */
static bool skip_interim(struct http_message *message)
{
	if (message->kind != HTTP_ANSWER_MESSAGE || !message->complete || message->status >= 200)
		return false;
	message->complete = false;
	if (++message->interim > 8) {
		fault(message, 502, "too many interim answers");
		return false;
	}
	message->head_len = 0;
	message->head_done = false;
	message->name = NULL;
	message->in_value = false;
	message->lengths = 0;
	message->codings = 0;
	prepare(message);
	return true;
}

static int feed_head(struct http_message *message, const uint8_t *data, size_t len)
{
	int used = gather(message, data, len);
	int rc;

	if (used < 0 || !message->head_done)
		return used;
	rc = parse_head(message);
	if (rc)
		return rc;
	if (skip_interim(message) || !message->fault)
		return used;
	return -EBADMSG;
}

int http_message_feed(struct http_message *message, const uint8_t *data, size_t len)
{
	size_t used = 0;

	if (message->fault)
		return -EBADMSG;
	while (used < len && !message->complete) {
		size_t taken;
		int rc;

		if (!message->head_done) {
			rc = feed_head(message, data + used, len - used);
			if (rc < 0)
				return rc;
			used += (size_t)rc;
			continue;
		}
		rc = execute(message, (const char *)data + used, len - used, &taken);
		if (rc)
			return rc;
		used += taken;
	}
	return (int)used;
}

int http_message_finish(struct http_message *message)
{
	if (message->fault || !message->head_done)
		return -EBADMSG;
	/* Pauses in on_complete(), which is what we want to know. */
	llhttp_finish(&message->parser);
	return message->complete ? 0 : -EBADMSG;
}

bool http_message_begun(const struct http_message *message)
{
	return message->head_len > 0;
}
