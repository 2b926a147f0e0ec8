// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line against the verb table. Pure: prints nothing, exits nowhere. */
#include "qkdctl.h"
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONG_COUNT 16

static int fail(char *error, size_t error_len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(char *error, size_t error_len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, error_len, fmt, ap);
	va_end(ap);
	return EXIT_USAGE;
}

static bool parse_seconds(const char *text, double low, double *seconds)
{
	char *end;

	errno = 0;
	*seconds = strtod(text, &end);
	return !errno && end != text && !*end && isfinite(*seconds) && *seconds >= low &&
	       *seconds <= 86400;
}

static bool parse_output(const char *text, enum output *output)
{
	static const char *const words[] = {
		[OUTPUT_TABLE] = "table",
		[OUTPUT_JSON] = "json",
		[OUTPUT_JSONL] = "jsonl",
		[OUTPUT_PLAIN] = "plain",
	};

	for (int i = OUTPUT_TABLE; i <= OUTPUT_PLAIN; i++) {
		if (strcmp(text, words[i]))
			continue;
		*output = (enum output)i;
		return true;
	}
	return false;
}

/* Short and long options for getopt, from the table. A leading ':' keeps getopt quiet. */
static void make_getopt(char letters[2 + 3 * LONG_COUNT], struct option longs[LONG_COUNT + 1])
{
	char *l = letters;

	*l++ = ':';
	for (size_t i = 0; i < option_text_count; i++) {
		const struct option_text *text = &option_texts[i];
		int has = !text->argument	     ? no_argument
			  : text->argument[0] == '[' ? optional_argument
						     : required_argument;

		longs[i] = (struct option){text->name, has, NULL, text->letter};
		*l++ = text->letter;
		for (int colons = 0; colons < has; colons++)
			*l++ = ':';
	}
	*l = '\0';
	longs[option_text_count] = (struct option){NULL, 0, NULL, 0};
}

static int take_option(struct options *options, int letter, const char *value, char *error,
		       size_t len)
{
	switch (letter) {
	case 'o':
		if (!parse_output(value, &options->output))
			return fail(error, len, "-o %.40s: table, json, jsonl or plain", value);
		return 0;
	case 'j':
		options->output = OUTPUT_JSON;
		return 0;
	case 'w':
		options->watch = 2;
		if (value && !parse_seconds(value, 0.1, &options->watch))
			return fail(error, len, "--watch=%.40s: seconds from 0.1 to 86400", value);
		return 0;
	case 't':
		if (!parse_seconds(value, 0.001, &options->timeout))
			return fail(error, len, "--timeout %.40s: seconds from 0.001 to 86400",
				    value);
		return 0;
	case 's':
		options->socket = value;
		return 0;
	case 'c':
		options->check = true;
		return 0;
	case 'n':
		options->dry_run = true;
		return 0;
	case 'y':
		options->yes = true;
		return 0;
	case 'h':
		options->help = true;
		return 0;
	default:
		options->version = true;
		return 0;
	}
}

static void verbs_of(const char *noun, char *list, size_t size)
{
	size_t used = 0;

	list[0] = '\0';
	for (size_t i = 0; i < verb_count && used < size; i++)
		if (!strcmp(verbs[i].noun, noun))
			used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "",
						 verbs[i].verb);
}

static int find_verb(struct options *options, int *count, char ***words, char *error, size_t len)
{
	const char *noun = *count ? (*words)[0] : "status";
	int taken = *count ? 1 : 0;
	char list[128];

	if (!noun_exists(noun))
		return fail(error, len, "there is no %.40s here; `qkdctl --help` lists everything",
			    noun);
	options->verb = verb_find(noun, "");
	if (!options->verb && *count > 1) {
		options->verb = verb_find(noun, (*words)[1]);
		taken = 2;
	}
	options->help_noun = noun;
	verbs_of(noun, list, sizeof(list));
	if (!options->verb && *count > 1)
		return fail(error, len, "%s has no %.40s; it has: %s", noun, (*words)[1], list);
	if (!options->verb && !options->help)
		return fail(error, len,
			    "what about %s? There is: %s; `qkdctl %s --help` tells more", noun,
			    list, noun);
	*count -= options->verb ? taken : 1;
	*words += options->verb ? taken : 1;
	return 0;
}

static int take_words(struct options *options, int count, char **words, char *error, size_t len)
{
	const struct verb *verb;
	char usage[64];
	int err;

	if (options->help && !count)
		return 0;
	err = find_verb(options, &count, &words, error, len);
	verb = options->verb;
	if (err || options->help || !verb)
		return err;
	verb_usage(verb, usage, sizeof(usage));
	if (count && verb->argument != ARG_NONE) {
		options->argument = *words++;
		count--;
	}
	if (count)
		return fail(error, len, "%.40s is one word too many; it is: qkdctl %s", *words,
			    usage);
	if (!options->argument && (verb->argument == ARG_CHANNEL || verb->argument == ARG_FILE))
		return fail(error, len, "%s is missing; it is: qkdctl %s",
			    verb->argument == ARG_FILE ? "FILE" : "the channel's NAME", usage);
	return 0;
}

/* An option that has no meaning for the verb is a mistake, not to be ignored. */
static int check_fit(const struct options *options, char *error, size_t len)
{
	unsigned int flags = options->verb->flags;
	const char *wrong = NULL;

	if (options->watch > 0 && !(flags & VERB_WATCH))
		wrong = "--watch";
	else if (options->check && !(flags & VERB_CHECK))
		wrong = "--check";
	else if (options->dry_run && !(flags & VERB_CHANGES))
		wrong = "--dry-run";
	else if (options->yes && !(flags & VERB_DANGER))
		wrong = "--yes";
	if (wrong)
		return fail(error, len, "%s has no meaning for %s%s%s", wrong, options->verb->noun,
			    *options->verb->verb ? " " : "", options->verb->verb);
	if (options->watch > 0 && options->check)
		return fail(error, len, "--check looks once; leave --watch out");
	return 0;
}

int options_parse(int argc, char **argv, struct options *options, char *error, size_t error_len)
{
	struct option longs[LONG_COUNT + 1];
	char letters[2 + 3 * LONG_COUNT];
	const char *socket = getenv("QKDCTL_SOCKET");
	int letter;
	int err;

	memset(options, 0, sizeof(*options));
	options->timeout = 5;
	options->socket = socket && *socket ? socket : DEFAULT_SOCKET;
	make_getopt(letters, longs);
	opterr = 0;
	optind = 0; /* glibc: start anew, so that tests can parse twice */
	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (letter == ':')
			return fail(error, error_len, "%.40s needs a value; see qkdctl --help",
				    argv[optind - 1]);
		if (letter == '?')
			return fail(error, error_len,
				    "there is no option %.40s (or it takes no value); see qkdctl "
				    "--help",
				    argv[optind - 1]);
		err = take_option(options, letter, optarg, error, error_len);
		if (err)
			return err;
	}
	if (options->version)
		return 0;
	err = take_words(options, argc - optind, argv + optind, error, error_len);
	if (err || options->help)
		return err;
	return check_fit(options, error, error_len);
}
