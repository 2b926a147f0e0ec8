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

struct qkd_netns;

/**
 * struct qkd_chan - one channel
 * @config: as it was added
 * @ns: its network namespace
 * @backend: IPsec or MACsec
 * @users: references; the table's is one
 * @rcu: freed when no lookup can see it any more
 * @lock: guards the rest
 * @alive: false until it is open and once it is deleted
 * @rxsc_made: MACsec: the module made the receive channel
 * @epochs: what stands and what is due
 * @counters: without the fields that @epochs knows
 * @work: runs when the next step is due
 */
struct qkd_chan {
	struct qkd_channel config;
	struct qkd_netns *ns;
	const struct qkd_backend *backend;
	refcount_t users;
	struct rcu_head rcu;
	struct mutex lock;
	bool alive;
	bool rxsc_made;
	struct qkd_epochs epochs;
	struct qkd_counters counters;
	struct delayed_work work;
};

/** Adds a checked @config. Return: a status of QKD_CMD_CHANNEL_ADD. */
int qkd_channel_add(struct qkd_netns *ns, const struct qkd_channel *config);

/** Deletes channel @id with all its SAs. Return: a status of QKD_CMD_CHANNEL_DELETE. */
int qkd_channel_delete(struct qkd_netns *ns, u32 id);

/** Deletes all; nobody else may use the namespace any more. */
void qkd_channel_delete_all(struct qkd_netns *ns);

/**
 * qkd_channel_lock - finds channel @id and locks it
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
