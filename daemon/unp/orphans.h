/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Orphans: channels that stand in the backend, but are neither in the
 * configuration nor added by qkdctl; they were taken out of it while the daemon
 * was down. Their SAs protect traffic until their keys end, and nobody feeds
 * them. Whether they go is the operator's to say. Used by channels.c alone.
 */
#ifndef UNP_ORPHANS_H
#define UNP_ORPHANS_H

#include "unp/channel.h"

struct orphans;
struct orphan;

/** @env: must stay until orphans_destroy(). NULL: no memory. */
struct orphans *orphans_create(struct channel_env *env);

/** Close the backend behind it: answers to come are let go. */
void orphans_destroy(struct orphans *orphans);

/** Asks the backend and the store which there are. Return: 0, or negative errno: ask again. */
int orphans_look(struct orphans *orphans);

/** NULL: there is none of that name. */
const struct orphan *orphans_find(const struct orphans *orphans, const char *name);

/** In the backend. */
uint32_t orphan_id(const struct orphan *orphan);

/** A channel takes the name: it is configured again. */
void orphans_take_in(struct orphans *orphans, const char *name);

/** It is gone from the backend. */
void orphans_gone(struct orphans *orphans, uint32_t id);

/**
 * orphans_delete - takes SAs, then policies down
 * @done: after an error it is listed still, and can be deleted again; -ENODEV: no backend
 * Return: 0, -ENOENT, -EBUSY: it is being deleted, or another negative errno: @done is not called.
 */
int orphans_delete(struct orphans *orphans, const char *name, channels_done_fn done, void *arg);

void orphan_fill_view(const struct orphan *orphan, struct channel_view *view);
void orphans_visit(const struct orphans *orphans,
		   void (*visit)(const struct channel_view *view, void *arg), void *arg);

#endif
