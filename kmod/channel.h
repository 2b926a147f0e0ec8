/* SPDX-License-Identifier: GPL-2.0 */
/* The channels of a network namespace. */
#ifndef QKD_CHANNEL_H
#define QKD_CHANNEL_H

#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>
#include "backend.h"
#include "epochs.h"
#include "qkd_uapi.h"
#include "spi.h"

struct qkd_netns;
struct qkd_pool;

/**
 * struct qkd_standby - ESP: the outbound state that xfrm goes on with when the one in use
 * reaches a soft limit, without waiting for the channel's work
 * @wanted: the channel has soft limits
 * @offered: what @out was set to, or NULL; under the channel's lock
 * @lock: guards the rest; taken with the state in use locked, and before xfrm's table is
 * @out: whoever finds the limit reached inserts it, and clears this
 * @from: not before, milliseconds of the boot clock
 * @took: how long it took, nanoseconds
 */
struct qkd_standby {
	bool wanted;
	struct xfrm_state *offered;
	spinlock_t lock;
	struct xfrm_state *out;
	u64 from;
	u64 took;
};

/**
 * struct qkd_chan - one channel
 * @config: as it was added
 * @ns: its network namespace
 * @backend: IPsec or MACsec
 * @users: references; the table's is one
 * @free: freed when no lookup can see it any more
 * @news: QKD_NEWS_* bits that wait for @work; atomic
 * @in_use: ESP: the outbound state in use, to be compared only; racy
 * @standby: see there
 * @pool: ESP: where its states come from
 * @spi: ESP: the SPIs, inbound and outbound
 * @unused: MACsec: an association number that is not active; racy
 * @gone: MACsec: the device has gone; the lock of all devices guards it and @last
 * @last: MACsec: what the device has sent in all; only once it has gone
 * @lock: guards the rest
 * @alive: false until it is open and once it is deleted
 * @spare: for the next epoch, or NULL
 * @rxsc_made: MACsec: the module made the receive channel
 * @epochs: what stands and what is due
 * @counters: without the fields that @epochs knows
 * @work: runs when the next step is due, or there are news
 * @timer: when @work is due, in milliseconds of the boot clock
 */
struct qkd_chan {
	struct qkd_channel config;
	struct qkd_netns *ns;
	const struct qkd_backend *backend;
	refcount_t users;
	struct rcu_work free;
	unsigned long news;
	const struct xfrm_state *in_use;
	struct qkd_standby standby;
	struct qkd_pool *pool;
	struct qkd_spi_keys spi[2];
	u8 unused;
	bool gone;
	struct qkd_sent last;
	struct mutex lock;
	bool alive;
	struct qkd_sa *spare;
	bool rxsc_made;
	struct qkd_epochs epochs;
	struct qkd_counters counters;
	struct delayed_work work;
	u64 timer;
};

/** What a channel is told from outside: qkd_chan.news */
#define QKD_NEWS_SOFT (1U << 0) /* the outbound SA in use reached a soft limit */
#define QKD_NEWS_HARD (1U << 1) /* it reached a hard limit, and sends no more */
#define QKD_NEWS_LOST (1U << 2) /* SAs may be gone */

/** Adds a checked @config. Return: a status of QKD_CMD_CHANNEL_ADD. */
int qkd_channel_add(struct qkd_netns *ns, const struct qkd_channel *config);

/** Calls @act for each channel; they are locked, and held, one at a time. */
void qkd_channel_for_each(struct qkd_netns *ns, void (*act)(struct qkd_chan *c));

/** Deletes channel @id with all its SAs. Return: a status of QKD_CMD_CHANNEL_DELETE. */
int qkd_channel_delete(struct qkd_netns *ns, u32 id);

/** Deletes all; nobody else may use the namespace any more. */
void qkd_channel_delete_all(struct qkd_netns *ns);

/**
 * qkd_channel_lock - finds channel @id and locks it; no switch happens meanwhile
 * Return: an ERR_PTR if there is none (-ENOENT), or the caller may not (-EPERM)
 */
struct qkd_chan *qkd_channel_lock(struct qkd_netns *ns, u32 id);

/** Undoes qkd_channel_lock(). */
void qkd_channel_unlock(struct qkd_chan *c);

/** Fills @r with the first channel behind @id. Return: whether there is one. */
bool qkd_channel_list(struct qkd_netns *ns, u32 id, struct qkd_channel *r);

/** Fills @r with the counters of @c, which is locked. */
void qkd_channel_count(struct qkd_chan *c, struct qkd_counters *r);

/** Fills @r with the first epoch from @epoch on. Return: whether there is one. */
bool qkd_channel_epoch(struct qkd_chan *c, u64 epoch, struct qkd_epoch *r);

#endif
