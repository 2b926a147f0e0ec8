/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The durable key store: SQLite on its own thread, values sealed by us with
 * AES-256-GCM under the master key before they reach it. Requests are answered
 * by callbacks in the loop's thread, in order of the requests.
 *
 * What it guarantees (docs/key-life-cycle.md): a key ID enters once and never
 * again; it is used once, by one epoch of one channel; an epoch of a channel
 * is used once. Both are UNIQUE in the database, committed with
 * synchronous=FULL before the answer. A used key's value is gone; its row
 * stays as the proof.
 *
 * A request that was taken (0) is answered by exactly one callback, at the
 * latest within store_close(). A request function itself returns -EINVAL (a
 * name too long or empty, a count out of range), -ENOMEM, -EAGAIN (too many
 * requests wait) or -ESHUTDOWN; then no callback comes.
 */
#ifndef KM_STORE_H
#define KM_STORE_H

#include "km/key_check.h"
#include "loop/loop.h"

struct store;

enum store_key_state {
	STORE_PENDING = 1, /* ours, not yet confirmed by the peer */
	STORE_READY = 2,   /* at both ends */
	STORE_USED = 3,
	STORE_DISCARDED = 4,
};

/**
 * store_open - opens or makes DIRECTORY/keys.db
 * @master_key_file: 32 octets, readable by its owner alone
 * @error: gets a sentence that names the file: wrong master key, another
 *         qkdkeyd has the store (lock), damaged, no space, ...
 */
int store_open(struct loop *loop, const char *directory, const char *master_key_file,
	       struct store **store, char *error, size_t error_len);

/** Finishes what was asked for, answers it, then closes. Not from within a callback. */
void store_close(struct store *store);

/** Most keys or key IDs in one request. */
#define STORE_BATCH_MAX 4096

/** Makes a new master key file. -EEXIST: there is one. */
int store_make_master_key(const char *file);

/** Random UUID of this store. */
const uint8_t *store_id(const struct store *store);

/** Fingerprint of @key for listings, as of this store: see km_key_fingerprint(). */
int store_fingerprint(const struct store *store, const struct km_key *key,
		      char text[KM_KEY_FINGERPRINT_TEXT]);

typedef void (*store_done_fn)(void *arg, int err);
typedef void (*store_key_fn)(void *arg, int err, uint64_t epoch, const struct km_key *key);

/**
 * store_peer - the store that the peer of @link has now
 *
 * Its UUID is kept. READY keys are known to the store that it had when they
 * were confirmed: if that was another, all of them are discarded, since no
 * key of a lost store comes back.
 * Answers: @discarded, how many.
 */
typedef void (*store_peer_fn)(void *arg, int err, uint64_t discarded);
int store_peer(struct store *store, const char *link, const uint8_t peer[16], store_peer_fn done,
	       void *arg);

/** Does nothing, in turn with the other requests: whether the store still answers. */
int store_ping(struct store *store, store_done_fn done, void *arg);

/** Adds keys; one that exists already is left as it is. All or none. */
int store_add(struct store *store, const char *link, const struct km_key *keys, size_t count,
	      enum store_key_state state, store_done_fn done, void *arg);

/**
 * store_set_state - PENDING to READY, or anything unused to DISCARDED
 * @link: keys of other links are left alone, as are keys in other states
 */
int store_set_state(struct store *store, const char *link, const struct km_key_id *ids,
		    size_t count, enum store_key_state state, store_done_fn done, void *arg);

/**
 * struct store_found - what the store knows of a key ID
 * @state: 0: nothing
 * @other_link: it came by another link; then @key has no value
 * @key: with its value if it is unused; its mark (simulated) always
 */
struct store_found {
	enum store_key_state state;
	bool other_link;
	struct km_key key;
};
/** @found: in the order of the IDs asked for; borrowed, wiped after the call */
typedef void (*store_found_fn)(void *arg, int err, const struct store_found *found, size_t count);
int store_find(struct store *store, const char *link, const struct km_key_id *ids, size_t count,
	       store_found_fn done, void *arg);

/**
 * store_take - the oldest READY key, for epoch max(@min_epoch, next of @channel)
 *
 * Answers: -ENOKEY; -ERANGE (the channel's epochs are used up); -EIO, -ENOSPC:
 * nothing was handed out. @key is borrowed and wiped after the call.
 */
int store_take(struct store *store, const char *link, const char *channel, uint64_t min_epoch,
	       store_key_fn done, void *arg);

/**
 * store_take_id - this READY key, for @epoch
 *
 * Answers: -ENOKEY (no such READY key on @link); -ESTALE (the key was used, or
 * @epoch is below the next of @channel); -ERANGE, -EIO, -ENOSPC.
 */
int store_take_id(struct store *store, const char *link, const char *channel, uint64_t epoch,
		  const struct km_key_id *id, store_key_fn done, void *arg);

/**
 * Keys of @link in @state, oldest first, at most @max; values only of unused keys.
 * One whose value was changed on disk is discarded, as in every request that meets it.
 */
typedef void (*store_keys_fn)(void *arg, int err, const struct km_key *keys, size_t count);
int store_list(struct store *store, const char *link, enum store_key_state state, size_t max,
	       store_keys_fn done, void *arg);

/** Counts per state of @link. */
struct store_counts {
	uint64_t pending, ready, used, discarded;
	bool simulated; /* any unused key is simulated */
};
typedef void (*store_counts_fn)(void *arg, int err, const struct store_counts *counts);
int store_count(struct store *store, const char *link, store_counts_fn done, void *arg);

/**
 * struct store_channel - what must outlive the process of a channel
 * @id: qkd_channel.id, given by the store at first sight of @name, never reused
 * @next_epoch: no epoch below it may ever be used again
 * @spec: YAML text of a channel added by qkdctl, or NULL; borrowed
 */
struct store_channel {
	char name[QKD_NAME_BYTES];
	uint32_t id;
	uint64_t next_epoch;
	const char *spec;
};
typedef void (*store_channels_fn)(void *arg, int err, const struct store_channel *channels,
				  size_t count);

/** Finds or makes the channel's row. */
int store_channel(struct store *store, const char *name, store_channels_fn done, void *arg);

/** All channels that have a spec, oldest first. */
int store_channel_specs(struct store *store, store_channels_fn done, void *arg);

/** Sets or, with NULL, clears the spec (at most 64 KiB). The row stays: epochs never come back. */
int store_channel_set_spec(struct store *store, const char *name, const char *spec,
			   store_done_fn done, void *arg);

#endif
