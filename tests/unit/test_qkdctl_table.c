// SPDX-License-Identifier: GPL-2.0-or-later
/* qkdctl's tables and the words in their cells. The tool's sources are no library. */
#include "../../tools/qkdctl/format.c"
#include "../../tools/qkdctl/table.c"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

static char *printed;
static size_t printed_len;

static FILE *page(void)
{
	free(printed);
	printed = NULL;
	return open_memstream(&printed, &printed_len);
}

static struct table *sample(void)
{
	struct table *table = table_new(3);

	assert_non_null(table);
	table_header(table, 0, "NAME", false);
	table_header(table, 1, "N", true);
	table_header(table, 2, "MARK", false);
	assert_int_equal(table_row(table), 0);
	assert_int_equal(table_cell(table, 0, "a-long-name", COLOUR_NONE), 0);
	assert_int_equal(table_cell(table, 1, "7", COLOUR_BAD), 0);
	assert_int_equal(table_row(table), 0);
	assert_int_equal(table_cell(table, 0, "b", COLOUR_NONE), 0);
	assert_int_equal(table_cell(table, 1, "12345", COLOUR_NONE), 0);
	assert_int_equal(table_cell(table, 2, "SIM", COLOUR_WARN), 0);
	return table;
}

static void test_table(void **state)
{
	struct table *table = sample();
	FILE *out = page();

	table_print(table, out, false);
	fclose(out);
	assert_string_equal(printed, "NAME             N  MARK\n"
				     "a-long-name      7\n"
				     "b            12345  SIM\n");
	out = page();
	table_print(table, out, true);
	fclose(out);
	assert_non_null(strstr(printed, "a-long-name      \033[31m7\033[0m\n"));
	out = page();
	table_print_plain(table, out);
	fclose(out);
	assert_string_equal(printed, "a-long-name\t7\t\nb\t12345\tSIM\n");
	table_free(table);
}

static void test_vertical(void **state)
{
	struct table *table = table_new(3);
	FILE *out = page();

	table_header(table, 0, "Name", false);
	table_header(table, 1, "Long header", false);
	table_header(table, 2, "Empty", false);
	assert_int_equal(table_row(table), 0);
	table_cell(table, 0, "x", COLOUR_NONE);
	table_cell(table, 1, "y", COLOUR_NONE);
	table_print_vertical(table, out, false);
	fclose(out);
	assert_string_equal(printed, "Name:        x\nLong header: y\n");
	table_free(table);
}

/* Names come from files and peers: they must not steer the terminal. */
static void test_control_characters(void **state)
{
	struct table *table = table_new(1);
	FILE *out = page();

	table_header(table, 0, "N", false);
	assert_int_equal(table_row(table), 0);
	table_cell(table, 0, "a\033[2Jb\nc\td\x7f", COLOUR_NONE);
	table_print_plain(table, out);
	fclose(out);
	assert_string_equal(printed, "a?[2Jb?c?d?\n");
	table_free(table);
}

static void test_many_rows(void **state)
{
	struct table *table = table_new(2);
	FILE *out = page();
	char text[16];
	int lines = 0;

	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(table_row(table), 0);
		assert_int_equal(table_cell(table, 1, text, COLOUR_NONE), 0);
	}
	table_print_plain(table, out);
	fclose(out);
	for (size_t i = 0; i < printed_len; i++)
		lines += printed[i] == '\n';
	assert_int_equal(lines, 1000);
	assert_non_null(strstr(printed, "\n\t999\n"));
	table_free(table);
}

static void expect(void (*format)(const json_t *, char *, size_t), json_t *value, const char *want)
{
	char text[64];

	format(value, text, sizeof(text));
	json_decref(value);
	assert_string_equal(text, want);
}

static void test_formats(void **state)
{
	expect(format_plain, json_string("x"), "x");
	expect(format_plain, json_string(""), "-");
	expect(format_plain, json_null(), "-");
	expect(format_plain, json_true(), "yes");
	expect(format_plain, json_integer(-5), "-5");
	expect(format_plain, json_pack("[s, i]", "a", 2), "a, 2");
	expect(format_plain, json_array(), "-");
	expect(format_text, json_string(""), "");
	expect(format_ms, json_integer(900), "900 ms");
	expect(format_ms, json_integer(2000), "2 s");
	expect(format_ms, json_integer(2500), "2.5 s");
	expect(format_ms, json_integer(60000), "1 min");
	expect(format_ms, json_integer(3600000), "1 h");
	expect(format_ms, json_integer(12000000), "3 h 20 min");
	expect(format_ms, json_integer(90000000), "1 d 1 h");
	expect(format_ms, json_null(), "-");
	expect(format_limit, json_integer(0), "none");
	expect(format_limit, json_integer(1000), "1 s");
	expect(format_us, json_integer(1250), "1.2 ms");
	expect(format_bytes, json_integer(1023), "1023 B");
	expect(format_bytes, json_integer(1536), "1.5 KiB");
	expect(format_bytes, json_null(), "-");
	expect(format_bps, json_real(12500), "12.5 kbit/s");
	expect(format_percent, json_real(0.0213), "2.13 %");
	expect(format_percent, json_null(), "-");
	expect(format_simulated, json_true(), "SIM");
	expect(format_simulated, json_false(), "");
	expect(format_up, json_true(), "up");
	expect(format_up, json_null(), "down");
	expect(format_ago, json_string("2020-01-01T00:00:00Z garbage"), "-");
	expect(format_ago, json_string("yesterday"), "-");
	expect(format_ago, json_integer(4), "-");
	expect(format_ago, json_string("2999-01-01T00:00:00.5Z"), "0 ms ago");
}

static void test_clock(void **state)
{
	setenv("TZ", "UTC", 1);
	tzset();
	expect(format_clock, json_string("2025-11-22T21:22:23.045Z"), "21:22:23.045");
	expect(format_clock, json_string("2025-11-22T21:22:23Z"), "21:22:23.000");
	expect(format_clock, json_null(), "-");
}

static void test_long_text(void **state)
{
	char text[8];
	json_t *list = json_pack("[s, s, s]", "aaaa", "bbbb", "cccc");

	format_plain(list, text, sizeof(text));
	assert_string_equal(text, "aaaa, b");
	json_decref(list);
}

static int clean(void **state)
{
	free(printed);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	  cmocka_unit_test(test_vertical),
		cmocka_unit_test(test_many_rows), cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_formats),	  cmocka_unit_test(test_clock),
		cmocka_unit_test(test_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
