// SPDX-License-Identifier: GPL-2.0-or-later
/* What is due on a channel, done to its SAs; see rollover.h. */
#include "unp/netlink/rollover.h"
#include "log.h"
#include "unp/netlink/limit.h"
#include "unp/netlink/report.h"
#include "unp/netlink/stale.h"

#include <errno.h>
#include <string.h>

#define RETRY_MS 100 /* to remove an SA that the kernel did not */

static int activate(struct netlink_channel *c, struct netlink_sa *sa)
{
	uint64_t start = netlink_clock_ns(CLOCK_MONOTONIC), took;
	int err = netlink_limit_begin(c, sa);

	if (!err)
		err = netlink_install_activate(c->env->kernel, &c->config, sa, &c->limits);
	took = netlink_clock_ns(CLOCK_MONOTONIC) - start;
	if (!err && took > c->counters.activation_max_ns)
		c->counters.activation_max_ns = took;
	return err;
}

/* Blocked means that nothing is sent, by no SA of whatever age. */
static int block(struct netlink_channel *c, struct netlink_sa *sa)
{
	int err = netlink_stale_block(c);

	if (!err && sa)
		err = netlink_install_remove_out(c->env->kernel, &c->config, sa);
	return err;
}

/* Return: 0, or that it had been told already that the epoch will not stand. */
static int forget(struct netlink_sa *sa)
{
	int err = sa->failed ? -ECANCELED : 0;

	netlink_sa_free(sa);
	return err;
}

static int carry_out(struct netlink_channel *c, const struct qkd_action *action)
{
	struct netlink_kernel *k = c->env->kernel;
	struct netlink_sa *sa = action->slot ? action->slot->sa : NULL;

	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		return activate(c, sa);
	case QKD_ACTION_INSTALL:
		return netlink_install_queued(k, &c->config, &c->stale, sa);
	case QKD_ACTION_REMOVE_IN:
		return netlink_install_remove_in(k, &c->config, sa);
	case QKD_ACTION_REMOVE_OUT:
		return netlink_install_remove_out(k, &c->config, sa);
	case QKD_ACTION_BLOCK:
		return block(c, sa);
	case QKD_ACTION_FORGET:
		return forget(sa);
	case QKD_ACTION_EXHAUSTED:
		break;
	}
	return 0;
}

/* The SA stands and may be in use: nothing says that it is gone. */
static void removal_failed(struct netlink_channel *c, uint64_t epoch, int err)
{
	if (!c->stuck) {
		log_err("channel %.31s: an SA that is over cannot be removed: %s; it stands and "
			"may be in use, and is tried again",
			c->config.name, strerror(-err));
		netlink_report_failed(c, epoch, err);
	}
	c->stuck = true;
}

static bool is_removal(const struct qkd_action *action)
{
	return action->type == QKD_ACTION_REMOVE_IN || action->type == QKD_ACTION_REMOVE_OUT ||
	       action->type == QKD_ACTION_BLOCK;
}

/* Ends at what the kernel does not remove: it stays due. Return: whether all was done. */
static bool do_what_is_due(struct netlink_channel *c)
{
	struct qkd_action action;

	while (qkd_epochs_next(&c->epochs, netlink_now_ms(), &action)) {
		bool limited = c->epochs.limited;
		int err = carry_out(c, &action);

		if (err && is_removal(&action)) {
			removal_failed(c, action.epoch, err);
			return false;
		}
		qkd_epochs_done(&c->epochs, netlink_now_ms(), &action, err);
		if (!err && action.type == QKD_ACTION_ACTIVATE)
			netlink_stale_switched(c);
		netlink_report_action(c, &action, limited, err);
	}
	return true;
}

static bool remove_stale(struct netlink_channel *c)
{
	int err = netlink_stale_remove_due(c);

	if (err)
		removal_failed(c, QKD_EPOCH_NONE, err);
	return !err;
}

static uint64_t deadline(struct netlink_channel *c)
{
	uint64_t at = netlink_earlier(netlink_stale_deadline(c), qkd_epochs_deadline(&c->epochs));

	return netlink_earlier(at, netlink_limit_deadline(c));
}

static void set_timer(struct netlink_channel *c)
{
	uint64_t now = netlink_now_ms(), at = deadline(c);

	if (c->stuck && at < now + RETRY_MS)
		at = now + RETRY_MS;
	if (at == NETLINK_NEVER)
		loop_timer_cancel(c->env->loop, &c->timer);
	else if (loop_timer_set(c->env->loop, &c->timer, at > now ? at - now : 0))
		log_err("channel %.31s: out of memory for a timer: no rollover", c->config.name);
}

void netlink_rollover_run(struct netlink_channel *c)
{
	bool all = do_what_is_due(c);

	all = remove_stale(c) && all;
	if (all && c->stuck)
		log_info("channel %.31s: the SA that could not be removed is gone", c->config.name);
	c->stuck = !all;
	set_timer(c);
}

void netlink_rollover_fired(void *channel)
{
	struct netlink_channel *c = channel;

	netlink_limit_look_if_due(c);
	netlink_rollover_run(c);
}

static int clear(struct netlink_channel *c, struct qkd_epoch_slot *slot, bool out)
{
	uint8_t *state = out ? &slot->out : &slot->in;
	struct netlink_kernel *kernel = c->env->kernel;
	int err;

	if (!qkd_epochs_stands(*state))
		return 0;
	err = out ? netlink_install_remove_out(kernel, &c->config, slot->sa)
		  : netlink_install_remove_in(kernel, &c->config, slot->sa);
	if (!err)
		*state = QKD_SA_NONE;
	return err;
}

/* Outbound first. */
int netlink_rollover_clear(struct netlink_channel *c)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < c->epochs.count && !err; i++)
		err = clear(c, &c->slot[i], true);
	for (i = 0; i < c->epochs.count && !err; i++)
		err = clear(c, &c->slot[i], false);
	return err ? err : netlink_install_close(c->env->kernel, &c->config, &c->stale);
}
