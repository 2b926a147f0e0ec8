/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of ESP SAs that have reached a limit of octets or
 * packets: XFRM_MSG_EXPIRE, read on the loop. No key is in these messages.
 */
#ifndef UNP_NETLINK_EXPIRE_H
#define UNP_NETLINK_EXPIRE_H

#include "loop/loop.h"
#include <stdbool.h>
#include <stdint.h>

struct netlink_expire;

/**
 * struct netlink_expire_ops
 * @expired: an SA, with its request ID and SPI (network byte order); @hard: it is gone
 * @lost: the kernel had more to say than it could keep
 */
struct netlink_expire_ops {
	void (*expired)(uint32_t reqid, uint32_t spi, bool hard, void *arg);
	void (*lost)(void *arg);
	void *arg;
};

/** Return: 0, -EPROTONOSUPPORT: no IPsec in this kernel, -EPERM, -ENOMEM, ... */
int netlink_expire_open(struct loop *loop, const struct netlink_expire_ops *ops,
			struct netlink_expire **expire);
void netlink_expire_close(struct netlink_expire *expire);

#endif
