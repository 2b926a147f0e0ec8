/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The channels that stand in the backend, listed once for all channels that
 * attach at about the same time: at the start of a node with N channels, N
 * lists would be N * N records.
 *
 * A list is shown to one asker once. Who asks again, because things went
 * differently, gets a newer one, as does everybody after STANDING_MS. What is
 * deleted meanwhile is taken out of it.
 */
#ifndef UNP_STANDING_H
#define UNP_STANDING_H

#include "unp/backend.h"

#define STANDING_MS 1000

struct standing;

/** NULL: no memory. */
struct standing *standing_create(struct loop *loop);

/** Close the backend before: who still waits is told -ECANCELED when it answers. */
void standing_destroy(struct standing *standing);

/**
 * standing_ask - the channels that stand, as struct qkd_channel records
 * @seen: the asker's own, 0 at first: which list it was shown last. Must stay until @done.
 * @done: may be called before this returns. A record with id 0 says nothing: it was deleted.
 * Return: 0, or negative errno: @done is not called.
 */
int standing_ask(struct standing *standing, struct backend *backend, uint32_t *seen,
		 backend_list_fn done, void *arg);

/** Channel @id is deleted, or is about to be. */
void standing_forget(struct standing *standing, uint32_t id);

/** Nothing that was listed counts any more: the backend is another. */
void standing_drop(struct standing *standing);

#endif
