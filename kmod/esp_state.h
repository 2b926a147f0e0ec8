/* SPDX-License-Identifier: GPL-2.0 */
/* xfrm states for ESP: of a channel, an epoch and a direction, made from blank ones. */
#ifndef QKD_ESP_STATE_H
#define QKD_ESP_STATE_H

#include <linux/types.h>

struct qkd_chan;
struct qkd_material;
struct qkd_pool;
struct xfrm_state;

/**
 * qkd_esp_build - a state that is complete, but not yet in the kernel's tables
 * @c: an ESP channel that has its pool; its lock is held
 * @m: stays the caller's to wipe
 * @out: outbound, else inbound
 * Return: the caller's reference, or an ERR_PTR
 */
struct xfrm_state *qkd_esp_build(struct qkd_chan *c, u64 epoch, const struct qkd_material *m,
				 bool out);

/** Lets packets find an inbound state. Return: 0, or -EEXIST: the SPI is taken. */
int qkd_esp_insert_in(struct xfrm_state *x);

/**
 * Lets packets find an outbound state; that its SPI is free is the receiver's matter.
 * Any context but interrupts'; to be audited by the caller.
 */
void qkd_esp_insert_out(struct xfrm_state *x);

/**
 * qkd_esp_remove - takes a state down, wherever it is in its life
 * @pool: where it came from. The caller's reference goes with it. May sleep
 */
void qkd_esp_remove(struct qkd_pool *pool, struct xfrm_state *x);

#endif
