// SPDX-License-Identifier: GPL-2.0-or-later
/* The verbs that do more than show an answer. */
#include "config/config.h"
#include "qkdctl.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPEC_MAX 49152 /* a request line has at most 64 KiB; JSON may need more than the text */

static int ask_and_show(const struct options *options, json_t *args)
{
	json_t *data;
	int code = client_ask(options, options->verb->wire, args, &data);

	if (code == EXIT_DONE)
		show_data(stdout, options, data);
	json_decref(data);
	return code;
}

int run_show(const struct options *options)
{
	json_t *args = json_pack("{s:s*}", "channel", options->argument);
	int code = args ? ask_and_show(options, args) : EXIT_FAILED;

	json_decref(args);
	return code;
}

static int check_line(const json_t *data)
{
	const json_t *problems = json_object_get(data, "problems");
	size_t count = json_array_size(problems);
	const json_t *first = json_array_get(problems, 0);
	const char *object = json_string_value(json_object_get(first, "object"));
	const char *text = json_string_value(json_object_get(first, "text"));
	const char *mark =
		json_is_true(json_object_get(data, "simulated")) ? " [SIM: simulated keys]" : "";

	if (!json_is_true(json_object_get(data, "degraded"))) {
		printf("ok%s\n", mark);
		return EXIT_DONE;
	}
	printf("degraded: %s: %s", object ? object : "?", text ? text : "?");
	if (count > 1)
		printf(" (and %zu more)", count - 1);
	printf("%s\n", mark);
	return EXIT_DEGRADED;
}

int run_status(const struct options *options)
{
	json_t *data;
	int code;

	if (!options->check)
		return ask_and_show(options, NULL);
	code = client_ask(options, "status", NULL, &data);
	if (code != EXIT_DONE)
		return code;
	if (options->output == OUTPUT_TABLE || options->output == OUTPUT_PLAIN) {
		code = check_line(data);
	} else {
		show_data(stdout, options, data);
		code = json_is_true(json_object_get(data, "degraded")) ? EXIT_DEGRADED : EXIT_DONE;
	}
	json_decref(data);
	return code;
}

static int read_spec(const char *file, char *text, size_t *len)
{
	int fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
	ssize_t n = fd < 0 ? -1 : 1;

	*len = 0;
	while (n > 0 && *len <= SPEC_MAX) {
		n = read(fd, text + *len, SPEC_MAX + 1 - *len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			*len += (size_t)n;
	}
	if (n < 0)
		fprintf(stderr, "%s: cannot be read: %s\n", file, strerror(errno));
	else if (*len > SPEC_MAX)
		fprintf(stderr, "%s: larger than %d octets; one channel needs less\n", file,
			SPEC_MAX);
	if (fd > STDIN_FILENO)
		close(fd);
	return n < 0 || *len > SPEC_MAX ? EXIT_FAILED : EXIT_DONE;
}

/* What an action says, if anything: a note for people, and with JSON the data. */
static int act(const struct options *options, json_t *args)
{
	const char *note;
	json_t *data;
	int code;

	if (!args) {
		fprintf(stderr, "qkdctl: out of memory, or the text is not UTF-8\n");
		return EXIT_FAILED;
	}
	code = client_ask(options, options->verb->wire, args, &data);
	if (code != EXIT_DONE)
		return code;
	note = json_string_value(json_object_get(data, "note"));
	if (options->output == OUTPUT_JSON || options->output == OUTPUT_JSONL)
		show_data(stdout, options, data);
	else if (note)
		fprintf(options->dry_run ? stdout : stderr, "%s\n", note);
	json_decref(data);
	return EXIT_DONE;
}

int run_add(const struct options *options)
{
	char *text = malloc(SPEC_MAX + 1);
	json_t *args;
	size_t len;
	int code;

	if (!text)
		return EXIT_FAILED;
	code = read_spec(options->argument, text, &len);
	if (code == EXIT_DONE) {
		args = json_pack("{s:s#, s:s, s:b}", "yaml", text, (int)len, "origin",
				 strcmp(options->argument, "-") ? options->argument : "stdin",
				 "dry_run", options->dry_run);
		code = act(options, args);
		json_decref(args);
	}
	free(text);
	return code;
}

static int confirm(const struct options *options)
{
	char answer[8] = "";

	if (options->yes || options->dry_run || !(options->verb->flags & VERB_DANGER))
		return EXIT_DONE;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		fprintf(stderr,
			"qkdctl: %s %s takes protection away; say --yes to do it without being "
			"asked\n",
			options->verb->noun, options->verb->verb);
		return EXIT_USAGE;
	}
	fprintf(stderr,
		"Take channel %s down? Its SAs and policies go, and nothing protects its "
		"traffic then. [y/N] ",
		options->argument);
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return EXIT_DONE;
	fprintf(stderr, "qkdctl: nothing was changed\n");
	return EXIT_FAILED;
}

int run_change(const struct options *options)
{
	int code = confirm(options);
	json_t *args;

	if (code != EXIT_DONE)
		return code;
	args = json_pack("{s:s, s:b}", "channel", options->argument, "dry_run", options->dry_run);
	code = act(options, args);
	json_decref(args);
	return code;
}

static int follow(const struct options *options, struct client *client)
{
	json_t *answer = NULL;
	int code = client_send(client, options->verb->wire, NULL);

	if (code == EXIT_DONE)
		code = client_receive(client, false, &answer);
	if (code == EXIT_DONE && answer)
		code = client_error(options, answer);
	while (code == EXIT_DONE && answer) {
		json_decref(answer);
		answer = NULL;
		code = client_receive(client, true, &answer);
		if (code == EXIT_DONE && answer && json_object_get(answer, "error"))
			code = client_error(options, answer);
		else if (code == EXIT_DONE && answer)
			show_event(stdout, options, answer);
	}
	json_decref(answer);
	if (code != EXIT_DONE)
		return code;
	fprintf(stderr, "qkdctl: the daemon closed the connection\n");
	return EXIT_UNREACHABLE;
}

int run_follow(const struct options *options)
{
	struct client *client;
	int code = client_open(options, &client);

	if (code != EXIT_DONE)
		return code;
	code = follow(options, client);
	client_close(client);
	return code;
}

static void print_report(const char *line, void *arg)
{
	json_t *reports = arg;

	fprintf(stderr, "%s\n", line);
	json_array_append_new(reports, json_string(line));
}

int run_check(const struct options *options)
{
	json_t *reports = json_array();
	struct config *config = NULL;
	json_t *data;
	int err;

	if (!reports)
		return EXIT_FAILED;
	err = config_load(options->argument, print_report, reports, &config);
	config_free(config);
	data = json_pack("{s:s, s:b, s:o}", "file", options->argument, "good", !err, "mistakes",
			 reports);
	if (data && (options->output == OUTPUT_JSON || options->output == OUTPUT_JSONL))
		show_data(stdout, options, data);
	json_decref(data);
	return err ? EXIT_FAILED : EXIT_DONE;
}
