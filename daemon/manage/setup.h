/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done before the daemon runs: qkdkeyd --init and --check. */
#ifndef MANAGE_SETUP_H
#define MANAGE_SETUP_H

#include "config/config.h"

/**
 * setup_init - makes the state directory (mode 0700) and the master key
 *
 * Whatever is there already is left alone. The key gets the owner of the state
 * directory; a new default state directory gets the service's user (qkdkeyd),
 * if there is one. Says on standard output what it made, errors in the log.
 * Return: 0 or a negative errno.
 */
int setup_init(const struct config *config);

/**
 * setup_check - whether the files that the configuration names are of use:
 * certificates and keys load, the master key is there
 * Return: how many are not; each is reported.
 */
int setup_check(const struct config *config, void (*report)(const char *line, void *arg),
		void *arg);

#endif
