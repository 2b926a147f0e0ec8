/* SPDX-License-Identifier: GPL-2.0 */
/* xfrm states for ESP: RFC 4303 with RFC 4106 or RFC 7634. */
#ifndef QKD_ESP_STATE_H
#define QKD_ESP_STATE_H

#include <linux/types.h>

struct qkd_chan;
struct qkd_channel;
struct qkd_material;
struct xfrm_state;

/** Frees the models; the states made after them may stand longer. */
void qkd_esp_exit(void);

/**
 * qkd_esp_prepare - makes ready for states as @config wants them
 * Loads what is missing. Return: 0 or negative errno: this kernel cannot.
 */
int qkd_esp_prepare(const struct qkd_channel *config);

/**
 * qkd_esp_build - a state that is complete, but not yet in the kernel's tables
 * @c: a channel that qkd_esp_prepare() was asked about; its lock is held
 * @m: stays the caller's to wipe
 * @out: outbound, else inbound
 * Return: the caller's reference, or an ERR_PTR
 */
struct xfrm_state *qkd_esp_build(struct qkd_chan *c, u64 epoch, const struct qkd_material *m,
				 bool out);

/** Lets packets find an inbound state. Return: 0, or -EEXIST: the SPI is taken. */
int qkd_esp_insert_in(struct xfrm_state *x);

/** Lets packets find an outbound state; that its SPI is free is the receiver's matter. */
void qkd_esp_insert_out(struct xfrm_state *x);

/**
 * qkd_esp_remove - takes a state down, wherever it is in its life
 * @cipher: enum qkd_cipher. The caller's reference goes with it
 */
void qkd_esp_remove(u8 cipher, struct xfrm_state *x);

#endif
