// SPDX-License-Identifier: GPL-2.0-or-later
/* Limits of octets and packets; see limit.h. */
#include "unp/netlink/limit.h"
#include "log.h"

#include <errno.h>

#define LOOK_MS		    100		 /* between two looks at what a MACsec device has sent */
#define SOFT_PACKETS_NO_ESN (1ULL << 31) /* half of the sequence numbers */

static bool has_short_sequence(const struct netlink_channel *c)
{
	return !netlink_channel_is_macsec(c) && !(c->config.flags & QKD_CHANNEL_ESN);
}

bool netlink_limit_is_set(const struct netlink_channel *c)
{
	return c->config.soft_bytes || c->config.soft_packets || has_short_sequence(c);
}

static uint64_t soft_packets(const struct netlink_channel *c, uint64_t epoch)
{
	uint64_t limit = qkd_epochs_soft(&c->epochs, epoch, c->config.soft_packets);

	if (has_short_sequence(c) && (!limit || limit > SOFT_PACKETS_NO_ESN))
		return SOFT_PACKETS_NO_ESN;
	return limit;
}

static void draw(struct netlink_channel *c, uint64_t epoch)
{
	const struct qkd_channel *config = &c->config;

	c->limits = (struct netlink_limits){
		.soft_bytes = qkd_epochs_soft(&c->epochs, epoch, config->soft_bytes),
		.soft_packets = soft_packets(c, epoch),
		.hard_bytes = config->hard_bytes,
		.hard_packets = config->hard_packets,
	};
}

/* A MACsec device counts on from one key to the next. */
static int note_base(struct netlink_channel *c, const struct netlink_sa *sa)
{
	c->look_at = NETLINK_NEVER;
	if (!netlink_channel_is_macsec(c) || !netlink_limit_is_set(c))
		return 0;
	c->look_at = netlink_now_ms() + LOOK_MS;
	return netlink_install_sent(c->env->kernel, &c->config, sa, &c->base_packets,
				    &c->base_bytes);
}

int netlink_limit_begin(struct netlink_channel *c, const struct netlink_sa *sa)
{
	draw(c, sa->epoch);
	return note_base(c, sa);
}

void netlink_limit_begin_stale(struct netlink_channel *c)
{
	const struct qkd_channel *config = &c->config;

	c->limits = (struct netlink_limits){
		.hard_bytes = config->hard_bytes,
		.hard_packets = config->hard_packets,
	};
	if ((config->hard_bytes || config->hard_packets) && note_base(c, NULL))
		log_warn("channel %.31s: what its SA of before sends cannot be counted",
			 config->name);
}

/* Soft: the next epoch, not too soon after the last. Hard: the next at once, or none. */
void netlink_limit_reached(struct netlink_channel *c, bool hard)
{
	if (hard) {
		c->counters.hard_expiries += !c->epochs.expired;
		qkd_epochs_expired(&c->epochs);
	} else {
		c->counters.delayed += qkd_epochs_limit(&c->epochs, netlink_now_ms());
	}
}

static bool is_over(uint64_t packets, uint64_t packet_limit, uint64_t bytes, uint64_t byte_limit)
{
	return (packet_limit && packets >= packet_limit) || (byte_limit && bytes >= byte_limit);
}

static void stale_is_over(struct netlink_channel *c)
{
	uint64_t now = netlink_now_ms();

	if (c->stale_out_at <= now)
		return; /* it goes already */
	c->counters.hard_expiries++;
	c->stale_out_at = now;
	log_warn("channel %.31s: its SA of before is at a hard limit and goes", c->config.name);
}

/* No new SA is in use yet. */
static bool is_stale_in_use(const struct netlink_channel *c)
{
	return c->epochs.out == QKD_EPOCH_NONE && netlink_install_has_stale(&c->stale, true);
}

static void is_at_hard_limit(struct netlink_channel *c)
{
	if (is_stale_in_use(c))
		stale_is_over(c);
	else
		netlink_limit_reached(c, true);
}

void netlink_limit_look(struct netlink_channel *c)
{
	const struct netlink_sa *sa = netlink_channel_sa_in_use(c);
	const struct netlink_limits *l = &c->limits;
	uint64_t packets = 0, bytes = 0;
	int err;

	if (!netlink_limit_is_set(c) || (!sa && c->look_at == NETLINK_NEVER))
		return;
	err = netlink_install_sent(c->env->kernel, &c->config, sa, &packets, &bytes);
	packets -= c->base_packets;
	bytes -= c->base_bytes;
	if (err == -ESRCH || (!err && is_over(packets, l->hard_packets, bytes, l->hard_bytes)))
		is_at_hard_limit(c);
	else if (!err && is_over(packets, l->soft_packets, bytes, l->soft_bytes))
		netlink_limit_reached(c, false);
}

void netlink_limit_look_if_due(struct netlink_channel *c)
{
	if (netlink_now_ms() < c->look_at)
		return;
	c->look_at = netlink_now_ms() + LOOK_MS;
	netlink_limit_look(c);
}

uint64_t netlink_limit_deadline(struct netlink_channel *c)
{
	if (c->epochs.out == QKD_EPOCH_NONE && !is_stale_in_use(c))
		c->look_at = NETLINK_NEVER;
	return c->look_at;
}
