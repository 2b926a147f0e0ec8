/* SPDX-License-Identifier: GPL-2.0 */
/* What a channel does in time: keys in, switches, removals. */
#ifndef QKD_ROLLOVER_H
#define QKD_ROLLOVER_H

#include <linux/workqueue.h>
#include "qkd_uapi.h"

struct qkd_chan;

/** Makes the work queue that all channels share. Return: 0 or -ENOMEM. */
int qkd_rollover_init(void);

/** Undoes qkd_rollover_init(); no channel is left. */
void qkd_rollover_exit(void);

/** The delayed work of a channel: does what is due. */
void qkd_rollover_work(struct work_struct *work);

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
 * qkd_rollover_run - does what is due on the locked channel
 *
 * Also finds out what others removed. Call before saying what stands.
 */
void qkd_rollover_run(struct qkd_chan *c);

/** Takes every SA of the locked channel down; it is being deleted. */
void qkd_rollover_clear(struct qkd_chan *c);

#endif
