// SPDX-License-Identifier: GPL-2.0-or-later
/* qkdctl's command line, and that help, manual page and verb table agree. */
#include "../../tools/qkdctl/columns.c"
#include "../../tools/qkdctl/format.c"
#include "../../tools/qkdctl/help.c"
#include "../../tools/qkdctl/options.c"
#include "../../tools/qkdctl/verbs.c"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

/* What the verbs would do is not of interest here. */
int run_status(const struct options *options)
{
	return -1;
}

int run_add(const struct options *options)
{
	return -1;
}

int run_change(const struct options *options)
{
	return -1;
}

int run_follow(const struct options *options)
{
	return -1;
}

int run_check(const struct options *options)
{
	return -1;
}

int run_show(const struct options *options)
{
	return -1;
}

int client_ask(const struct options *options, const char *wire, json_t *args, json_t **data)
{
	return EXIT_UNREACHABLE;
}

static struct options options;
static char error[256];

/* Splits @line at spaces. */
static int parse(const char *line)
{
	static char copy[512];
	char *argv[32] = {(char *)"qkdctl"};
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	error[0] = '\0';
	return options_parse(argc, argv, &options, error, sizeof(error));
}

static void expect_verb(const char *line, const char *noun, const char *verb)
{
	int err = parse(line);

	if (err)
		fprintf(stderr, "%s: %s\n", line, error);
	assert_int_equal(err, 0);
	assert_ptr_equal(options.verb, verb_find(noun, verb));
}

static void expect_usage(const char *line, const char *words)
{
	assert_int_equal(parse(line), EXIT_USAGE);
	if (!strstr(error, words))
		fprintf(stderr, "%s: %s\n", line, error);
	assert_non_null(strstr(error, words));
}

static void test_verbs(void **state)
{
	unsetenv("QKDCTL_SOCKET");
	expect_verb("", "status", "");
	assert_string_equal(options.socket, "/run/qkdkeyd/control.sock");
	assert_int_equal(options.output, OUTPUT_TABLE);
	assert_true(options.timeout == 5);
	expect_verb("status --check", "status", "");
	assert_true(options.check);
	expect_verb("--json link list", "link", "list");
	assert_int_equal(options.output, OUTPUT_JSON);
	expect_verb("link list -o plain", "link", "list");
	assert_int_equal(options.output, OUTPUT_PLAIN);
	expect_verb("-w channel list", "channel", "list");
	assert_true(options.watch == 2);
	expect_verb("channel list --watch=0.5", "channel", "list");
	assert_true(options.watch == 0.5);
	expect_verb("channel show x --timeout 1.5 --socket /s", "channel", "show");
	assert_string_equal(options.argument, "x");
	assert_string_equal(options.socket, "/s");
	assert_true(options.timeout == 1.5);
	expect_verb("channel delete --yes -n x", "channel", "delete");
	assert_true(options.yes && options.dry_run);
	expect_verb("sa list", "sa", "list");
	assert_null(options.argument);
	expect_verb("sa list x", "sa", "list");
	assert_string_equal(options.argument, "x");
	expect_verb("channel add -", "channel", "add");
	assert_string_equal(options.argument, "-");
	expect_verb("channel show -- -x", "channel", "show");
	assert_string_equal(options.argument, "-x");
}

static void test_socket_from_environment(void **state)
{
	setenv("QKDCTL_SOCKET", "/e", 1);
	expect_verb("status", "status", "");
	assert_string_equal(options.socket, "/e");
	expect_verb("status -s /o", "status", "");
	assert_string_equal(options.socket, "/o");
	unsetenv("QKDCTL_SOCKET");
}

static void test_usage(void **state)
{
	expect_usage("chanel list", "there is no chanel here");
	expect_usage("channel", "There is: list, show, add, delete, rollover");
	expect_usage("channel lst", "channel has no lst; it has: list, show");
	expect_usage("channel show", "the channel's NAME is missing");
	expect_usage("channel add", "FILE is missing");
	expect_usage("channel show a b", "b is one word too many");
	expect_usage("status x", "x is one word too many");
	expect_usage("link list --yes", "--yes has no meaning for link list");
	expect_usage("link list -n", "--dry-run has no meaning");
	expect_usage("channel list --check", "--check has no meaning");
	expect_usage("channel add f --watch", "--watch has no meaning");
	expect_usage("event follow --watch", "--watch has no meaning");
	expect_usage("status --check --watch", "--check looks once");
	expect_usage("-o yaml", "table, json, jsonl or plain");
	expect_usage("--watch=nan", "--watch=nan");
	expect_usage("--watch=0", "--watch=0");
	expect_usage("--timeout -1", "--timeout -1");
	expect_usage("--timeout 1e9", "--timeout");
	expect_usage("--timeout", "needs a value");
	expect_usage("--frobnicate", "no option --frobnicate");
	expect_usage("--json=x", "takes no value");
}

static void test_help(void **state)
{
	assert_int_equal(parse("--help"), 0);
	assert_true(options.help && !options.verb && !options.help_noun);
	assert_int_equal(parse("channel --help"), 0);
	assert_true(options.help && !options.verb);
	assert_string_equal(options.help_noun, "channel");
	assert_int_equal(parse("channel show --help"), 0);
	assert_ptr_equal(options.verb, verb_find("channel", "show"));
	assert_int_equal(parse("nix --help"), EXIT_USAGE);
	assert_int_equal(parse("--version nix"), 0);
	assert_true(options.version);
}

static char *help_of(const char *line)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(parse(line), 0);
	help_print(out, &options);
	fclose(out);
	return text;
}

/* Every verb teaches: text, an example that parses, no line wider than a terminal. */
static void test_help_teaches(void **state)
{
	for (size_t i = 0; i < verb_count; i++) {
		char line[128];
		char *text;

		snprintf(line, sizeof(line), "%s %s --help", verbs[i].noun, verbs[i].verb);
		text = help_of(line);
		assert_non_null(strstr(text, "Usage: qkdctl "));
		assert_non_null(strstr(text, "Examples:"));
		assert_true(strlen(verbs[i].text) > 50);
		assert_non_null(noun_summary(verbs[i].noun));
		for (char *row = strtok(text, "\n"); row; row = strtok(NULL, "\n"))
			assert_true(strlen(row) <= 100);
		free(text);
		if (strncmp(verbs[i].examples, "qkdctl ", 7))
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(verbs[i].examples + 7, "#|\n"),
			 verbs[i].examples + 7);
		assert_int_equal(parse(line), 0);
		assert_ptr_equal(options.verb, &verbs[i]);
	}
}

static char *read_page(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 18);

	if (file && text && !fread(text, 1, (1 << 18) - 1, file))
		text[0] = '\0';
	if (file)
		fclose(file);
	return file ? text : (free(text), NULL);
}

/* The manual page is written by hand; this is what keeps it from drifting. */
static void test_manual(void **state)
{
	char *page = read_page("docs/qkdctl.1.scd");
	char want[96];

	if (!page)
		skip(); /* not run from the source folder */
	for (size_t i = 0; i < verb_count; i++) {
		char usage[64];

		verb_usage(&verbs[i], usage, sizeof(usage));
		snprintf(want, sizeof(want), "*%s%s%s*", verbs[i].noun, *verbs[i].verb ? " " : "",
			 verbs[i].verb);
		if (!strstr(page, want))
			fail_msg("docs/qkdctl.1.scd does not have %s", want);
	}
	for (size_t i = 0; i < option_text_count; i++) {
		snprintf(want, sizeof(want), "*-%c*, *--%s*", option_texts[i].letter,
			 option_texts[i].name);
		if (!strstr(page, want))
			fail_msg("docs/qkdctl.1.scd does not have %s", want);
	}
	free(page);
}

static void complete(char *got, size_t size, int count, char **words)
{
	int saved = dup(STDOUT_FILENO);
	int fds[2];
	ssize_t n;

	fflush(stdout);
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDOUT_FILENO);
	complete_run(&options, count, words);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], got, size - 1);
	got[n > 0 ? n : 0] = '\0';
	close(fds[0]);
}

static void test_completion(void **state)
{
	char *nothing[] = {(char *)""};
	char *verb[] = {(char *)"--json", (char *)"channel", (char *)""};
	char *value[] = {(char *)"-o", (char *)"js"};
	char *option[] = {(char *)"channel", (char *)"delete", (char *)"--"};
	char *file[] = {(char *)"config", (char *)"check", (char *)"/e"};
	char *end[] = {(char *)"link", (char *)"list", (char *)""};
	char got[1024];

	complete(got, sizeof(got), 1, nothing);
	assert_string_equal(got, "status\nlink\nchannel\nkey\nsa\nevent\nconfig\n");
	complete(got, sizeof(got), 3, verb);
	assert_string_equal(got, "list\nshow\nadd\ndelete\nrollover\n");
	complete(got, sizeof(got), 2, value);
	assert_string_equal(got, "table\njson\njsonl\nplain\n");
	complete(got, sizeof(got), 3, option);
	assert_non_null(strstr(got, "--dry-run\n"));
	assert_non_null(strstr(got, "--yes\n"));
	assert_null(strstr(got, "--watch"));
	complete(got, sizeof(got), 3, file);
	assert_string_equal(got, "@file\n");
	complete(got, sizeof(got), 3, end);
	assert_string_equal(got, "");
	complete(got, sizeof(got), 0, NULL);
	assert_non_null(strstr(got, "status\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),	     cmocka_unit_test(test_socket_from_environment),
		cmocka_unit_test(test_usage),	     cmocka_unit_test(test_help),
		cmocka_unit_test(test_help_teaches), cmocka_unit_test(test_manual),
		cmocka_unit_test(test_completion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
