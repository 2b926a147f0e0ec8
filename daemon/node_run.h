/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUN_H
#define NODE_RUN_H

#include "node.h"

/** Exit codes of qkdkeyd, see qkdkeyd(8). 78 is EX_CONFIG, which systemd knows. */
enum node_exit {
	NODE_EXIT_DONE = 0,
	NODE_EXIT_FAILED = 1,
	NODE_EXIT_USAGE = 2,
	NODE_EXIT_CONFIG = 78,
};

/**
 * node_run - makes the node, runs it until a signal ends it, takes it apart
 *
 * SAs and policies stay in the kernel. Errors are logged with their way out.
 * Return: an exit code.
 */
int node_run(struct config *config, const char *config_path);

#endif
