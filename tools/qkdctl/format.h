/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON values as people read them: for the columns of tables. Each writes at
 * most @size octets; null and what is not of its type become "-".
 */
#ifndef QKDCTL_FORMAT_H
#define QKDCTL_FORMAT_H

#include <jansson.h>
#include <stddef.h>

/** Strings, numbers, yes and no, lists joined by ", ". */
void format_plain(const json_t *value, char *text, size_t size);
/** Milliseconds as "2.5 s", "1 min", "3 h 20 min". */
void format_ms(const json_t *value, char *text, size_t size);
/** The same, but "none" for 0. */
void format_limit(const json_t *value, char *text, size_t size);
/** A number; 0 is no limit. */
void format_limit_count(const json_t *value, char *text, size_t size);
/** Nanoseconds as microseconds: 12.3 us. */
void format_ns(const json_t *value, char *text, size_t size);
/** Octets: "1.2 MiB". */
void format_bytes(const json_t *value, char *text, size_t size);
/** bit/s: "12.5 kbit/s". */
void format_bps(const json_t *value, char *text, size_t size);
/** A ratio as "2.13 %". */
void format_percent(const json_t *value, char *text, size_t size);
/** Microseconds as "0.8 ms". */
void format_us(const json_t *value, char *text, size_t size);
/** RFC 3339 time as "12 s ago". */
void format_ago(const json_t *value, char *text, size_t size);
/** RFC 3339 time as "21:22:23.123" local time. */
void format_clock(const json_t *value, char *text, size_t size);
/** true: "SIM", else nothing. */
void format_simulated(const json_t *value, char *text, size_t size);
/** true: "up", false: "down". */
void format_up(const json_t *value, char *text, size_t size);
/** As format_plain(), but nothing for "" and null. */
void format_text(const json_t *value, char *text, size_t size);

int colour_state(const json_t *value);
int colour_up(const json_t *value);
int colour_simulated(const json_t *value);
int colour_text(const json_t *value);

#endif
