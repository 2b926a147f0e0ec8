/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The admin socket: qkdctl's JSON requests, one line each, answered by one
 * line each (docs/admin-protocol.md). Callers are known by SO_PEERCRED: root,
 * the daemon's own user, and members of control.group may talk to it.
 */
#ifndef MANAGE_ADMIN_H
#define MANAGE_ADMIN_H

#include "node.h"

struct admin;

int admin_create(struct node *node, struct admin **admin, char *error, size_t error_len);
void admin_destroy(struct admin *admin);

/** Passes an event on to the callers that follow events. */
void admin_event(struct admin *admin, const struct channel_event *event);

#endif
