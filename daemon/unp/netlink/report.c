// SPDX-License-Identifier: GPL-2.0-or-later
/* Events and counters of the netlink backend; see report.h. */
#include "unp/netlink/report.h"

static void emit(struct netlink_channel *c, enum qkd_event_type type, uint64_t epoch,
		 uint64_t value, int err)
{
	struct qkd_event event = {
		.time_ns = netlink_clock_ns(CLOCK_REALTIME),
		.channel = c->config.id,
		.type = (uint16_t)type,
		.epoch = epoch,
		.value = value,
		.error = err,
	};

	c->env->event(&event, c->env->arg);
}

void netlink_report_event(struct netlink_channel *c, enum qkd_event_type type, uint64_t epoch)
{
	emit(c, type, epoch, 0, 0);
}

void netlink_report_installed(struct netlink_channel *c, uint64_t epoch)
{
	c->counters.installed++;
	emit(c, QKD_EVENT_INSTALLED, epoch, 0, 0);
}

void netlink_report_failed(struct netlink_channel *c, uint64_t epoch, int err)
{
	c->counters.failed++;
	emit(c, QKD_EVENT_FAILED, epoch, 0, err);
}

static void report_switch(struct netlink_channel *c, uint64_t epoch, bool limited)
{
	uint32_t ahead = qkd_epochs_ahead(&c->epochs);

	/* The first activation is no rollover. */
	if (c->counters.last_rollover_ns) {
		c->counters.rollovers++;
		c->counters.limit_rollovers += limited;
	}
	c->counters.last_rollover_ns = netlink_clock_ns(CLOCK_REALTIME);
	emit(c, QKD_EVENT_ACTIVATED, epoch, ahead, 0);
	if (qkd_epochs_is_low(&c->epochs, ahead))
		emit(c, QKD_EVENT_LOW, QKD_EPOCH_NONE, ahead, 0);
}

static void report_done(struct netlink_channel *c, const struct qkd_action *action, bool limited)
{
	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		report_switch(c, action->epoch, limited);
		break;
	case QKD_ACTION_INSTALL:
		netlink_report_installed(c, action->epoch);
		break;
	case QKD_ACTION_FORGET:
		c->counters.retired++;
		emit(c, QKD_EVENT_RETIRED, action->epoch, 0, 0);
		break;
	case QKD_ACTION_EXHAUSTED:
		c->counters.exhausted++;
		emit(c, QKD_EVENT_EXHAUSTED, QKD_EPOCH_NONE, 0, 0);
		break;
	case QKD_ACTION_BLOCK:
		c->counters.blocked++;
		emit(c, QKD_EVENT_BLOCKED, action->epoch, 0, 0);
		break;
	default:
		break;
	}
}

void netlink_report_action(struct netlink_channel *c, const struct qkd_action *action, bool limited,
			   int err)
{
	if (err && action->type == QKD_ACTION_FORGET)
		return; /* it failed: one word is enough */
	if (err)
		netlink_report_failed(c, action->epoch, err);
	else
		report_done(c, action, limited);
}
