/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blank xfrm states: RFC 4303 with RFC 4106 or RFC 7634, complete but for what is a
 * channel's or an epoch's.
 *
 * xfrm_init_state() would find out anew for each what all have in common, and build
 * a transform. It is asked once for each family, mode and cipher: that state is the
 * model, and is never used. Blanks are made after it, and states whose life is over
 * become blank again.
 */
#ifndef QKD_ESP_BLANK_H
#define QKD_ESP_BLANK_H

#include <linux/types.h>

struct qkd_channel;
struct xfrm_state;

/** Key and salt of both ciphers: RFC 4106 clause 8.1, RFC 7634 clause 2. */
#define QKD_ESP_KEYMAT_BYTES 36

/** Whether the kernel has @cipher (enum qkd_cipher), an ESP one; loads what is missing. */
bool qkd_blank_has_cipher(u8 cipher);

/**
 * qkd_blank_model - the model of the states that @config wants
 * Loads what is missing. Return: the caller's, or an ERR_PTR: this kernel cannot
 */
struct xfrm_state *qkd_blank_model(const struct qkd_channel *config);

/** Makes one after @model. Return: the caller's, with a key of zeros, or an ERR_PTR. */
struct xfrm_state *qkd_blank_make(const struct xfrm_state *model);

/**
 * qkd_blank_renew - makes a dead state blank again
 * @x: made after @model; ours is the last reference, and a grace period has passed
 *     since it was deleted. Its transform keeps its key
 * Return: whether that can be. If not, it is still to be put. May sleep.
 */
bool qkd_blank_renew(struct xfrm_state *x, const struct xfrm_state *model);

/**
 * qkd_blank_end - frees a dead state, or wipes the key of one that xfrm still reads
 * Nobody can free the latter: it stays until the machine ends.
 * @x: as for qkd_blank_renew(). May sleep.
 */
void qkd_blank_end(struct xfrm_state *x);

/** Overwrites the key of a blank. Return: 0 or negative errno. */
int qkd_blank_scrub(struct xfrm_state *x);

/** Frees a blank, or a model; its key is wiped. */
void qkd_blank_discard(struct xfrm_state *x);

#endif
