/* SPDX-License-Identifier: GPL-2.0 */
/* What the module keeps for one network namespace. */
#ifndef QKD_NETNS_H
#define QKD_NETNS_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>

struct qkd_netlink;

/**
 * struct qkd_netns - the channels and the readers of one network namespace
 * @net: the namespace; not held: this lives no longer than it. An open file
 *       holds it, so commands always find it alive
 * @table: held while a channel enters or leaves; never inside a channel's lock
 * @channels: struct qkd_chan by id
 * @reqids: ESP channels by request ID
 * @ports: MACsec channels by ifindex
 * @count: channels
 * @sweep: looks after all channels
 * @readers_lock: guards @readers, what they have to read, and @reader_count
 * @readers: struct qkd_event_queue of each open file
 * @reader_count: of them
 * @events_lost: events that a reader missed, or that had no reader
 * @dead: the namespace ends: its devices are gone, nothing is asked any more
 * @netlink: sockets to the macsec driver, or NULL; macsec's worker owns it
 */
struct qkd_netns {
	struct net *net;
	struct mutex table;
	struct xarray channels;
	struct xarray reqids;
	struct xarray ports;
	u32 count;
	struct work_struct sweep;
	spinlock_t readers_lock;
	struct list_head readers;
	u32 reader_count;
	atomic64_t events_lost;
	bool dead;
	struct qkd_netlink *netlink;
};

/** The namespace's part; valid while @net is. */
struct qkd_netns *qkd_netns_get(struct net *net);

#endif
