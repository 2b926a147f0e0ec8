// SPDX-License-Identifier: GPL-2.0-or-later
/* Limits that SAs have reached, as the kernel says it; see expire.h. */
#include "unp/netlink/expire.h"
#include "log.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 32768
#define READS_MAX    64
#define RETRY_MS     10	  /* the ring was full */
#define SAFETY_MS    1000 /* without a socket: all SAs are asked for so often */

/** struct netlink_expire - @fd: -1 if it broke; then the timer looks at all SAs */
struct netlink_expire {
	struct loop *loop;
	struct netlink_expire_ops ops;
	int fd;
	struct loop_op poll;
	struct loop_timer timer;
	union {
		struct nlmsghdr header; /* for its alignment */
		char octets[BUFFER_BYTES];
	} buffer;
};

static void read_message(struct netlink_expire *e, const struct nlmsghdr *m)
{
	const struct xfrm_user_expire *expire = mnl_nlmsg_get_payload(m);

	if (m->nlmsg_type != XFRM_MSG_EXPIRE || mnl_nlmsg_get_payload_len(m) < sizeof(*expire) ||
	    expire->state.id.proto != IPPROTO_ESP)
		return;
	e->ops.expired(expire->state.reqid, expire->state.id.spi, expire->hard, e->ops.arg);
}

static void read_messages(struct netlink_expire *e, size_t len)
{
	const struct nlmsghdr *m = &e->buffer.header;
	int left = (int)len;

	for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
		read_message(e, m);
}

static void read_all(struct netlink_expire *e)
{
	unsigned int i;

	for (i = 0; i < READS_MAX; i++) {
		ssize_t len = recv(e->fd, e->buffer.octets, BUFFER_BYTES, MSG_DONTWAIT);

		if (len >= 0)
			read_messages(e, (size_t)len);
		else if (errno == ENOBUFS)
			e->ops.lost(e->ops.arg);
		else
			break;
	}
}

static void set_timer(struct netlink_expire *e, uint64_t delay_ms)
{
	if (loop_timer_set(e->loop, &e->timer, delay_ms))
		log_err("out of memory for a timer: limits of octets and packets are not noticed");
}

static void broke(struct netlink_expire *e, int err)
{
	log_warn("the kernel's word on limits of SAs cannot be heard any more (%s): they are "
		 "looked at every %d ms",
		 strerror(-err), SAFETY_MS);
	close(e->fd);
	e->fd = -1;
	set_timer(e, SAFETY_MS);
}

static void listen_on(struct netlink_expire *e)
{
	int err = loop_poll(e->loop, &e->poll, e->fd, POLLIN);

	if (err == -EAGAIN)
		set_timer(e, RETRY_MS);
	else if (err)
		broke(e, err);
}

static void messages_came(struct loop_op *op, int result)
{
	struct netlink_expire *e = op->arg;

	if (result == -ECANCELED)
		return; /* the loop ends */
	if (result < 0) {
		broke(e, result);
		return;
	}
	read_all(e);
	listen_on(e);
}

static void timer_fired(void *arg)
{
	struct netlink_expire *e = arg;

	if (e->fd >= 0) {
		listen_on(e);
		return;
	}
	e->ops.lost(e->ops.arg);
	set_timer(e, SAFETY_MS);
}

static int open_socket(void)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int group = XFRMNLGRP_EXPIRE, err, fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&any, sizeof(any)) &&
	    !setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int netlink_expire_open(struct loop *loop, const struct netlink_expire_ops *ops,
			struct netlink_expire **expire)
{
	struct netlink_expire *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	e->fd = open_socket();
	if (e->fd < 0) {
		err = e->fd;
		free(e);
		return err;
	}
	e->loop = loop;
	e->ops = *ops;
	e->poll.done = messages_came;
	e->poll.arg = e;
	e->timer.fire = timer_fired;
	e->timer.arg = e;
	listen_on(e);
	*expire = e;
	return 0;
}

void netlink_expire_close(struct netlink_expire *e)
{
	if (!e)
		return;
	loop_timer_cancel(e->loop, &e->timer);
	loop_op_forget(e->loop, &e->poll);
	if (e->fd >= 0)
		close(e->fd);
	free(e);
}
