// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qkdkeyd: the options, what runs when, and the end. Everything that the node
 * consists of is made here and nowhere else.
 */
#include "config/config.h"
#include "km/secret.h"
#include "log.h"
#include "manage/setup.h"
#include "node_run.h"
#include "unp/fence.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONFIG "/etc/qkdkeyd/qkdkeyd.yaml"

enum action {
	ACTION_RUN,
	ACTION_CHECK,
	ACTION_INIT,
	ACTION_PROTECT,
};

struct arguments {
	const char *config;
	enum action action;
};

static const char help[] =
	"qkdkeyd is the key manager (KM) of a QKD network node: it takes keys from QKD\n"
	"devices and puts them into the kernel's IPsec and MACsec.\n"
	"\n"
	"Usage: qkdkeyd [--config FILE] [--log-level LEVEL]\n"
	"       qkdkeyd [--config FILE] --check | --init | --protect\n"
	"\n"
	"  -c, --config FILE      configuration (" DEFAULT_CONFIG ")\n"
	"  -k, --check            check the configuration and the files that it names, and end\n"
	"  -i, --init             make the state directory and the master key, and end\n"
	"  -p, --protect          block the traffic of the IPsec channels that is not protected\n"
	"                         yet, and end: at boot, before the network is up\n"
	"  -l, --log-level LEVEL  error, warning, info (default) or debug\n"
	"  -V, --version          the version\n"
	"  -h, --help             this\n"
	"\n"
	"First time on a host:\n"
	"  $EDITOR " DEFAULT_CONFIG "\n"
	"  qkdkeyd --check                   # says what is wrong, with file and line\n"
	"  qkdkeyd --init                    # once: key store and master key\n"
	"  systemctl enable --now qkdkeyd    # or: qkdkeyd, in the foreground\n"
	"  qkdctl status\n"
	"\n"
	"Signals: SIGTERM and SIGINT end it and leave the SAs in the kernel, where traffic\n"
	"and rollover go on; the next start re-attaches to them.\n"
	"\n"
	"Exit status: 0 ended as asked, 1 failed, 2 usage, 78 the configuration is wrong.\n"
	"More: man qkdkeyd, man qkdkeyd.conf.\n";

static int usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "qkdkeyd: %s%s; see qkdkeyd --help\n", arg, what);
	return NODE_EXIT_USAGE;
}

/* Return: -1 to go on, or an exit status. */
static int take_option(int letter, const char *value, struct arguments *arguments)
{
	enum log_level level;

	switch (letter) {
	case 'c':
		arguments->config = value;
		return -1;
	case 'k':
		arguments->action = ACTION_CHECK;
		return -1;
	case 'i':
		arguments->action = ACTION_INIT;
		return -1;
	case 'p':
		arguments->action = ACTION_PROTECT;
		return -1;
	case 'l':
		if (log_level_parse(value, &level))
			return usage_error(" is no level: error, warning, info or debug", value);
		log_set_level(level);
		return -1;
	case 'h':
		fputs(help, stdout);
		return NODE_EXIT_DONE;
	case 'V':
		printf("qkdkeyd %s\n", NODE_VERSION);
		return NODE_EXIT_DONE;
	default:
		return NODE_EXIT_USAGE; /* getopt has said why */
	}
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'},
		{"init", no_argument, NULL, 'i'},
		{"protect", no_argument, NULL, 'p'},
		{"log-level", required_argument, NULL, 'l'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "c:kipl:hV", longs, NULL)) != -1) {
		int code = take_option(letter, optarg, arguments);

		if (code >= 0)
			return code;
	}
	if (optind < argc)
		return usage_error(" is an argument too many", argv[optind]);
	return -1;
}

static void report_mistake(const char *line, void *arg)
{
	log_err("%s", line);
}

static int run_action(const struct arguments *arguments, struct config *config)
{
	switch (arguments->action) {
	case ACTION_CHECK:
		return setup_check(config, report_mistake, NULL) ? NODE_EXIT_CONFIG
								 : NODE_EXIT_DONE;
	case ACTION_INIT:
		return setup_init(config) ? NODE_EXIT_FAILED : NODE_EXIT_DONE;
	case ACTION_PROTECT:
		return fence_raise(config) ? NODE_EXIT_FAILED : NODE_EXIT_DONE;
	default:
		return node_run(config, arguments->config);
	}
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.config = DEFAULT_CONFIG};
	struct config *config;
	int code;
	int err;

	/* before anything of ours is in memory */
	err = secret_process_lockdown();
	code = parse_arguments(argc, argv, &arguments);
	if (code >= 0)
		return code;
	if (err) {
		log_err("core dumps of this process cannot be switched off: %s", strerror(-err));
		return NODE_EXIT_FAILED;
	}
	signal(SIGPIPE, SIG_IGN);
	err = config_load(arguments.config, report_mistake, NULL, &config);
	if (err) {
		log_err("%s cannot be used; see qkdkeyd.conf(5)", arguments.config);
		return NODE_EXIT_CONFIG;
	}
	code = run_action(&arguments, config);
	config_free(config);
	return code;
}
