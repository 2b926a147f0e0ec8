/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A KM node: everything that one qkdkeyd runs, wired together by main.c. The
 * admin socket (manage/) reads it.
 */
#ifndef NODE_H
#define NODE_H

#include "config/config.h"
#include "km/kx.h"
#include "km/pool.h"
#include "km/store.h"
#include "loop/loop.h"
#include "unp/channels.h"

#define NODE_VERSION "0.1.0"

struct node {
	struct loop *loop;
	const char *config_path;
	struct config *config;
	struct store *store;
	struct kx *kx;
	struct channels *channels;
	/* one each per config->links, same order */
	struct source **sources;
	struct pool **pools;
	uint64_t started_ns; /* CLOCK_REALTIME */
};

#endif
