// SPDX-License-Identifier: GPL-2.0-or-later
#include "format.h"
#include "table.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static void format_list(const json_t *list, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < json_array_size(list) && used < size; i++) {
		char entry[128];

		format_plain(json_array_get(list, i), entry, sizeof(entry));
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", entry);
	}
}

void format_plain(const json_t *value, char *text, size_t size)
{
	if (json_is_string(value) && json_string_length(value))
		snprintf(text, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		snprintf(text, size, "%g", json_real_value(value));
	else if (json_is_boolean(value))
		snprintf(text, size, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value) && json_array_size(value))
		format_list(value, text, size);
	else
		snprintf(text, size, "-");
}

void format_text(const json_t *value, char *text, size_t size)
{
	format_plain(value, text, size);
	if (!strcmp(text, "-"))
		text[0] = '\0';
}

static void duration(double ms, char *text, size_t size)
{
	long long s = (long long)(ms / 1000);

	if (ms < 999.5)
		snprintf(text, size, "%.0f ms", ms);
	else if (ms < 60000)
		snprintf(text, size, "%.*f s", s * 1000 == (long long)ms ? 0 : 1, ms / 1000);
	else if (s < 3600)
		snprintf(text, size, s % 60 ? "%lld min %lld s" : "%lld min", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, size, s % 3600 / 60 ? "%lld h %lld min" : "%lld h", s / 3600,
			 s % 3600 / 60);
	else
		snprintf(text, size, s % 86400 / 3600 ? "%lld d %lld h" : "%lld d", s / 86400,
			 s % 86400 / 3600);
}

void format_ms(const json_t *value, char *text, size_t size)
{
	if (json_is_number(value))
		duration(json_number_value(value), text, size);
	else
		snprintf(text, size, "-");
}

void format_limit(const json_t *value, char *text, size_t size)
{
	if (json_is_integer(value) && !json_integer_value(value))
		snprintf(text, size, "none");
	else
		format_ms(value, text, size);
}

void format_limit_count(const json_t *value, char *text, size_t size)
{
	if (json_is_integer(value) && !json_integer_value(value))
		snprintf(text, size, "none");
	else
		format_plain(value, text, size);
}

void format_ns(const json_t *value, char *text, size_t size)
{
	if (json_is_number(value) && json_number_value(value) > 0)
		snprintf(text, size, "%.1f us", json_number_value(value) / 1000);
	else
		snprintf(text, size, "-");
}

void format_us(const json_t *value, char *text, size_t size)
{
	if (json_is_number(value))
		snprintf(text, size, "%.1f ms", json_number_value(value) / 1000);
	else
		snprintf(text, size, "-");
}

static void scaled(double number, double step, const char *const *units, char *text, size_t size)
{
	int unit = 0;

	while (number >= step && units[unit + 1]) {
		number /= step;
		unit++;
	}
	snprintf(text, size, unit ? "%.1f %s" : "%.0f %s", number, units[unit]);
}

void format_bytes(const json_t *value, char *text, size_t size)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", NULL};

	if (json_is_number(value))
		scaled(json_number_value(value), 1024, units, text, size);
	else
		snprintf(text, size, "-");
}

void format_bps(const json_t *value, char *text, size_t size)
{
	static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", NULL};

	if (json_is_number(value))
		scaled(json_number_value(value), 1000, units, text, size);
	else
		snprintf(text, size, "-");
}

void format_percent(const json_t *value, char *text, size_t size)
{
	if (json_is_number(value))
		snprintf(text, size, "%.2f %%", json_number_value(value) * 100);
	else
		snprintf(text, size, "-");
}

/* "2025-11-22T21:22:23.123Z", in milliseconds since 1970; -1 if it is none. */
static long long parse_time(const json_t *value)
{
	const char *text = json_string_value(value);
	struct tm tm = {0};
	long long ms = 0;
	const char *rest;

	if (!text)
		return -1;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return -1;
	if (*rest == '.') {
		int scale = 100;

		for (rest++; *rest >= '0' && *rest <= '9'; rest++) {
			ms += (*rest - '0') * scale;
			scale /= 10;
		}
	}
	return !strcmp(rest, "Z") ? (long long)timegm(&tm) * 1000 + ms : -1;
}

void format_ago(const json_t *value, char *text, size_t size)
{
	long long then = parse_time(value);
	struct timespec now;
	double ms;
	char span[48];

	if (then < 0) {
		snprintf(text, size, "-");
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	ms = (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6 - (double)then;
	duration(ms < 0 ? 0 : ms, span, sizeof(span));
	snprintf(text, size, "%s ago", span);
}

void format_clock(const json_t *value, char *text, size_t size)
{
	long long then = parse_time(value);
	time_t seconds = (time_t)(then / 1000);
	char clock[16];
	struct tm tm;

	if (then < 0 || !localtime_r(&seconds, &tm) ||
	    !strftime(clock, sizeof(clock), "%H:%M:%S", &tm)) {
		snprintf(text, size, "-");
		return;
	}
	snprintf(text, size, "%s.%03lld", clock, then % 1000);
}

void format_simulated(const json_t *value, char *text, size_t size)
{
	snprintf(text, size, "%s", json_is_true(value) ? "SIM" : "");
}

void format_up(const json_t *value, char *text, size_t size)
{
	snprintf(text, size, "%s", json_is_true(value) ? "up" : "down");
}

static bool is_one_of(const json_t *value, const char *const *words)
{
	const char *text = json_string_value(value);

	for (; text && *words; words++)
		if (!strcmp(text, *words))
			return true;
	return false;
}

int colour_state(const json_t *value)
{
	static const char *const good[] = {"active", "ok", NULL};
	static const char *const bad[] = {"blocked", "absent", NULL};
	static const char *const warn[] = {"idle", "overdue", "orphaned", "degraded", "low", NULL};

	if (is_one_of(value, good))
		return COLOUR_GOOD;
	if (is_one_of(value, bad))
		return COLOUR_BAD;
	return is_one_of(value, warn) ? COLOUR_WARN : COLOUR_NONE;
}

int colour_up(const json_t *value)
{
	return json_is_true(value) ? COLOUR_GOOD : COLOUR_BAD;
}

int colour_simulated(const json_t *value)
{
	return COLOUR_WARN;
}

int colour_text(const json_t *value)
{
	return COLOUR_WARN;
}
