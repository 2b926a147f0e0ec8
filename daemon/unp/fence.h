/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fence of the whole configuration: before anything that can fail, the
 * traffic of each IPsec channel is blocked. It stays when the process ends, so
 * that a node whose key store, disk or certificates are not in order sends
 * nothing in the clear.
 */
#ifndef UNP_FENCE_H
#define UNP_FENCE_H

#include "config/config.h"

/**
 * fence_raise - blocks the traffic of all channels of @config that is not protected yet
 *
 * Waits some seconds while the kernel's XFRM is being loaded. What goes wrong
 * is logged, channel by channel, and the others are fenced all the same.
 * Return: 0, or the first negative errno.
 */
int fence_raise(const struct config *config);

#endif
