// SPDX-License-Identifier: GPL-2.0-or-later
/* What llhttp is too kind about: octets, line ends, spaces. */
#include "loop/http_parse.h"
#include <ctype.h>
#include <string.h>

bool http_head_octet_fits(char before, char c)
{
	return (before == '\r') == (c == '\n');
}

/* RFC 9110, 5.6.2 */
static bool is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *check_field(const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);

	if (!colon)
		return "header line without a colon";
	if (colon == line)
		return "header line without a name";
	if (*line == ' ' || *line == '\t')
		return "folded header line";
	for (const char *c = line; c < colon; c++)
		if (!is_token(*c))
			return *c == ' ' || *c == '\t' ? "space before the colon of a header line"
						       : "bad character in a header name";
	for (const char *c = colon + 1; c < line + len; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return "control character in a header line";
	return NULL;
}

/* "METHOD TARGET HTTP/1.1": printable ASCII and exactly two spaces. */
static const char *check_request_line(const char *line, size_t len)
{
	unsigned int spaces = 0;

	if (!len || !is_token(*line))
		return "the request line is missing";
	for (size_t i = 0; i < len; i++) {
		spaces += line[i] == ' ';
		if ((unsigned char)line[i] < 0x20 || (unsigned char)line[i] > 0x7e)
			return "bad character in the request line";
	}
	if (spaces != 2)
		return "the request line is not 'METHOD TARGET VERSION'";
	/* llhttp serves kindred protocols too. */
	return memmem(line, len, " HTTP/", 6) ? NULL : "the protocol is not HTTP";
}

static const char *check_status_line(const char *line, size_t len)
{
	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0)
		return "the answer is not HTTP/1.1";
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
			return "control character in the status line";
	return NULL;
}

const char *http_head_check(enum http_kind kind, const char *head, size_t len)
{
	const char *end = head + len - 2; /* the empty line */
	const char *line = head;
	bool first = true;

	while (line < end) {
		/* Every CR has its LF: checked as the octets came. */
		const char *cr = memchr(line, '\r', (size_t)(end - line));
		const char *wrong;

		if (!cr)
			return "unfinished header line";
		if (!first)
			wrong = check_field(line, (size_t)(cr - line));
		else if (kind == HTTP_REQUEST_MESSAGE)
			wrong = check_request_line(line, (size_t)(cr - line));
		else
			wrong = check_status_line(line, (size_t)(cr - line));
		if (wrong)
			return wrong;
		first = false;
		line = cr + 2;
	}
	return first ? "the first line is missing" : NULL;
}
