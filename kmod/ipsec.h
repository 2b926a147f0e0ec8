/* SPDX-License-Identifier: GPL-2.0 */
/* ESP channels: RFC 4303 with RFC 4106 or RFC 7634, as xfrm states. */
#ifndef QKD_IPSEC_H
#define QKD_IPSEC_H

#include "backend.h"

extern const struct qkd_backend qkd_ipsec_backend;

/** What of ESP this kernel can do: QKD_FEATURE_ESP*. May sleep. */
u64 qkd_ipsec_features(void);

#endif
