/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Orphans: channels that stand in the backend, but are neither in the
 * configuration nor added by qkdctl; they were taken out of it while the daemon
 * was down. Their SAs protect traffic until their keys end, and nobody feeds
 * them. Whether they go is the operator's to say. Used by channels.c alone.
 */
#ifndef UNP_ORPHAN_H
#define UNP_ORPHAN_H

#include "unp/channels.h"

/**
 * struct orphan
 * @record: as listed
 * @config: what the record tells of its configuration; has no link
 * @simulated: a key of its SAs is
 * @name: printable
 */
struct orphan {
	struct orphan *next;
	struct qkd_channel record;
	struct config_channel config;
	bool simulated;
	char name[QKD_NAME_BYTES];
};

/** Puts one in front of *@list. Return: it, or NULL: no memory. */
struct orphan *orphan_add(struct orphan **list, const struct qkd_channel *record);
struct orphan *orphan_find(struct orphan *list, const char *name);
struct orphan *orphan_find_id(struct orphan *list, uint32_t id);
/** Takes those with this name, or with this number if @name is NULL, off *@list. */
void orphan_drop(struct orphan **list, const char *name, uint32_t id);
void orphan_free_all(struct orphan **list);

void orphan_fill_view(const struct orphan *orphan, struct channel_view *view);

#endif
