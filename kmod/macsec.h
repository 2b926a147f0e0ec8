/* SPDX-License-Identifier: GPL-2.0 */
/* MACsec channels: IEEE 802.1AE on an existing macsec device. */
#ifndef QKD_MACSEC_H
#define QKD_MACSEC_H

#include "backend.h"

struct net_device;
struct qkd_chan;
struct qkd_netns;

extern const struct qkd_backend qkd_macsec_backend;

/** What of MACsec this kernel can do: QKD_FEATURE_MACSEC*. Loads the driver; hold no lock. */
u64 qkd_macsec_features(struct qkd_netns *ns);

/** Makes the worker that talks to the driver. Return: 0 or -ENOMEM. */
int qkd_macsec_init(void);

/** Undoes qkd_macsec_init(). */
void qkd_macsec_exit(void);

/**
 * qkd_macsec_silence - the device leaves its namespace: it sends no more
 * @an: an association number that is not in use outbound. The lock of all devices
 *      is held. The driver drops what has no active association.
 */
void qkd_macsec_silence(struct net_device *dev, u8 an);

/**
 * qkd_macsec_gone - the device of a channel leaves its namespace, for good
 * The lock of all devices is held. Whatever has its ifindex later, the channel leaves
 * alone: what stands is lost, and nothing goes in any more.
 */
void qkd_macsec_gone(struct qkd_chan *c, struct net_device *dev);

/** Closes what @ns has open to the driver; the namespace ends. */
void qkd_macsec_leave(struct qkd_netns *ns);

#endif
