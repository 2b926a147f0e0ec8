/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of octets and packets. ESP: the kernel counts them and tells; MACsec:
 * it does neither, so the device is looked at. Nothing is done here but to say
 * to the epochs that a limit is reached: netlink_rollover_run() does the rest.
 */
#ifndef UNP_NETLINK_LIMIT_H
#define UNP_NETLINK_LIMIT_H

#include "unp/netlink/channel.h"

bool netlink_limit_is_set(const struct netlink_channel *c);

/** @sa will be the one in use: draws its limits, counts from here. Return: 0 or -errno. */
int netlink_limit_begin(struct netlink_channel *c, const struct netlink_sa *sa);

/** Asks the kernel what was sent, and counts it. */
void netlink_limit_look(struct netlink_channel *c);

/** The same if it is time to. */
void netlink_limit_look_if_due(struct netlink_channel *c);

/** The SA in use has reached a limit. @hard: and must go, or is gone */
void netlink_limit_reached(struct netlink_channel *c, bool hard);

#endif
