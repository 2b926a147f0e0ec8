/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the netlink backend tells of a channel: its events and counters, as the module. */
#ifndef UNP_NETLINK_REPORT_H
#define UNP_NETLINK_REPORT_H

#include "unp/netlink/channel.h"

void netlink_report_event(struct netlink_channel *c, enum qkd_event_type type, uint64_t epoch);

void netlink_report_installed(struct netlink_channel *c, uint64_t epoch);

/** @err: negative errno, why @epoch does not stand or an SA of it does not go */
void netlink_report_failed(struct netlink_channel *c, uint64_t epoch, int err);

/**
 * netlink_report_action - @action is done, or failed with @err
 * @limited: the switch that it may be was due on a soft limit
 */
void netlink_report_action(struct netlink_channel *c, const struct qkd_action *action, bool limited,
			   int err);

#endif
