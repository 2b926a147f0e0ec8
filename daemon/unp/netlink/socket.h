/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A netlink socket (libmnl) for short requests: the kernel answers them within
 * the send, so waiting for the answer does not hold the loop up. All messages
 * are built and read in locked memory that is wiped after each request, since
 * they may hold keys (a dump of IPsec states does, whoever put them there).
 */
#ifndef UNP_NETLINK_SOCKET_H
#define UNP_NETLINK_SOCKET_H

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

struct netlink;

/**
 * netlink_open - @bus: NETLINK_XFRM, NETLINK_GENERIC, NETLINK_ROUTE
 * Return: 0, -ENOMEM (also: no more memory may be locked), -EPROTONOSUPPORT, ...
 */
int netlink_open(int bus, struct netlink **netlink);
void netlink_close(struct netlink *netlink);

/** Begins a request; the message is the socket's until it is sent. Has NLM_F_REQUEST. */
struct nlmsghdr *netlink_begin(struct netlink *netlink, uint16_t type, uint16_t flags);

/**
 * netlink_message_fn - one message of the answer
 * Return: MNL_CB_OK or MNL_CB_ERROR.
 */
typedef int (*netlink_message_fn)(const struct nlmsghdr *message, void *arg);

/**
 * netlink_ask - sends what was begun and reads the whole answer
 * @message: called for each message of data; NULL: only the acknowledgement counts
 * Return: 0, or the kernel's negative errno.
 */
int netlink_ask(struct netlink *netlink, netlink_message_fn message, void *arg);

/** What the kernel had to say about the last error, or "". */
const char *netlink_text(const struct netlink *netlink);

#endif
