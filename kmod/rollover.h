/* SPDX-License-Identifier: GPL-2.0 */
/* What a channel does in time: keys in, switches, removals. */
#ifndef QKD_ROLLOVER_H
#define QKD_ROLLOVER_H

#include <linux/workqueue.h>
#include "channel.h"
#include "qkd_uapi.h"

/** Makes the work queue that all channels share. Return: 0 or -ENOMEM. */
int qkd_rollover_init(void);

/** Undoes qkd_rollover_init(); no channel is left, but some may wait to be freed. */
void qkd_rollover_exit(void);

/** Lets @free run in the queue after a grace period; any context. */
void qkd_rollover_free(struct rcu_work *free);

/**
 * qkd_rollover_tell - wakes @c up with @news, QKD_NEWS_*
 * Any context. @c was found under RCU, which still protects it.
 */
void qkd_rollover_tell(struct qkd_chan *c, unsigned int news);

/** Lets every channel of @ns see what is lost, and what is due. Any context. */
void qkd_rollover_tell_all(struct qkd_netns *ns);

/** The work of a namespace that does so. */
void qkd_rollover_sweep(struct work_struct *work);

/** The delayed work of a channel: does what is due. */
void qkd_rollover_work(struct work_struct *work);

/** Takes back what was offered, or takes over what a soft limit did with it by itself. */
void qkd_rollover_take_over(struct qkd_chan *c);

/** Lets a soft limit switch by itself, if an epoch is ready. */
void qkd_rollover_offer(struct qkd_chan *c);

/** The channel was locked: from here on no soft limit switches by itself. */
static inline void qkd_rollover_begin(struct qkd_chan *c)
{
	if (c->standby.offered)
		qkd_rollover_take_over(c);
}

/** The channel is about to be unlocked; undoes qkd_rollover_begin(). */
static inline void qkd_rollover_end(struct qkd_chan *c)
{
	if (c->standby.wanted)
		qkd_rollover_offer(c);
}

/*
 * The commands. The channel is locked, the record checked; each returns the
 * record's status.
 */

/** QKD_CMD_KEY_PUT. @key stays the caller's to wipe. */
int qkd_rollover_put(struct qkd_chan *c, const struct qkd_key *key);

/** QKD_CMD_WATERMARK */
int qkd_rollover_watermark(struct qkd_chan *c, const struct qkd_watermark *r);

/** QKD_CMD_ROLLOVER; fills @r->epoch. */
int qkd_rollover_force(struct qkd_chan *c, struct qkd_rollover *r);

/** QKD_CMD_RETIRE */
int qkd_rollover_retire(struct qkd_chan *c, u64 epoch);

/**
 * qkd_rollover_look - finds out what others removed, then does what is due
 *
 * Call on the locked channel before saying what stands.
 */
void qkd_rollover_look(struct qkd_chan *c);

/**
 * qkd_rollover_clear - takes every SA of the locked channel down; it is being deleted
 * Return: 0, or the last error of what could not be removed
 */
int qkd_rollover_clear(struct qkd_chan *c);

#endif
