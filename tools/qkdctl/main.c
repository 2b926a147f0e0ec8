// SPDX-License-Identifier: GPL-2.0-or-later
/* qkdctl: shows and steers qkdkeyd. */
#include "node.h"
#include "qkdctl.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int run_once(const struct options *options)
{
	return options->verb->run ? options->verb->run(options) : run_show(options);
}

static int watch(const struct options *options)
{
	struct timespec pause = {
		.tv_sec = (time_t)options->watch,
		.tv_nsec = (long)((options->watch - (double)(time_t)options->watch) * 1e9),
	};
	bool screen = options->output == OUTPUT_TABLE && isatty(STDOUT_FILENO);

	for (;;) {
		int code;

		if (screen)
			fputs("\033[H\033[2J\033[3J", stdout);
		code = run_once(options);
		/* a daemon that restarts is waited for; a mistake of ours is not */
		if (code != EXIT_DONE && code != EXIT_UNREACHABLE && code != EXIT_TIMEOUT)
			return code;
		if (!screen && options->output == OUTPUT_TABLE)
			putchar('\n');
		if (fflush(stdout))
			return EXIT_FAILED;
		nanosleep(&pause, NULL);
	}
}

/* A full disk or a closed pipe must not look like success. */
static int finish(int code)
{
	if (fflush(stdout) || ferror(stdout)) {
		perror("qkdctl: standard output");
		return code == EXIT_DONE ? EXIT_FAILED : code;
	}
	return code;
}

int main(int argc, char **argv)
{
	struct options options;
	char error[256];

	if (argc > 1 && !strcmp(argv[1], "__complete")) {
		options_parse(1, argv, &options, error, sizeof(error));
		return finish(complete_run(&options, argc - 2, argv + 2));
	}
	if (options_parse(argc, argv, &options, error, sizeof(error))) {
		fprintf(stderr, "qkdctl: %s\n", error);
		return EXIT_USAGE;
	}
	if (options.version) {
		printf("qkdctl %s\n", NODE_VERSION);
		return finish(EXIT_DONE);
	}
	if (options.help) {
		help_print(stdout, &options);
		return finish(EXIT_DONE);
	}
	return finish(options.watch > 0 ? watch(&options) : run_once(&options));
}
