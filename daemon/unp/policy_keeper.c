// SPDX-License-Identifier: GPL-2.0-or-later
/* Keeps the kernel's policies; see policy_keeper.h. */
#include "unp/policy_keeper.h"
#include "log.h"
#include "unp/policy.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 32768
#define PAUSE_MS     50 /* between two looks: somebody may change policies all the time */
#define READS_MAX    64 /* in one turn of the loop */

/**
 * struct policy_keeper
 * @fd: the kernel's policy events, -1: not listening
 * @looked: at least once; before that, what is missing was never there
 * @looked_ms: when
 */
struct policy_keeper {
	struct loop *loop;
	struct loop_op poll;
	struct loop_timer timer;
	int fd;
	bool all_known;
	bool looked;
	uint64_t looked_ms;
	union {
		struct nlmsghdr header; /* for its alignment */
		char octets[BUFFER_BYTES];
	} buffer;
};

/* -------- looking -------- */

static void set_timer(struct policy_keeper *k, uint64_t delay_ms)
{
	if (loop_timer_set(k->loop, &k->timer, delay_ms))
		log_err("out of memory for a timer: IPsec policies that somebody removes stay "
			"away");
}

static void tell(const struct policy_keeper *k, const struct policy_mended *mended)
{
	static struct log_limit limit = {.burst = 5, .interval_ms = 60000};

	if (k->looked && mended->missing + mended->altered)
		log_limited(LOG_LEVEL_WARNING, &limit,
			    "somebody removed or changed IPsec policies of ours (ip xfrm policy "
			    "flush?): %u were missing, %u other; they are back, but traffic may "
			    "have passed in the clear meanwhile",
			    mended->missing, mended->altered);
	if (mended->stray)
		log_info("%u IPsec policies that no channel wants any more were removed",
			 mended->stray);
}

static void look(struct policy_keeper *k)
{
	static struct log_limit limit = {.burst = 2, .interval_ms = 60000};
	struct policy_mended mended;
	char error[256] = "";
	int err;

	loop_timer_cancel(k->loop, &k->timer);
	err = policy_mend(k->all_known, &mended, error, sizeof(error));
	tell(k, &mended);
	k->looked = k->looked || !err;
	k->looked_ms = loop_now_ms(k->loop);
	if (err)
		log_limited(LOG_LEVEL_WARNING, &limit, "IPsec policies cannot be checked now: %s",
			    error);
	if (err == -EAGAIN)
		set_timer(k, PAUSE_MS);
	else if (err || k->fd < 0)
		set_timer(k, POLICY_KEEPER_MS);
}

static void look_soon(struct policy_keeper *k)
{
	uint64_t next = k->looked_ms + PAUSE_MS, now = loop_now_ms(k->loop);

	if (now >= next)
		look(k);
	else if (!loop_timer_pending(&k->timer) || k->timer.at_ms > next)
		set_timer(k, next - now);
}

/* -------- listening -------- */

static bool concerns_us(const struct nlmsghdr *header)
{
	struct policy_entry entry;
	bool gone;

	if (header->nlmsg_type == XFRM_MSG_FLUSHPOLICY)
		return true;
	if (policy_kernel_event(header, &entry, &gone))
		return header->nlmsg_type == XFRM_MSG_DELPOLICY; /* by index: of which it is */
	return policy_concerns(&entry, gone);
}

static bool any_concerns_us(const struct nlmsghdr *header, size_t len)
{
	for (; NLMSG_OK(header, len); header = NLMSG_NEXT(header, len))
		if (concerns_us(header))
			return true;
	return false;
}

/* Return: whether what stands must be looked at. */
static bool read_events(struct policy_keeper *k)
{
	bool look_at_them = false;
	unsigned int i;

	for (i = 0; i < READS_MAX; i++) {
		ssize_t len = recv(k->fd, k->buffer.octets, BUFFER_BYTES, MSG_DONTWAIT);

		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		/* ENOBUFS: there were more than it keeps. */
		if (len < 0 || any_concerns_us(&k->buffer.header, (size_t)len))
			look_at_them = true;
		if (len < 0 && errno != ENOBUFS)
			break;
	}
	return look_at_them;
}

static void listen_on(struct policy_keeper *k)
{
	int err = k->fd < 0 ? -EBADF : loop_poll(k->loop, &k->poll, k->fd, POLLIN);

	if (!err)
		return;
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	set_timer(k, err == -EAGAIN ? PAUSE_MS : POLICY_KEEPER_MS);
}

static void events_came(struct loop_op *op, int result)
{
	struct policy_keeper *k = op->arg;

	if (result == -ECANCELED)
		return; /* the loop ends */
	if (result < 0) {
		close(k->fd);
		k->fd = -1;
	} else if (read_events(k)) {
		look_soon(k);
	}
	listen_on(k);
}

static int open_events(void)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int group = XFRMNLGRP_POLICY, fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* First listen, then look: nothing is missed between the two. */
static void tick(void *arg)
{
	struct policy_keeper *k = arg;

	if (!policy_wanted() && !k->all_known) {
		set_timer(k, POLICY_KEEPER_MS);
		return;
	}
	if (k->fd < 0) {
		k->fd = open_events();
		listen_on(k);
	}
	look(k);
}

struct policy_keeper *policy_keeper_create(struct loop *loop)
{
	struct policy_keeper *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->loop = loop;
	k->fd = -1;
	k->poll.done = events_came;
	k->poll.arg = k;
	k->timer.fire = tick;
	k->timer.arg = k;
	set_timer(k, 0);
	return k;
}

void policy_keeper_all_known(struct policy_keeper *k)
{
	k->all_known = true;
	set_timer(k, 0);
}

void policy_keeper_destroy(struct policy_keeper *k)
{
	if (!k)
		return;
	loop_timer_cancel(k->loop, &k->timer);
	loop_op_forget(k->loop, &k->poll);
	if (k->fd >= 0)
		close(k->fd);
	free(k);
}
