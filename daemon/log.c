// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages for people, on standard error. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 2048

static const struct {
	enum log_level level;
	const char *word;
} LEVELS[] = {
	{LOG_LEVEL_ERR, "error"},
	{LOG_LEVEL_WARNING, "warning"},
	{LOG_LEVEL_INFO, "info"},
	{LOG_LEVEL_DEBUG, "debug"},
};
#define LEVEL_COUNT (sizeof(LEVELS) / sizeof(LEVELS[0]))

static atomic_int max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&max_level, level, memory_order_relaxed);
}

int log_level_parse(const char *word, enum log_level *level)
{
	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		if (strcmp(word, LEVELS[i].word) == 0) {
			*level = LEVELS[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

static const char *level_word(enum log_level level)
{
	for (size_t i = 0; i < LEVEL_COUNT; i++)
		if (LEVELS[i].level == level)
			return LEVELS[i].word;
	return "?";
}

/** What stands before the message; see the head of log.h. */
static int prefix(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	char day[32];

	if (isatty(STDERR_FILENO))
		return snprintf(line, size, "%s: ", level_word(level));
	if (getenv("JOURNAL_STREAM"))
		return snprintf(line, size, "<%d>", (int)level);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	return snprintf(line, size, "%s.%03ldZ %s: ", day, now.tv_nsec / 1000000,
			level_word(level));
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_OCTETS];
	int head, body, saved = errno;
	size_t len;
	va_list args;

	if (!log_enabled(level))
		return;
	head = prefix(line, sizeof(line), level);
	va_start(args, format);
	body = vsnprintf(line + head, sizeof(line) - head - 1, format, args);
	va_end(args);
	if (body < 0)
		body = 0;
	len = (size_t)head + body;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2; /* cut, and room for the newline */
	for (size_t i = head; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	/* One write per line: lines of two threads do not mix. Nobody to tell if it fails. */
	(void)!write(STDERR_FILENO, line, len);
	errno = saved;
}

bool log_limit_pass(struct log_limit *limit)
{
	struct timespec now;
	uint64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	/* Plus one: 0 means that no window was opened yet. */
	ms = (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
	if (limit->window_ms == 0 || ms - limit->window_ms >= limit->interval_ms) {
		if (limit->dropped)
			log_warn("%u similar messages were left out", limit->dropped);
		limit->window_ms = ms;
		limit->count = 0;
		limit->dropped = 0;
	}
	if (limit->count < limit->burst) {
		limit->count++;
		return true;
	}
	limit->dropped++;
	return false;
}
