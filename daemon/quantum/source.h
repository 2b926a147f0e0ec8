/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A key source: our end of a QKD link (Kq-1). Today an ETSI GS QKD 014 client,
 * since that is what QKD devices offer; other sources get their own file and
 * the same operations.
 */
#ifndef QUANTUM_SOURCE_H
#define QUANTUM_SOURCE_H

#include "config/config.h"
#include "km/key.h"
#include "loop/loop.h"

struct source;

/** What the source last told of itself. */
struct source_status {
	bool reachable;
	bool simulated; /* it says that its keys are no real QKD keys */
	int last_error; /* negative errno or HTTP status, 0: none */
	char last_error_text[160];
	uint64_t stored_keys; /* at the device */
	uint32_t key_bits;    /* default size */
	uint32_t max_per_request;
	double qber;	/* < 0: not told */
	double skr_bps; /* < 0: not told */
};

/**
 * source_keys_fn - keys from the device, owner: the callee borrows them
 * @err: 0; -ENOENT (dec_keys: a key ID is not known there); -EAGAIN (no keys
 *       now); -EACCES; -EPROTO (a malformed answer, a key shorter than 256
 *       bits, a key ID that is no UUID, ...); -ETIMEDOUT, ...
 * @keys: wiped after the call
 * @text: what went wrong, for people; NULL if @err is 0
 */
typedef void (*source_keys_fn)(void *arg, int err, const struct km_key *keys, size_t count,
			       const char *text);

int source_create(struct loop *loop, const struct config_link *link, struct source **source,
		  char *error, size_t error_len);

/** Calls under way are answered with -ECANCELED before it returns. */
void source_destroy(struct source *source);

/**
 * source_get_keys - ETSI 014 enc_keys: up to @count new keys of 256 bits
 *
 * At most source_status.max_per_request come. One call at a time: -EBUSY.
 */
int source_get_keys(struct source *source, size_t count, source_keys_fn done, void *arg);

/**
 * source_get_keys_by_id - ETSI 014 dec_keys: the peer's keys by ID
 *
 * All, in the order of @ids, or an error. Calls are queued, at most 64:
 * -EAGAIN. -E2BIG: more than source_status.max_per_request.
 */
int source_get_keys_by_id(struct source *source, const struct km_key_id *ids, size_t count,
			  source_keys_fn done, void *arg);

/** ETSI 014 status; @done may be NULL, then only source_status() changes. */
int source_refresh(struct source *source, void (*done)(void *arg, int err), void *arg);

const struct source_status *source_status(const struct source *source);

#endif
