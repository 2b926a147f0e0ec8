// SPDX-License-Identifier: GPL-2.0-or-later
/* SAs of an earlier process; see stale.h. */
#include "unp/netlink/stale.h"
#include "log.h"
#include "unp/netlink/limit.h"

static bool stands(const struct netlink_channel *c, bool out)
{
	return netlink_install_has_stale(&c->stale, out);
}

static int remove_now(struct netlink_channel *c, bool out)
{
	return netlink_install_remove_stale(c->env->kernel, &c->config, &c->stale, out);
}

void netlink_stale_take_over(struct netlink_channel *c)
{
	const struct qkd_channel *config = &c->config;

	if (!stands(c, true) && !stands(c, false))
		return;
	log_info("channel %.31s: SAs of an earlier qkdkeyd stand; they go once new ones are in use",
		 config->name);
	if (config->on_exhausted == QKD_EXHAUSTED_BLOCK)
		c->stale_out_at = netlink_now_ms() + config->rollover_ms;
	else if (config->hard_ms)
		c->stale_out_at = netlink_now_ms() + config->rollover_ms + config->hard_ms;
	if (stands(c, true))
		netlink_limit_begin_stale(c);
}

void netlink_stale_switched(struct netlink_channel *c)
{
	if (stands(c, true))
		c->stale_out_at =
			netlink_earlier(c->stale_out_at, netlink_now_ms() + c->config.grace_ms);
}

/* An epoch of this process: what the one before installed is out of use. */
void netlink_stale_peer_moved(struct netlink_channel *c, uint64_t epoch)
{
	if (epoch != QKD_EPOCH_NONE && epoch >= c->config.first_epoch && stands(c, false) &&
	    c->stale_in_at == NETLINK_NEVER)
		c->stale_in_at = netlink_now_ms() + c->config.grace_ms;
}

int netlink_stale_block(struct netlink_channel *c)
{
	return stands(c, true) ? remove_now(c, true) : 0;
}

static int remove_if_due(struct netlink_channel *c, uint64_t *at, bool out)
{
	int err;

	if (netlink_now_ms() < *at)
		return 0;
	err = remove_now(c, out);
	if (!err)
		*at = NETLINK_NEVER;
	return err;
}

int netlink_stale_remove_due(struct netlink_channel *c)
{
	int out, in;

	if (c->epochs.state == QKD_CHANNEL_BLOCKED && stands(c, true))
		c->stale_out_at = netlink_now_ms();
	out = remove_if_due(c, &c->stale_out_at, true);
	in = remove_if_due(c, &c->stale_in_at, false);
	return out ? out : in;
}

uint64_t netlink_stale_deadline(const struct netlink_channel *c)
{
	return netlink_earlier(c->stale_in_at, c->stale_out_at);
}
