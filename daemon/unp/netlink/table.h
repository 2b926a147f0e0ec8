/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The channels of the netlink backend: what qkd.ko keeps in the kernel, here
 * in user space, with the same state machine (kmod/epochs.c) on the loop's
 * timers. When the process ends, so does the rollover; the SAs stay.
 */
#ifndef UNP_NETLINK_TABLE_H
#define UNP_NETLINK_TABLE_H

#include "loop/loop.h"
#include "unp/netlink/install.h"
#include <linux/qkd.h>

struct netlink_table;

/** @event: called from within the functions below */
int netlink_table_create(struct loop *loop, struct netlink_kernel *kernel,
			 void (*event)(const struct qkd_event *event, void *arg), void *arg,
			 struct netlink_table **table);

/** Leaves the SAs in place, wipes the keys. */
void netlink_table_destroy(struct netlink_table *table);

/**
 * netlink_table_run - one command, QKD_CMD_CHANNEL_ADD to _COUNTERS but the LIST ones
 * @record: its status is set, as the module would; key material is wiped
 */
void netlink_table_run(struct netlink_table *table, uint32_t cmd, void *record);

/**
 * netlink_table_expired - the kernel says that an SA has reached a limit
 * @reqid: of the channel
 * @spi: of the SA, network byte order
 * @hard: it is gone
 */
void netlink_table_expired(struct netlink_table *table, uint32_t reqid, uint32_t spi, bool hard);

/** What the kernel said was lost: asks it for all SAs in use that have limits. */
void netlink_table_look(struct netlink_table *table);

/** All channels as an array, the caller's to free(). Return: 0, -ENOMEM. */
int netlink_table_channels(struct netlink_table *table, struct qkd_channel **channels,
			   size_t *count);

/** All epochs of @channel. Return: 0, -ENOENT, -ENOMEM. */
int netlink_table_epochs(struct netlink_table *table, uint32_t channel, struct qkd_epoch **epochs,
			 size_t *count);

#endif
