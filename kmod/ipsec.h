/* SPDX-License-Identifier: GPL-2.0 */
/* ESP channels: RFC 4303 with RFC 4106 or RFC 7634, as xfrm states. */
#ifndef QKD_IPSEC_H
#define QKD_IPSEC_H

#include "backend.h"

struct xfrm_state;

extern const struct qkd_backend qkd_ipsec_backend;

/** What of ESP this kernel can do: QKD_FEATURE_ESP*. May sleep. */
u64 qkd_ipsec_features(void);

/**
 * qkd_ipsec_soft_limit - @x, outbound, has reached a soft limit
 * If @x is in use and the channel offers another, that one is in use when this returns.
 * @x is locked, and @c was found under RCU. Softirqs are off.
 */
void qkd_ipsec_soft_limit(struct qkd_chan *c, const struct xfrm_state *x);

#endif
