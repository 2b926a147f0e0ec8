/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MACsec SAs by the macsec driver's generic netlink family, for the netlink
 * backend. There is no way to choose the encoding SA there: that is a link
 * setting (rtnetlink). The driver reads it twice per frame, so a frame in
 * flight at the switch may be lost; the module avoids this, we cannot.
 */
#ifndef UNP_NETLINK_MACSEC_H
#define UNP_NETLINK_MACSEC_H

#include "unp/netlink/socket.h"
#include <linux/qkd.h>
#include <stdbool.h>

struct netlink_macsec;

/** Return: 0, -ENOENT: the driver is not there (modprobe macsec), ... */
int netlink_macsec_open(struct netlink_macsec **macsec);
void netlink_macsec_close(struct netlink_macsec *macsec);

/** The receive channel of the peer. @made: it was not there. */
int netlink_macsec_add_rxsc(struct netlink_macsec *macsec, const struct qkd_channel *channel,
			    bool *made);
int netlink_macsec_delete_rxsc(struct netlink_macsec *macsec, const struct qkd_channel *channel);

/** Receive SA active, transmit SA there but inactive. -EBUSY: the number is taken. */
int netlink_macsec_install(struct netlink_macsec *macsec, const struct qkd_channel *channel,
			   uint8_t an, const struct qkd_key *key);

/** Encrypts with @an from now on. */
int netlink_macsec_activate(struct netlink_macsec *macsec, const struct qkd_channel *channel,
			    uint8_t an);

/** 0 as well if it is not there. */
int netlink_macsec_remove_rx(struct netlink_macsec *macsec, const struct qkd_channel *channel,
			     uint8_t an);
int netlink_macsec_remove_tx(struct netlink_macsec *macsec, const struct qkd_channel *channel,
			     uint8_t an);

/** Packets and octets that the device has sent. Return: -ENODEV: it is gone. */
int netlink_macsec_sent(struct netlink_macsec *macsec, const struct qkd_channel *channel,
			uint64_t *packets, uint64_t *bytes);

/** What stands on a device: bit n is association number n. */
struct netlink_macsec_found {
	uint8_t rx;
	uint8_t tx;
	uint8_t encoding; /* number that the device encodes with */
};
int netlink_macsec_find(struct netlink_macsec *macsec, const struct qkd_channel *channel,
			struct netlink_macsec_found *found);

const char *netlink_macsec_text(const struct netlink_macsec *macsec);

#endif
