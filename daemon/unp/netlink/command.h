/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands on the epochs of one channel: checked, done, answered as the module does. */
#ifndef UNP_NETLINK_COMMAND_H
#define UNP_NETLINK_COMMAND_H

#include "unp/netlink/channel.h"

/**
 * netlink_command_run - QKD_CMD_KEY_PUT, _WATERMARK, _ROLLOVER, _RETIRE or _COUNTERS
 * @record: of @cmd, for this channel
 * Return: the record's status; -ENOTTY: another command
 */
int netlink_command_run(struct netlink_channel *c, uint32_t cmd, void *record);

#endif
