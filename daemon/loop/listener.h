/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LOOP_LISTENER_H
#define LOOP_LISTENER_H

#include "loop/stream.h"

/** Listens on the bound socket @fd; takes it over on success. @path: of a Unix socket. */
int stream_listener_start(struct loop *loop, int fd, struct tls_context *tls, const char *path,
			  unsigned int max_streams, unsigned int timeout_ms,
			  const struct stream_listener_ops *ops, void *arg,
			  struct stream_listener **listener);

#endif
