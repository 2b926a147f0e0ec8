// SPDX-License-Identifier: GPL-2.0-or-later
/* One channel of the netlink backend; see channel.h. */
#include "unp/netlink/channel.h"
#include "record.h"

#include <stdlib.h>

uint64_t netlink_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t netlink_now_ms(void)
{
	return netlink_clock_ns(CLOCK_BOOTTIME) / 1000000;
}

uint64_t netlink_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

bool netlink_channel_is_macsec(const struct netlink_channel *c)
{
	return c->config.kind == QKD_KIND_MACSEC;
}

struct netlink_sa *netlink_channel_sa_in_use(const struct netlink_channel *c)
{
	uint32_t i;

	for (i = 0; i < c->epochs.count; i++)
		if (c->slot[i].epoch == c->epochs.out)
			return c->slot[i].sa;
	return NULL;
}

static struct netlink_channel *allocate(uint32_t capacity)
{
	struct netlink_channel *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->slot = calloc(capacity, sizeof(*c->slot));
	if (!c->slot) {
		free(c);
		return NULL;
	}
	return c;
}

struct netlink_channel *netlink_channel_create(const struct netlink_env *env,
					       const struct qkd_channel *config,
					       void (*fire)(void *channel))
{
	struct qkd_epochs_config epochs = qkd_epochs_config_of(config);
	uint32_t capacity = qkd_epochs_capacity(&epochs);
	struct netlink_channel *c = allocate(capacity);

	if (!c)
		return NULL;
	c->env = env;
	c->config = *config;
	c->counters.channel = config->id;
	c->timer.fire = fire;
	c->timer.arg = c;
	c->stale_in_at = NETLINK_NEVER;
	c->stale_out_at = NETLINK_NEVER;
	c->look_at = NETLINK_NEVER;
	qkd_epochs_init(&c->epochs, &epochs, c->slot, capacity, config->first_epoch);
	return c;
}

void netlink_channel_free(struct netlink_channel *c)
{
	uint32_t i;

	loop_timer_cancel(c->env->loop, &c->timer);
	for (i = 0; i < c->epochs.count; i++)
		netlink_sa_free(c->slot[i].sa);
	free(c->stale.esp);
	free(c->slot);
	free(c);
}
