/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether keys that the kernel holds are simulated. The kernel does not know;
 * the store has the mark of every key, used ones too, as their source gave it.
 * What the link's source says of itself by now does not count.
 */
#ifndef UNP_MARK_H
#define UNP_MARK_H

#include "km/store.h"
#include "unp/backend.h"

/** @simulated: an epoch that stands has a key with the mark */
typedef void (*mark_fn)(void *arg, int err, bool simulated);

/**
 * mark_ask - the marks of the epochs that stand
 * @channel: number, in @backend
 * @link: for the store; keys of others are found as well
 * Return: 0, or negative errno: @done is not called.
 */
int mark_ask(struct backend *backend, struct store *store, uint32_t channel, const char *link,
	     mark_fn done, void *arg);

#endif
