/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages for people, on standard error, one line each.
 *
 * Under systemd (JOURNAL_STREAM is set) a line begins with "<N>", the syslog
 * priority that journald reads (sd-daemon(3)). On a terminal it begins with
 * the level's word, in a file or pipe with the time (UTC) and the level's word.
 * Control characters in a message become '?', so that what a peer sent cannot
 * forge a line. Key bytes are never logged.
 *
 * Any thread may log.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

/** Values are syslog priorities. */
enum log_level {
	LOG_LEVEL_ERR = 3,     /* something does not work and needs a person */
	LOG_LEVEL_WARNING = 4, /* something is wrong but the daemon copes */
	LOG_LEVEL_INFO = 6,    /* a change of state worth a line */
	LOG_LEVEL_DEBUG = 7,
};

/** Drops messages above @level; LOG_LEVEL_INFO at start. */
void log_set_level(enum log_level level);

/** "error", "warning", "info" or "debug". Return: 0 or -EINVAL. */
int log_level_parse(const char *word, enum log_level *level);

/** Whether a message of @level would be written. */
bool log_enabled(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_write(enum log_level level, const char *format, ...);

#define log_err(...)   log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/**
 * struct log_limit - keeps a message that anyone can provoke from filling the log
 * @burst: messages let through per @interval_ms
 * @interval_ms: length of a window; the rest is private and starts as zero
 *
 * For one thread. Define it static: { .burst = 5, .interval_ms = 10000 }.
 */
struct log_limit {
	unsigned int burst;
	unsigned int interval_ms;
	uint64_t window_ms;
	unsigned int count;
	unsigned int dropped;
};

/**
 * log_limit_pass - whether the next message may be written
 *
 * When a new window opens after messages were dropped, one line says how many.
 */
bool log_limit_pass(struct log_limit *limit);

/** log_limited(LOG_LEVEL_WARNING, &limit, "...") */
#define log_limited(level, limit, ...)                                                             \
	do {                                                                                       \
		if (log_enabled(level) && log_limit_pass(limit))                                   \
			log_write(level, __VA_ARGS__);                                             \
	} while (0)

#endif
