// SPDX-License-Identifier: GPL-2.0-or-later
/* The words in which mistakes in the configuration are reported. */
#include "config/config_parts.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REPORT_MAX 768

const char *config_quote(const char *text, char quoted[CONFIG_QUOTE])
{
	size_t n = 0;

	quoted[n++] = '"';
	for (; *text && n < CONFIG_QUOTE - 5; text++)
		quoted[n++] = isprint((unsigned char)*text) ? *text : '?';
	if (*text) {
		memcpy(quoted + n, "...", 3);
		n += 3;
	}
	quoted[n++] = '"';
	quoted[n] = '\0';
	return quoted;
}

static void path_of(const struct config_node *node, char *path, size_t size)
{
	size_t used;

	if (!node->parent) {
		path[0] = '\0';
		return;
	}
	path_of(node->parent, path, size);
	used = strlen(path);
	if (node->key) {
		char quoted[CONFIG_QUOTE];

		/* a key is the operator's text; the quotes of config_quote() go */
		config_quote(node->key, quoted);
		quoted[strlen(quoted) - 1] = '\0';
		snprintf(path + used, size - used, "%s%s", used ? "." : "", quoted + 1);
	} else {
		snprintf(path + used, size - used, "[%u]", node->index);
	}
}

static void send(struct config_reports *reports, unsigned int line, const char *path,
		 const char *text)
{
	char report[REPORT_MAX];
	char where[16] = "";

	if (++reports->count > CONFIG_ERRORS_MAX) {
		if (reports->count == CONFIG_ERRORS_MAX + 1) {
			snprintf(report, sizeof(report),
				 "%s: more mistakes follow; fix these first", reports->origin);
			reports->report(report, reports->arg);
		}
		return;
	}
	if (line)
		snprintf(where, sizeof(where), ":%u", line);
	snprintf(report, sizeof(report), "%.200s%s: %s%s%s", reports->origin, where, path,
		 *path ? ": " : "", text);
	reports->report(report, reports->arg);
}

void config_report(struct config_reports *reports, const struct config_node *node,
		   const char *field, const char *fmt, ...)
{
	const struct config_node *at = field ? config_node_get(node, field) : node;
	unsigned int line = at ? at->line : (node ? node->line : 0);
	char path[256] = "";
	char text[448];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (node)
		path_of(node, path, sizeof(path));
	if (field) {
		size_t used = strlen(path);

		snprintf(path + used, sizeof(path) - used, "%s%s", used ? "." : "", field);
	}
	send(reports, line, path, text);
}

void config_report_line(struct config_reports *reports, unsigned int line, const char *fmt, ...)
{
	char text[448];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send(reports, line, "", text);
}
