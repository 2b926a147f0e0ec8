// SPDX-License-Identifier: GPL-2.0-or-later
/* --help at three depths, and the words for the completion: all from the verb table. */
#include "qkdctl.h"
#include <stdlib.h>
#include <string.h>

#define WIDTH	      78
#define EXAMPLE_WIDTH 40 /* a longer command stands below its comment */

/* Words of @text, wrapped; "\n\n" is a paragraph. */
static void print_wrapped(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " \n");

		if (column && column + 1 + word > WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		fprintf(out, "%s%.*s", column ? " " : "", (int)word, text);
		column += word + (column ? 1 : 0);
		text += word;
		if (!strncmp(text, "\n\n", 2)) {
			fputs("\n\n", out);
			column = 0;
			text++;
		}
		text += *text ? 1 : 0;
	}
	fputc('\n', out);
}

static void print_examples(FILE *out, const char *text)
{
	fputs("\nExamples:\n", out);
	while (*text) {
		size_t line = strcspn(text, "\n");
		const char *mark = memmem(text, line, " # ", 3);
		size_t command = mark ? (size_t)(mark - text) : line;

		if (mark && command <= EXAMPLE_WIDTH)
			fprintf(out, "  %-*.*s  # %.*s\n", EXAMPLE_WIDTH, (int)command, text,
				(int)(line - command - 3), mark + 3);
		else if (mark)
			fprintf(out, "  # %.*s\n  %.*s\n", (int)(line - command - 3), mark + 3,
				(int)command, text);
		else
			fprintf(out, "  %.*s\n", (int)command, text);
		text += line + (text[line] ? 1 : 0);
	}
}

static void print_option(FILE *out, const struct option_text *option)
{
	char left[48];
	const char *argument = option->argument ? option->argument : "";
	const char *between = !option->argument ? "" : *argument == '[' ? "[=" : " ";

	snprintf(left, sizeof(left), "-%c, --%s%s%s", option->letter, option->name, between,
		 *argument == '[' ? argument + 1 : argument);
	fprintf(out, "  %-24s %s\n", left, option->summary);
}

static void print_options(FILE *out, const struct verb *verb)
{
	fputs("\nOptions:\n", out);
	for (size_t i = 0; i < option_text_count; i++)
		if (!verb || !option_texts[i].flags || (option_texts[i].flags & verb->flags))
			print_option(out, &option_texts[i]);
}

static void print_verbs(FILE *out, const char *noun)
{
	char usage[64];

	for (size_t i = 0; i < verb_count; i++) {
		if (noun && strcmp(verbs[i].noun, noun))
			continue;
		verb_usage(&verbs[i], usage, sizeof(usage));
		fprintf(out, "  %-24s %s\n", usage, verbs[i].summary);
	}
}

static void print_verb(FILE *out, const struct verb *verb)
{
	char usage[64];

	verb_usage(verb, usage, sizeof(usage));
	fprintf(out, "Usage: qkdctl %s [OPTIONS]\n\n", usage);
	print_wrapped(out, verb->text);
	print_examples(out, verb->examples);
	print_options(out, verb);
}

static void print_noun(FILE *out, const char *noun)
{
	fprintf(out, "qkdctl %s: %s\n\n", noun, noun_summary(noun));
	print_verbs(out, noun);
	fprintf(out, "\nMore about one of them: qkdctl %s VERB --help\n", noun);
}

static void print_all(FILE *out)
{
	fputs("qkdctl shows and steers qkdkeyd, the key manager that puts QKD keys into the\n"
	      "kernel's IPsec and MACsec. Without arguments it shows the node's status.\n\n"
	      "Usage: qkdctl [OPTIONS] NOUN VERB [NAME]\n\n",
	      out);
	print_verbs(out, NULL);
	print_options(out, NULL);
	fputs("\nExit status: 0 done, 1 failed, 2 usage, 3 daemon not reachable, 4 no such\n"
	      "object, 5 permission, 6 degraded (status --check), 7 timed out.\n\n"
	      "JSON goes to standard output and is stable (additions apart); messages go to\n"
	      "standard error; tables are for people and may change. More: qkdctl NOUN\n"
	      "--help, qkdctl NOUN VERB --help, man qkdctl.\n",
	      out);
}

void help_print(FILE *out, const struct options *options)
{
	if (options->verb)
		print_verb(out, options->verb);
	else if (options->help_noun)
		print_noun(out, options->help_noun);
	else
		print_all(out);
}

static void complete_nouns(void)
{
	const char *last = "";

	for (size_t i = 0; i < verb_count; i++) {
		if (strcmp(last, verbs[i].noun))
			puts(verbs[i].noun);
		last = verbs[i].noun;
	}
}

static void complete_options(const struct verb *verb)
{
	for (size_t i = 0; i < option_text_count; i++)
		if (!verb || !option_texts[i].flags || (option_texts[i].flags & verb->flags))
			printf("--%s\n", option_texts[i].name);
}

/* Names of the daemon's channels; nothing at all if it cannot be asked. */
static void complete_channels(const struct options *options)
{
	struct options quick = *options;
	json_t *data = NULL;
	json_t *channel;
	size_t i;

	quick.timeout = 1;
	quick.output = OUTPUT_TABLE;
	if (!freopen("/dev/null", "w", stderr) ||
	    client_ask(&quick, "channel.list", NULL, &data) != EXIT_DONE)
		return;
	json_array_foreach(json_object_get(data, "channels"), i, channel) {
		const char *name = json_string_value(json_object_get(channel, "name"));

		if (name)
			puts(name);
	}
	json_decref(data);
}

static void complete_argument(const struct options *options, const struct verb *verb)
{
	if (verb->argument == ARG_CHANNEL || verb->argument == ARG_CHANNEL_OPTIONAL)
		complete_channels(options);
	else if (verb->argument == ARG_FILE)
		puts("@file");
}

/*
 * complete_run - `qkdctl __complete WORD...`: what may follow these words
 *
 * The last word is the one being typed. "@file" asks the shell for file names.
 */
int complete_run(const struct options *options, int count, char **words)
{
	const char *typed = count ? words[count - 1] : "";
	const char *before = count > 1 ? words[count - 2] : "";
	const char *word[2] = {NULL, NULL};
	const struct verb *verb = NULL;
	struct options asked = *options;
	int plain = 0;

	for (int i = 0; i < count - 1; i++) {
		bool socket = !strcmp(words[i], "--socket") || !strcmp(words[i], "-s");

		if (words[i][0] != '-' && plain < 2)
			word[plain] = words[i];
		plain += words[i][0] != '-';
		if (socket)
			asked.socket = words[i + 1];
		if (socket || !strcmp(words[i], "-o") || !strcmp(words[i], "--output") ||
		    !strcmp(words[i], "--timeout") || !strcmp(words[i], "-t"))
			i++;
	}
	if (plain)
		verb = verb_find(word[0], "");
	if (!verb && plain > 1)
		verb = verb_find(word[0], word[1]);
	if (!strcmp(before, "-o") || !strcmp(before, "--output"))
		puts("table\njson\njsonl\nplain");
	else if (!strcmp(before, "-s") || !strcmp(before, "--socket"))
		puts("@file");
	else if (typed[0] == '-')
		complete_options(verb);
	else if (!plain)
		complete_nouns();
	else if (verb && plain == (*verb->verb ? 2 : 1))
		complete_argument(&asked, verb);
	else if (!verb && plain == 1)
		for (size_t i = 0; i < verb_count; i++)
			if (!strcmp(verbs[i].noun, word[0]))
				puts(verbs[i].verb);
	return EXIT_DONE;
}
