/* SPDX-License-Identifier: GPL-2.0 */
/* MACsec channels: IEEE 802.1AE on an existing macsec device. */
#ifndef QKD_MACSEC_H
#define QKD_MACSEC_H

#include "backend.h"

struct qkd_netns;

extern const struct qkd_backend qkd_macsec_backend;

/** What of MACsec this kernel can do: QKD_FEATURE_MACSEC*. Loads the driver; hold no lock. */
u64 qkd_macsec_features(struct qkd_netns *ns);

/** Makes the worker that talks to the driver. Return: 0 or -ENOMEM. */
int qkd_macsec_init(void);

/** Undoes qkd_macsec_init(). */
void qkd_macsec_exit(void);

/** Closes what @ns has open to the driver; the namespace ends. */
void qkd_macsec_leave(struct qkd_netns *ns);

#endif
