/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a channel's epochs, as pure logic: no locks, no clock, no
 * allocation, no I/O. Compiled into qkd.ko, into the netlink backend of
 * qkdkeyd (the same channel without the module), and into the unit tests.
 *
 * The owner asks qkd_epochs_next() what is to be done now, does it, and says
 * with qkd_epochs_done() how it went, until nothing is left to do; then it
 * sleeps until qkd_epochs_deadline(). All times are milliseconds of one
 * monotonic clock.
 *
 * Rules kept here, whatever the caller does (docs/key-life-cycle.md):
 *  - epochs only grow; none is put twice
 *  - outbound moves only forward, and only to an epoch that the peer holds
 *  - an old SA stays grace_ms after it was replaced
 *  - MACsec: epochs queue for their association number and leave the queue in
 *    order, so that the range of a watermark has no hole
 *  - without a next key the channel holds or blocks; it never falls back, not
 *    even to an SA whose grace time has not ended yet
 */
#ifndef QKD_EPOCHS_H
#define QKD_EPOCHS_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
#endif
#include "qkd_uapi.h" /* <linux/qkd.h>, wherever this is compiled */

/**
 * struct qkd_epoch_slot - one epoch that has an SA in either direction
 * @epoch: its number
 * @in: enum qkd_sa_state, inbound: NONE, ACTIVE, GRACE, or QUEUED as @out is
 * @out: enum qkd_sa_state, outbound: NONE, READY, ACTIVE, GRACE, QUEUED
 * @stuck: the outbound SA was to be removed, and that failed
 * @in_until: when the inbound SA in GRACE is removed
 * @out_until: when the outbound SA in GRACE is removed
 * @random: decides its jitter, the same at both ends, so that they keep step
 * @sa: the owner's; not touched here
 */
struct qkd_epoch_slot {
	u64 epoch;
	u8 in;
	u8 out;
	bool stuck;
	u64 in_until;
	u64 out_until;
	u32 random;
	void *sa;
};

/**
 * struct qkd_epochs_config - a channel's fixed values, as in struct qkd_channel
 * @lookahead: most READY and QUEUED epochs
 * @rollover_ms: see there
 * @jitter_ms: see there
 * @grace_ms: see there
 * @hard_ms: see there
 * @on_exhausted: enum qkd_exhausted
 * @an_count: 4 for MACsec (epochs equal modulo 4 share an association number
 *            and must not stand together), 0 for ESP
 */
struct qkd_epochs_config {
	u32 lookahead;
	u32 rollover_ms;
	u32 jitter_ms;
	u32 grace_ms;
	u32 hard_ms;
	u8 on_exhausted;
	u8 an_count;
};

/**
 * struct qkd_epochs - all epochs of one channel that have an SA
 * @config: fixed
 * @slot: the owner's array, ordered by epoch, first @count in use
 * @count: slots in use
 * @capacity: length of @slot, at least qkd_epochs_capacity()
 * @next: lowest epoch that qkd_epochs_put() takes
 * @out: epoch in use outbound, or QKD_EPOCH_NONE
 * @peer_first: watermark; QKD_EPOCH_NONE: nothing known or nothing standing
 * @peer_last: watermark
 * @peer_out: what the peer encrypts with, or QKD_EPOCH_NONE
 * @switched: when the last one was
 * @due: when the next rollover is due; meaningless while IDLE
 * @retry: a BLOCK that failed is not tried again before
 * @removal: no slot has anything to be removed before; may be too early
 * @state: enum qkd_channel_state
 * @forced: a rollover was asked for and has not happened yet
 * @limited: @due is what a soft limit made it
 * @expired: a hard limit is reached: what is in use must go
 * @unusable: epochs may have become unusable, or a queued one installable
 */
struct qkd_epochs {
	struct qkd_epochs_config config;
	struct qkd_epoch_slot *slot;
	u32 count;
	u32 capacity;
	u64 next;
	u64 out;
	u64 peer_first;
	u64 peer_last;
	u64 peer_out;
	u64 switched;
	u64 due;
	u64 retry;
	u64 removal;
	u8 state;
	bool forced;
	bool limited;
	bool expired;
	bool unusable;
};

/** What the owner is to do; see qkd_epochs_next(). */
enum qkd_action_type {
	QKD_ACTION_ACTIVATE = 1, /* encrypt with epoch from now on */
	QKD_ACTION_REMOVE_IN,	 /* remove the inbound SA of epoch */
	QKD_ACTION_REMOVE_OUT,	 /* remove the outbound SA of epoch */
	QKD_ACTION_FORGET,	 /* both are gone: release slot->sa */
	QKD_ACTION_EXHAUSTED,	 /* report: a rollover is due, no key is ready */
	QKD_ACTION_BLOCK,	 /* remove the outbound SA in use: epoch, the last one */
	QKD_ACTION_INSTALL,	 /* the queued epoch has its number: install it */
};

/**
 * struct qkd_action - one step
 * @type: enum qkd_action_type
 * @epoch: the epoch that it is about
 * @slot: its slot, valid until the next call that changes the epochs; NULL for
 *        EXHAUSTED
 */
struct qkd_action {
	enum qkd_action_type type;
	u64 epoch;
	struct qkd_epoch_slot *slot;
};

/** Time from a removal that failed to the next try, milliseconds. */
#define QKD_EPOCHS_RETRY_MS 1000

/** The fixed values of the channel @r. */
struct qkd_epochs_config qkd_epochs_config_of(const struct qkd_channel *r);

/**
 * qkd_epochs_random - what the jitter of @key's epoch is drawn from
 * Of the key ID: both ends have it, so both draw the same.
 */
u32 qkd_epochs_random(const struct qkd_key *key);

/** Whether an SA in @state, enum qkd_sa_state, is there to be removed. */
bool qkd_epochs_stands(u8 state);

/** Slots that a channel with this configuration can need at most. */
u32 qkd_epochs_capacity(const struct qkd_epochs_config *config);

/** Starts empty; @slot has @capacity elements and stays the owner's. */
void qkd_epochs_init(struct qkd_epochs *e, const struct qkd_epochs_config *config,
		     struct qkd_epoch_slot *slot, u32 capacity, u64 first);

/**
 * qkd_epochs_may_put - whether @epoch can be put now
 * Return: 0, -ESTALE (below next), -ENOBUFS (lookahead is full, or the epoch
 * just before has its association number), -ERANGE (no such epoch:
 * QKD_SPI_EPOCHS)
 */
int qkd_epochs_may_put(const struct qkd_epochs *e, u64 epoch);

/**
 * qkd_epochs_spend - count @epoch as used although its installation failed
 */
void qkd_epochs_spend(struct qkd_epochs *e, u64 epoch);

/** Whether @epoch, put now, has to wait for its number: keep its material. */
bool qkd_epochs_must_queue(const struct qkd_epochs *e, u64 epoch);

/**
 * qkd_epochs_put - the inbound SA of @epoch stands and the outbound is ready,
 * or both are queued, if qkd_epochs_must_queue() said so
 * @random: see qkd_epochs_random()
 * @sa: goes into the slot; the owner releases it at QKD_ACTION_FORGET
 *
 * Call only after qkd_epochs_may_put() gave 0 under the same lock.
 */
void qkd_epochs_put(struct qkd_epochs *e, u64 epoch, u32 random, void *sa);

/** The peer's report, struct qkd_watermark. Return: 0 or -EINVAL. */
int qkd_epochs_watermark(struct qkd_epochs *e, u64 now, u64 first, u64 last, u64 peer_out,
			 bool none);

/** Asks for a switch now. Return: 0, or -EAGAIN: no ready epoch at the peer. */
int qkd_epochs_force(struct qkd_epochs *e);

/**
 * qkd_epochs_limit - the outbound SA in use has reached a soft limit
 * Return: whether the rollover has to wait for QKD_LIMIT_INTERVAL_MS
 */
bool qkd_epochs_limit(struct qkd_epochs *e, u64 now);

/**
 * qkd_epochs_standby - the epoch that follows the one in use when a soft limit is reached
 * Return: its slot, or NULL: none is ready, or the switch is under way already. Valid as
 * the epoch's of QKD_ACTION_ACTIVATE if the owner switches by itself, and says so:
 * qkd_epochs_limit(), then qkd_epochs_done()
 */
struct qkd_epoch_slot *qkd_epochs_standby(const struct qkd_epochs *e);

/** A soft limit for the outbound SA of @epoch: @limit less its jitter. */
u64 qkd_epochs_soft(const struct qkd_epochs *e, u64 epoch, u64 limit);

/**
 * qkd_epochs_expired - the outbound SA in use has reached a hard limit
 *
 * Moves on at once to an epoch that is ready, or blocks, whatever the channel
 * does when keys run out.
 */
void qkd_epochs_expired(struct qkd_epochs *e);

/** Takes @epoch down. Return: 0, -ENOENT, -EBUSY (in use outbound). */
int qkd_epochs_retire(struct qkd_epochs *e, u64 now, u64 epoch);

/**
 * qkd_epochs_lost - somebody else removed SAs of @slot
 * @in: the inbound SA is not there any more
 * @out: the outbound one is not, though it was in use or in its grace time
 *
 * What is left of them is removed at once, and with the outbound SA in use all
 * others that packets would find instead. With the inbound SA goes an outbound
 * one that is not in use yet: both ends then make room for a new epoch. Without
 * an outbound SA the channel is IDLE until an epoch is ready.
 *
 * Return: whether that matters: one of them was in use or stood ready.
 */
bool qkd_epochs_lost(struct qkd_epochs *e, u64 now, struct qkd_epoch_slot *slot, bool in, bool out);

/**
 * qkd_epochs_next - the next step that is due at @now
 * Return: true and @action filled, or false: nothing to do until the deadline.
 */
bool qkd_epochs_next(struct qkd_epochs *e, u64 now, struct qkd_action *action);

/**
 * qkd_epochs_done - @action was carried out, or failed with @err (negative)
 *
 * A failed ACTIVATE retires that epoch's outbound side and the next ready one
 * is tried. An INSTALL that failed leaves nothing of the epoch but FORGET. A failed removal is due
 * again after QKD_EPOCHS_RETRY_MS, and so is BLOCK: until it succeeds the channel is OVERDUE and
 * the epoch in use. That an SA is not there any more is no failure.
 */
void qkd_epochs_done(struct qkd_epochs *e, u64 now, const struct qkd_action *action, int err);

/** When qkd_epochs_next() may have something to do; ~0: only after an input. */
u64 qkd_epochs_deadline(const struct qkd_epochs *e);

/**
 * qkd_epochs_wake - the same, for an owner who lets SAs stand a little longer, so that
 * they go together
 * @step: a power of two: what is only to be removed waits for a multiple of it, ms
 */
u64 qkd_epochs_wake(const struct qkd_epochs *e, u32 step);

/** Number of epochs READY outbound. */
u32 qkd_epochs_ready(const struct qkd_epochs *e);

/** Number of epochs to come: READY outbound or QUEUED. */
u32 qkd_epochs_ahead(const struct qkd_epochs *e);

/** Whether @ahead, see above, is worth a warning: less than half of lookahead. */
bool qkd_epochs_is_low(const struct qkd_epochs *e, u32 ahead);

/** Number of epochs QUEUED. */
u32 qkd_epochs_queued(const struct qkd_epochs *e);

/** Lowest and highest epoch with a standing inbound SA. Return: any at all. */
bool qkd_epochs_inbound(const struct qkd_epochs *e, u64 *first, u64 *last);

#endif
