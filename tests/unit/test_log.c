// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages: levels, prefixes, no forged lines, limits; and the back-off. */
#include "log.h"
#include "km/backoff.h"
#include <stddef.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int saved = -1, ends[2];

/** From here, standard error goes into a pipe. */
static void capture(void)
{
	assert_int_equal(pipe(ends), 0);
	saved = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
}

/** What was written meanwhile. */
static const char *captured(void)
{
	static char text[16384];
	ssize_t len;

	dup2(saved, STDERR_FILENO);
	close(saved);
	len = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	assert_true(len >= 0);
	text[len] = '\0';
	return text;
}

static int set_up(void **state)
{
	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static void test_levels(void **state)
{
	enum log_level level;
	const char *text;

	capture();
	log_err("one");
	log_warn("two %d", 2);
	log_info("three");
	log_debug("four");
	text = captured();
	assert_non_null(strstr(text, "Z error: one\n"));
	assert_non_null(strstr(text, "Z warning: two 2\n"));
	assert_non_null(strstr(text, "Z info: three\n"));
	assert_null(strstr(text, "four"));
	assert_int_equal(log_level_parse("debug", &level), 0);
	log_set_level(level);
	assert_true(log_enabled(LOG_LEVEL_DEBUG));
	capture();
	log_debug("four");
	assert_non_null(strstr(captured(), "Z debug: four\n"));
	assert_int_equal(log_level_parse("error", &level), 0);
	log_set_level(level);
	capture();
	log_warn("two");
	log_err("one");
	assert_null(strstr(captured(), "two"));
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
}

static void test_journal(void **state)
{
	setenv("JOURNAL_STREAM", "8:12345", 1);
	capture();
	log_err("one");
	log_warn("two");
	log_info("three");
	assert_string_equal(captured(), "<3>one\n<4>two\n<6>three\n");
}

static void test_no_forged_lines(void **state)
{
	char long_text[5000];
	const char *text;

	setenv("JOURNAL_STREAM", "8:12345", 1);
	errno = EBADF;
	capture();
	log_info("peer says: %s", "x\n<3>all is lost\r\x1b[2J");
	assert_string_equal(captured(), "<6>peer says: x?<3>all is lost??[2J\n");
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	capture();
	log_info("%s", long_text);
	text = captured();
	assert_in_range(strlen(text), 2000, 2048);
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
}

static void test_errno_kept(void **state)
{
	capture();
	errno = ENOENT;
	log_info("x");
	assert_int_equal(errno, ENOENT);
	captured();
}

static void test_limit(void **state)
{
	struct log_limit limit = {.burst = 3, .interval_ms = 3600000};
	const char *text;
	int lines = 0;

	setenv("JOURNAL_STREAM", "8:12345", 1);
	capture();
	for (int i = 0; i < 100; i++)
		log_limited(LOG_LEVEL_WARNING, &limit, "again");
	limit.window_ms -= 3600000; /* an hour later */
	log_limited(LOG_LEVEL_WARNING, &limit, "again");
	text = captured();
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 5);
	assert_non_null(strstr(text, "97 similar messages were left out\n<4>again\n"));
	/* What is not written anyway does not count. */
	log_limited(LOG_LEVEL_DEBUG, &limit, "quiet");
	assert_int_equal(limit.count, 1);
}

static void test_backoff(void **state)
{
	uint64_t full = 100, lowest = UINT64_MAX, highest = 0;

	for (unsigned int failures = 1; failures < 40; failures++) {
		for (int i = 0; i < 50; i++) {
			uint64_t ms = km_backoff_ms(failures, 100, 10000);

			assert_in_range(ms, full / 2, full);
		}
		full = full * 2 > 10000 ? 10000 : full * 2;
	}
	assert_in_range(km_backoff_ms(0, 100, 10000), 50, 100);
	assert_in_range(km_backoff_ms(UINT32_MAX, 100, 10000), 5000, 10000);
	for (int i = 0; i < 1000; i++) {
		uint64_t ms = km_backoff_ms(20, 100, 10000);

		lowest = ms < lowest ? ms : lowest;
		highest = ms > highest ? ms : highest;
	}
	assert_true(highest - lowest > 1000); /* half of it is at random */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_levels, set_up),
		cmocka_unit_test_setup(test_journal, set_up),
		cmocka_unit_test_setup(test_no_forged_lines, set_up),
		cmocka_unit_test_setup(test_errno_kept, set_up),
		cmocka_unit_test_setup(test_limit, set_up),
		cmocka_unit_test_setup(test_backoff, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
