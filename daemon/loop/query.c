// SPDX-License-Identifier: GPL-2.0-or-later
/* Percent encoding (RFC 3986) and the parameters of a query. */
#include "loop/http.h"
#include "loop/http_parse.h"
#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int http_percent_decode(const char *in, size_t len, bool plus, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)in[i];

		if (c == '%') {
			int high = len - i > 2 ? hex_digit(in[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(in[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -EINVAL;
			c = high << 4 | low;
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		/* A NUL or a line end would mean another thing to whoever reads on. */
		if (c < 0x20 || c == 0x7f)
			return -EINVAL;
		if (used + 1 >= size)
			return -ENOSPC;
		out[used++] = (char)c;
	}
	if (used >= size)
		return -ENOSPC;
	out[used] = 0;
	return (int)used;
}

/* Whether the parameter at @part is @name: 1, 0, or -EINVAL. */
static int is_named(const char *part, size_t len, const char *name)
{
	char decoded[256];
	int rc = http_percent_decode(part, len, true, decoded, sizeof(decoded));

	if (rc == -EINVAL)
		return rc;
	return rc >= 0 && strcmp(decoded, name) == 0;
}

int http_query_get(const char *query, const char *name, char *value, size_t size)
{
	int found = -ENOENT;

	while (*query) {
		size_t len = strcspn(query, "&");
		size_t name_len = strcspn(query, "=&");
		int rc = is_named(query, name_len, name);

		if (rc < 0)
			return rc;
		if (rc && found != -ENOENT)
			return -EINVAL;
		if (rc) {
			size_t skip = name_len < len ? name_len + 1 : len;

			found = http_percent_decode(query + skip, len - skip, true, value, size);
			if (found < 0)
				return found;
		}
		query += len + (query[len] == '&');
	}
	return found;
}
