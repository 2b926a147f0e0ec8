/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ESP SAs by the XFRM netlink interface, for the netlink backend. The kernel
 * keeps the key bytes of such an SA where a dump shows them to whoever has
 * CAP_NET_ADMIN; the module does not.
 */
#ifndef UNP_NETLINK_XFRM_H
#define UNP_NETLINK_XFRM_H

#include "unp/netlink/socket.h"
#include <linux/qkd.h>
#include <stdbool.h>

/** SPI of @epoch, network byte order, of our outbound or inbound SA. */
uint32_t netlink_xfrm_spi(const struct qkd_channel *channel, uint64_t epoch, bool out);

/**
 * struct netlink_limits - octets and packets of one SA; 0: no limit
 * At a soft one the kernel says so, once; at a hard one it deletes the SA, and
 * says so too: see expire.h.
 */
struct netlink_limits {
	uint64_t soft_bytes;
	uint64_t soft_packets;
	uint64_t hard_bytes;
	uint64_t hard_packets;
};

/** Adds one SA; usable at once. @limits: or NULL. -EEXIST: the SPI is taken. */
int netlink_xfrm_add(struct netlink *netlink, const struct qkd_channel *channel, uint32_t spi,
		     bool out, const struct qkd_material *material,
		     const struct netlink_limits *limits);

/** Deletes one SA. Return: 0 also if it was gone. */
int netlink_xfrm_delete(struct netlink *netlink, const struct qkd_channel *channel, uint32_t spi,
			bool out);

/** Packets and octets through an SA so far. Return: -ESRCH: it is gone. */
int netlink_xfrm_count(struct netlink *netlink, const struct qkd_channel *channel, uint32_t spi,
		       bool out, uint64_t *packets, uint64_t *bytes);

/** One SA of the channel's request ID that stands in the kernel. */
struct netlink_xfrm_found {
	uint32_t spi;
	bool out;
};

/**
 * netlink_xfrm_find - what stands of @channel's request ID and addresses
 * @found: gets an array, the caller's to free()
 */
int netlink_xfrm_find(struct netlink *netlink, const struct qkd_channel *channel,
		      struct netlink_xfrm_found **found, size_t *count);

#endif
