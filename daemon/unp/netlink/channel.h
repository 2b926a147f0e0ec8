/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One channel of the netlink backend: what qkd.ko keeps of it in the kernel,
 * here in user space. Which there are is in table.c; what becomes of one in
 * time, in rollover.c.
 */
#ifndef UNP_NETLINK_CHANNEL_H
#define UNP_NETLINK_CHANNEL_H

#include "epochs.h"
#include "loop/loop.h"
#include "unp/netlink/install.h"
#include <linux/qkd.h>
#include <time.h>

#define NETLINK_NEVER UINT64_MAX /* a time that does not come */

/** struct netlink_env - what all channels share */
struct netlink_env {
	struct loop *loop;
	struct netlink_kernel *kernel;
	void (*event)(const struct qkd_event *event, void *arg);
	void *arg;
};

/**
 * struct netlink_channel - one channel
 * @config: as added
 * @stale_in_at: when the inbound SAs of an earlier process go
 * @stale_out_at: when its outbound ones go
 * @stuck: an SA that was to go stands still; reported, and tried again
 * @limits: of the outbound SA in use, with its jitter; MACsec: on top of
 * @base_packets: what the device had sent before, and
 * @base_bytes: likewise
 * @look_at: when to look at what was sent; NEVER: the kernel says it
 */
struct netlink_channel {
	struct netlink_channel *next;
	const struct netlink_env *env;
	struct qkd_channel config;
	struct qkd_epochs epochs;
	struct qkd_epoch_slot *slot;
	struct qkd_counters counters;
	struct loop_timer timer;
	struct netlink_stale stale;
	uint64_t stale_in_at;
	uint64_t stale_out_at;
	bool stuck;
	struct netlink_limits limits;
	uint64_t base_packets;
	uint64_t base_bytes;
	uint64_t look_at;
};

/** @fire: called with the channel when its timer does. Return: NULL: out of memory */
struct netlink_channel *netlink_channel_create(const struct netlink_env *env,
					       const struct qkd_channel *config,
					       void (*fire)(void *channel));

/** Leaves the SAs in place, wipes the keys. */
void netlink_channel_free(struct netlink_channel *c);

bool netlink_channel_is_macsec(const struct netlink_channel *c);

/** The outbound SA that encrypts now, or NULL. */
struct netlink_sa *netlink_channel_sa_in_use(const struct netlink_channel *c);

uint64_t netlink_clock_ns(clockid_t clock);

/** The clock of the epochs. Not the loop's: one turn of the loop may install many. */
uint64_t netlink_now_ms(void);

uint64_t netlink_earlier(uint64_t a, uint64_t b);

#endif
