// SPDX-License-Identifier: GPL-2.0-or-later
/* The channels of the netlink backend; see table.h. */
#include "unp/netlink/table.h"
#include "log.h"
#include "record.h"
#include "unp/netlink/channel.h"
#include "unp/netlink/command.h"
#include "unp/netlink/limit.h"
#include "unp/netlink/report.h"
#include "unp/netlink/rollover.h"
#include "unp/netlink/stale.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/** struct netlink_table - @first: the channels, in order of id */
struct netlink_table {
	struct netlink_env env;
	struct netlink_channel *first;
	uint32_t count;
};

static struct netlink_channel *find(const struct netlink_table *t, uint32_t id)
{
	struct netlink_channel *c;

	for (c = t->first; c; c = c->next)
		if (c->config.id == id)
			return c;
	return NULL;
}

/* -------- adding and deleting -------- */

static void insert(struct netlink_table *t, struct netlink_channel *c)
{
	struct netlink_channel **link = &t->first;

	while (*link && (*link)->config.id < c->config.id)
		link = &(*link)->next;
	c->next = *link;
	*link = c;
	t->count++;
}

static void take_out(struct netlink_table *t, struct netlink_channel *c)
{
	struct netlink_channel **link = &t->first;

	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	t->count--;
}

static int check_add(const struct netlink_table *t, const struct qkd_channel *r)
{
	int err = qkd_record_check_channel_add(r);

	if (err)
		return err;
	if (find(t, r->id))
		return -EEXIST;
	return t->count < QKD_MAX_CHANNELS ? 0 : -ENOSPC;
}

static int add(struct netlink_table *t, const struct qkd_channel *r)
{
	struct netlink_channel *c;
	int err = check_add(t, r);

	if (err)
		return err;
	c = netlink_channel_create(&t->env, r, netlink_rollover_fired);
	if (!c)
		return -ENOMEM;
	err = netlink_install_open(t->env.kernel, r, &c->stale);
	if (err) {
		netlink_channel_free(c);
		return err;
	}
	insert(t, c);
	netlink_stale_take_over(c);
	netlink_report_event(c, QKD_EVENT_ADDED, QKD_EPOCH_NONE);
	netlink_rollover_run(c);
	return 0;
}

/* What cannot be removed stays, with the channel. */
static int delete (struct netlink_table *t, const struct qkd_channel *r)
{
	struct netlink_channel *c = find(t, r->id);
	int err;

	if (!c)
		return -ENOENT;
	err = netlink_rollover_clear(c);
	if (err) {
		log_err("channel %.31s: its SAs cannot be removed: %s", c->config.name,
			strerror(-err));
		return err == -ENOENT ? -EIO : err;
	}
	netlink_report_event(c, QKD_EVENT_DELETED, QKD_EPOCH_NONE);
	take_out(t, c);
	netlink_channel_free(c);
	return 0;
}

/* -------- commands -------- */

static int run_on_channel(struct netlink_table *t, uint32_t cmd, void *record, uint32_t id)
{
	struct netlink_channel *c = find(t, id);

	return c ? netlink_command_run(c, cmd, record) : -ENOENT;
}

void netlink_table_run(struct netlink_table *t, uint32_t cmd, void *record)
{
	/* Every record begins with its status; the channel follows. */
	struct {
		int32_t status;
		uint32_t channel;
	} head;
	struct qkd_key *key = record;

	memcpy(&head, record, sizeof(head));
	if (cmd == QKD_CMD_CHANNEL_ADD)
		head.status = add(t, record);
	else if (cmd == QKD_CMD_CHANNEL_DELETE)
		head.status = delete (t, record);
	else
		head.status = run_on_channel(t, cmd, record, head.channel);
	if (cmd == QKD_CMD_KEY_PUT)
		OPENSSL_cleanse(key->key_id, sizeof(*key) - offsetof(struct qkd_key, key_id));
	memcpy(record, &head.status, sizeof(head.status));
}

/* -------- what the kernel says -------- */

void netlink_table_expired(struct netlink_table *t, uint32_t reqid, uint32_t spi, bool hard)
{
	const struct netlink_sa *sa;
	struct netlink_channel *c = t->first;

	while (c && (c->config.reqid != reqid || netlink_channel_is_macsec(c)))
		c = c->next;
	sa = c ? netlink_channel_sa_in_use(c) : NULL;
	if (!sa || sa->spi_out != spi)
		return; /* one that was replaced already */
	netlink_limit_reached(c, hard);
	netlink_rollover_run(c);
}

void netlink_table_look(struct netlink_table *t)
{
	struct netlink_channel *c;

	for (c = t->first; c; c = c->next) {
		if (!netlink_limit_is_set(c))
			continue;
		netlink_limit_look(c);
		netlink_rollover_run(c);
	}
}

/* -------- lists -------- */

int netlink_table_channels(struct netlink_table *t, struct qkd_channel **channels, size_t *n)
{
	struct qkd_channel *list = calloc(t->count + 1, sizeof(*list)), *r = list;
	const struct netlink_channel *c;

	if (!list)
		return -ENOMEM;
	for (c = t->first; c; c = c->next, r++) {
		*r = c->config;
		r->state = c->epochs.state;
		r->first_epoch = c->epochs.next;
	}
	*channels = list;
	*n = t->count;
	return 0;
}

int netlink_table_epochs(struct netlink_table *t, uint32_t channel, struct qkd_epoch **epochs,
			 size_t *n)
{
	const struct netlink_channel *c = find(t, channel);
	struct qkd_epoch *list;
	uint32_t i;

	if (!c)
		return -ENOENT;
	list = calloc(c->epochs.count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (i = 0; i < c->epochs.count; i++) {
		const struct qkd_epoch_slot *s = &c->slot[i];

		list[i].channel = channel;
		list[i].epoch = s->epoch;
		list[i].in = s->in;
		list[i].out = s->out;
		netlink_install_report(t->env.kernel, &c->config, s->sa, &list[i]);
	}
	*epochs = list;
	*n = c->epochs.count;
	return 0;
}

/* -------- life -------- */

int netlink_table_create(struct loop *loop, struct netlink_kernel *kernel,
			 void (*event)(const struct qkd_event *event, void *arg), void *arg,
			 struct netlink_table **table)
{
	struct netlink_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->env = (struct netlink_env){
		.loop = loop,
		.kernel = kernel,
		.event = event,
		.arg = arg,
	};
	*table = t;
	return 0;
}

void netlink_table_destroy(struct netlink_table *t)
{
	struct netlink_channel *c;

	while ((c = t->first)) {
		take_out(t, c);
		netlink_channel_free(c);
	}
	free(t);
}
