/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blank xfrm states for ESP (esp_blank.h), a pool for each family, mode and cipher:
 * made ahead of need by a kworker, and used again. To make one takes ten times as
 * long as to give it a key.
 *
 * One that comes back still has its last key. The next one overwrites it; in one that
 * nobody takes it is overwritten after QKD_POOL_SCRUB_MS.
 */
#ifndef QKD_ESP_POOL_H
#define QKD_ESP_POOL_H

#include <linux/types.h>

struct qkd_channel;
struct qkd_pool;
struct xfrm_state;

/** States that wait for use in a pool at most, for each channel: four generations. */
#define QKD_POOL_PER_CHANNEL 8

/** Any number of channels keep so many. */
#define QKD_POOL_SPARES_MAX 16384

/** States that are made ahead at most; more come back from channels. */
#define QKD_POOL_AHEAD_MAX 1024

/** How long the key of a retired SA may stay in a state that waits. */
#define QKD_POOL_SCRUB_MS 1000

/** Return: 0 or negative errno. */
int qkd_pool_init(void);

/** Frees all; no channel is left. */
void qkd_pool_exit(void);

/**
 * qkd_pool_join - a channel begins: more is kept ready
 * Return: the pool of the states that @config wants, or an ERR_PTR: this kernel has none
 */
struct qkd_pool *qkd_pool_join(const struct qkd_channel *config);

/** It ends. */
void qkd_pool_leave(struct qkd_pool *p);

/**
 * qkd_pool_take - a blank state, with an unknown key
 * @hit: out: it was ready
 * Return: the caller's, or an ERR_PTR. May sleep.
 */
struct xfrm_state *qkd_pool_take(struct qkd_pool *p, bool *hit);

/** Gives back a state that was never inserted, whatever was set in it. May sleep. */
void qkd_pool_give(struct qkd_pool *p, struct xfrm_state *x);

/**
 * qkd_pool_retire - a state was deleted; it comes back when no packet and no route
 * uses it any more
 * @x: dead; the caller's reference goes with it
 */
void qkd_pool_retire(struct qkd_pool *p, struct xfrm_state *x);

#endif
