// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands on a channel's epochs; see command.h. */
#include "unp/netlink/command.h"
#include "record.h"
#include "unp/netlink/report.h"
#include "unp/netlink/rollover.h"
#include "unp/netlink/stale.h"

#include <errno.h>
#include <stdlib.h>

/* -------- keys -------- */

static int install(struct netlink_channel *c, const struct qkd_key *key, bool queue)
{
	struct netlink_sa *sa = calloc(1, sizeof(*sa));
	int err = -ENOMEM;

	if (!sa)
		return err;
	if (queue)
		err = netlink_install_queue(key, sa);
	else
		err = netlink_install_put(c->env->kernel, &c->config, &c->stale, key, sa);
	if (err) {
		netlink_sa_free(sa);
		return err;
	}
	qkd_epochs_put(&c->epochs, key->epoch, qkd_epochs_random(key), sa);
	return 0;
}

static int may_put(const struct netlink_channel *c, const struct qkd_key *key)
{
	int err = qkd_record_check_key(key);

	if (!err)
		err = qkd_record_check_salt(key, c->config.cipher);
	return err ? err : qkd_epochs_may_put(&c->epochs, key->epoch);
}

static int put_key(struct netlink_channel *c, const struct qkd_key *key)
{
	int err = may_put(c, key);
	bool queue;

	if (err)
		return err;
	queue = qkd_epochs_must_queue(&c->epochs, key->epoch);
	err = install(c, key, queue);
	if (err) {
		qkd_epochs_spend(&c->epochs, key->epoch);
		netlink_report_failed(c, key->epoch, err);
		return qkd_record_spent_status(err);
	}
	if (!queue)
		netlink_report_installed(c, key->epoch);
	netlink_rollover_run(c);
	return 0;
}

/* -------- what the peer and the KM say of epochs -------- */

static int watermark(struct netlink_channel *c, const struct qkd_watermark *r)
{
	uint64_t before = c->epochs.peer_out;
	int err = qkd_record_check_watermark(r);

	if (!err)
		err = qkd_epochs_watermark(&c->epochs, netlink_now_ms(), r->first, r->last,
					   r->peer_out, r->flags & QKD_WATERMARK_NONE);
	if (err)
		return err;
	if (r->peer_out != QKD_EPOCH_NONE && r->peer_out != before)
		netlink_report_event(c, QKD_EVENT_PEER_MOVED, r->peer_out);
	netlink_stale_peer_moved(c, r->peer_out);
	netlink_rollover_run(c);
	return 0;
}

static int force(struct netlink_channel *c, struct qkd_rollover *r)
{
	uint64_t before = c->epochs.out;
	int err = qkd_record_check_rollover(r);

	if (!err)
		err = qkd_epochs_force(&c->epochs);
	if (err)
		return err;
	netlink_rollover_run(c);
	if (c->epochs.out == before || c->epochs.out == QKD_EPOCH_NONE)
		return -EAGAIN; /* none of the ready ones would go in */
	r->epoch = c->epochs.out;
	return 0;
}

static int retire(struct netlink_channel *c, const struct qkd_retire *r)
{
	int err = qkd_record_check_retire(r);

	if (!err)
		err = qkd_epochs_retire(&c->epochs, netlink_now_ms(), r->epoch);
	if (!err)
		netlink_rollover_run(c);
	return err;
}

/* -------- what is asked -------- */

static int count(struct netlink_channel *c, struct qkd_counters *r)
{
	const struct qkd_epochs *epochs = &c->epochs;
	int err = qkd_record_check_counters(r);

	if (err)
		return err;
	*r = c->counters;
	r->out_epoch = epochs->out;
	r->in_first = QKD_EPOCH_NONE;
	r->in_last = QKD_EPOCH_NONE;
	qkd_epochs_inbound(epochs, (u64 *)&r->in_first, (u64 *)&r->in_last);
	r->peer_first = epochs->peer_first;
	r->peer_last = epochs->peer_last;
	r->ready = qkd_epochs_ready(epochs);
	r->queued = qkd_epochs_queued(epochs);
	return 0;
}

int netlink_command_run(struct netlink_channel *c, uint32_t cmd, void *record)
{
	switch (cmd) {
	case QKD_CMD_KEY_PUT:
		return put_key(c, record);
	case QKD_CMD_WATERMARK:
		return watermark(c, record);
	case QKD_CMD_ROLLOVER:
		return force(c, record);
	case QKD_CMD_RETIRE:
		return retire(c, record);
	case QKD_CMD_COUNTERS:
		return count(c, record);
	default:
		return -ENOTTY;
	}
}
