/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a channel does in time: kmod/epochs.c says what is due; this does it to
 * the SAs, has it reported, and sets the timer for what comes next. The
 * counterpart of kmod/rollover.c.
 */
#ifndef UNP_NETLINK_ROLLOVER_H
#define UNP_NETLINK_ROLLOVER_H

#include "unp/netlink/channel.h"

/** All that is due now. After each input to the channel. */
void netlink_rollover_run(struct netlink_channel *c);

/** The channel's timer. */
void netlink_rollover_fired(void *channel);

/**
 * netlink_rollover_clear - takes all SAs of the channel down
 * Return: 0; -errno: an SA stands still, and so must the channel.
 */
int netlink_rollover_clear(struct netlink_channel *c);

#endif
