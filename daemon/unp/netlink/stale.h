/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an earlier process left of a channel goes on until new SAs are in use,
 * but not longer than that process would have kept it without new keys.
 */
#ifndef UNP_NETLINK_STALE_H
#define UNP_NETLINK_STALE_H

#include "unp/netlink/channel.h"

/** The channel was just added. */
void netlink_stale_take_over(struct netlink_channel *c);

/** The first new epoch encrypts. */
void netlink_stale_switched(struct netlink_channel *c);

/** The peer encrypts with @epoch, or with none: QKD_EPOCH_NONE. */
void netlink_stale_peer_moved(struct netlink_channel *c, uint64_t epoch);

/** Nothing of it may be sent with any more. Return: 0, or -errno: it stands still. */
int netlink_stale_block(struct netlink_channel *c);

/** Removes what is to go by now. Return: 0, or -errno: something of it stands still. */
int netlink_stale_remove_due(struct netlink_channel *c);

/** When there will be something to remove, or NETLINK_NEVER. */
uint64_t netlink_stale_deadline(const struct netlink_channel *c);

#endif
