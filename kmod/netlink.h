/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to the macsec driver's generic netlink family, from inside the
 * kernel. The driver exports no functions; this is its only stable interface.
 *
 * Call from a kernel thread only: the receiver checks the capabilities of the
 * running task. One thread at a time per struct qkd_netlink.
 */
#ifndef QKD_NETLINK_H
#define QKD_NETLINK_H

#include <linux/netlink.h>
#include <net/genetlink.h>
#include <net/netlink.h>

struct qkd_netlink;

/** Opens a socket in @net without holding it. Return: NULL for want of memory. */
struct qkd_netlink *qkd_netlink_open(struct net *net);

/** Closes it; @nl may be NULL. */
void qkd_netlink_close(struct qkd_netlink *nl);

/**
 * qkd_netlink_find_macsec - the macsec family's number
 * Return: 0 or negative errno; -ENOENT: the driver is not loaded (nor will it be)
 */
int qkd_netlink_find_macsec(struct qkd_netlink *nl);

/** Begins a request to the macsec family. Return: NULL for want of memory. */
struct sk_buff *qkd_netlink_macsec(struct qkd_netlink *nl, u8 cmd);

/**
 * qkd_netlink_ask - send a request to the macsec family, read the answer
 * @skb: from qkd_netlink_macsec(); wiped and freed
 *
 * Return: 0, the receiver's negative errno, or -EIO without an answer.
 */
int qkd_netlink_ask(struct qkd_netlink *nl, struct sk_buff *skb);

/** Wipes and frees a request that is not sent. */
void qkd_netlink_drop(struct sk_buff *skb);

#endif
