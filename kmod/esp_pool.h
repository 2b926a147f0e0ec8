/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Transforms for ESP states: built ahead of need by a kworker, and used again.
 * To build one takes ten times as long as to give it a key.
 *
 * A transform that comes back still has its last key. The next one overwrites
 * it; in one that nobody takes it is overwritten after QKD_POOL_SCRUB_MS.
 */
#ifndef QKD_ESP_POOL_H
#define QKD_ESP_POOL_H

#include <linux/types.h>

struct crypto_aead;
struct xfrm_state;

/** Transforms that wait for use at most, for each cipher. */
#define QKD_POOL_SPARES_MAX 4096

/** Transforms that are built ahead at most; more come back from states. */
#define QKD_POOL_AHEAD_MAX 1024

/** How long the key of a retired SA may stay in a transform that waits. */
#define QKD_POOL_SCRUB_MS 1000

/** Key and salt of both ciphers: RFC 4106 clause 8.1, RFC 7634 clause 2. */
#define QKD_POOL_KEYMAT_BYTES 36

/** Integrity check value of both ciphers. */
#define QKD_POOL_ICV_BYTES 16

/** The generator of both ciphers' initialization vectors. */
#define QKD_POOL_GENIV "seqiv"

/** Return: 0 or negative errno. */
int qkd_pool_init(void);

/** Frees all; no state is left that would come back. */
void qkd_pool_exit(void);

/** The kernel's name of @cipher (enum qkd_cipher), an ESP one, without the generator. */
const char *qkd_pool_aead_name(u8 cipher);

/** A channel of @cipher begins: more is kept ready. */
void qkd_pool_join(u8 cipher);

/** It ends. */
void qkd_pool_leave(u8 cipher);

/**
 * qkd_pool_take - a transform of @cipher, with an unknown key or none
 * @hit: out: it was ready
 * Return: the caller's, or an ERR_PTR. May sleep.
 */
struct crypto_aead *qkd_pool_take(u8 cipher, bool *hit);

/** Gives back a transform that nobody else uses. */
void qkd_pool_give(u8 cipher, struct crypto_aead *tfm);

/**
 * qkd_pool_retire - a state was deleted; its transform comes back when no packet
 * and no route uses the state any more
 * @x: dead; the caller's reference goes with it
 */
void qkd_pool_retire(u8 cipher, struct xfrm_state *x);

#endif
