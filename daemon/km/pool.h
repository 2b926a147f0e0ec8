/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool of a QKD link: keys that both peer KMs hold. The link's initiator
 * takes new keys from its device, names them to the peer (KX_KEYS_ANNOUNCE),
 * and uses them only once the peer has confirmed the same bytes.
 *
 * A key leaves the pool once. It is marked as used in the durable store,
 * together with channel and epoch, before its bytes are handed out.
 */
#ifndef KM_POOL_H
#define KM_POOL_H

#include "config/config.h"
#include "km/key.h"
#include "km/kx.h"
#include "km/store.h"
#include "quantum/source.h"

struct pool;

struct pool_status {
	uint64_t ready;	     /* both ends hold them */
	uint64_t pending;    /* announced, not confirmed yet */
	uint64_t used;	     /* since this store was made */
	uint64_t discarded;  /* mismatched, unknown to the peer, too old */
	bool simulated;	     /* the source's keys are simulated */
	const char *problem; /* the peer refuses all our keys: why; "" if not; the pool's own */
};

/**
 * pool_key_fn - a key for one epoch
 * @err: 0; -ENOKEY (none ready, or unknown key ID); -ESTALE (epoch or key was
 *       used before); -EIO, -ENOSPC: the store could not make it durable
 * @key: borrowed, wiped after the call
 */
typedef void (*pool_key_fn)(void *arg, int err, uint64_t epoch, const struct km_key *key);

/**
 * pool_create - before kx_start()
 * @link: copied where needed; the others must outlive the pool's work
 * Return: 0, -ENOENT (link->peer is not a peer of @kx), -EBUSY (@kx was
 * started), -ENOMEM.
 */
int pool_create(struct loop *loop, const struct config_link *link, struct store *store,
		struct kx *kx, struct source *source, struct pool **pool);

/**
 * pool_destroy - before source_destroy() and store_close(); the loop must not
 * turn between it and kx_destroy()
 *
 * Takes that are under way are answered all the same, at the latest by store_close().
 */
void pool_destroy(struct pool *pool);

/**
 * pool_take - initiator: the oldest ready key, for the next epoch of @channel
 * @min_epoch: the epoch is this, or the store's next if that is higher
 * Return: 0, then @done is called once; -EPERM (this end is the link's
 * responder); as a request of the store (store.h).
 */
int pool_take(struct pool *pool, const char *channel, uint64_t min_epoch, pool_key_fn done,
	      void *arg);

/**
 * pool_take_id - responder: the key that the initiator named for @epoch
 * Return: as pool_take(); -EPERM: this end is the link's initiator.
 */
int pool_take_id(struct pool *pool, const char *channel, uint64_t epoch, const struct km_key_id *id,
		 pool_key_fn done, void *arg);

/**
 * Calls @changed when keys become ready after there were none, or after a take
 * found none. One listener a call; 0 or -ENOMEM. It may be called without need.
 */
int pool_on_ready(struct pool *pool, void (*changed)(void *arg), void *arg);

void pool_status(const struct pool *pool, struct pool_status *status);
const char *pool_link(const struct pool *pool);
const struct source_status *pool_source_status(const struct pool *pool);

#endif
