/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of octets and packets. ESP: the kernel counts them and tells; MACsec:
 * it does neither, so the device is looked at. Nothing is done here but to say
 * to the epochs that a limit is reached, or when an old SA is to go:
 * netlink_rollover_run() does the rest.
 */
#ifndef UNP_NETLINK_LIMIT_H
#define UNP_NETLINK_LIMIT_H

#include "unp/netlink/channel.h"

bool netlink_limit_is_set(const struct netlink_channel *c);

/** @sa will be the one in use: draws its limits, counts from here. Return: 0 or -errno. */
int netlink_limit_begin(struct netlink_channel *c, const struct netlink_sa *sa);

/**
 * netlink_limit_begin_stale - an earlier process left the SA that encrypts
 * ESP: the kernel still knows its limits. MACsec: nobody knows what it has sent;
 * from now on it may send as much as a new one before it goes.
 */
void netlink_limit_begin_stale(struct netlink_channel *c);

/** Asks the kernel what was sent, and counts it. */
void netlink_limit_look(struct netlink_channel *c);

/** The same if it is time to. */
void netlink_limit_look_if_due(struct netlink_channel *c);

/** When to look next, or NETLINK_NEVER. */
uint64_t netlink_limit_deadline(struct netlink_channel *c);

/** The SA in use has reached a limit. @hard: and must go, or is gone */
void netlink_limit_reached(struct netlink_channel *c, bool hard);

#endif
