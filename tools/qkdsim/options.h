/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QKDSIM_OPTIONS_H
#define QKDSIM_OPTIONS_H

#include "kme.h"
#include "link.h"

struct options {
	struct kme_settings kme[SIDES];
	struct link_settings link;
	const char *control;
	int ready_fd; /* -1: none */
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_HELP, /* printed: end well */
	OPTIONS_BAD,  /* printed: usage error */
};

enum options_result options_parse(int argc, char **argv, struct options *options);

#endif
