// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backend over netlink. Commands take effect when they are submitted; their
 * answers and the events wait in one queue until the next turn of the loop, so
 * that callers see the same order as with the module.
 */
#include "unp/backend_ops.h"
#include "km/secret.h"
#include "log.h"
#include "record.h"
#include "unp/netlink/expire.h"
#include "unp/netlink/table.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** One answer or event on its way. @octets: record, list or event, owned */
struct item {
	struct item *next;
	bool is_event;
	backend_done_fn done;
	backend_list_fn list_done;
	void *arg;
	int err;
	size_t count;
	void *octets;
};

struct netlink_backend {
	struct backend backend;
	struct netlink_kernel kernel;
	struct netlink_table *table;
	struct netlink_expire *expire;
	unsigned int events_lost;
	struct loop_timer deliver;
	struct item *first;
	struct item **last;
	bool delivering;
	bool closing;
};

static struct netlink_backend *netlink_of(struct backend *backend)
{
	return (struct netlink_backend *)backend; /* its first member */
}

/* -------- the queue -------- */

static int queue(struct netlink_backend *nb, const struct item *item)
{
	struct item *copy = malloc(sizeof(*copy));
	int err = copy ? loop_timer_set(nb->backend.loop, &nb->deliver, 0) : -ENOMEM;

	if (err) {
		free(copy);
		return err;
	}
	*copy = *item;
	copy->next = NULL;
	*nb->last = copy;
	nb->last = &copy->next;
	return 0;
}

static struct item *take(struct netlink_backend *nb)
{
	struct item *item = nb->first;

	if (!item)
		return NULL;
	nb->first = item->next;
	if (!nb->first)
		nb->last = &nb->first;
	return item;
}

static void hand_over(struct netlink_backend *nb, struct item *item, int err)
{
	if (err)
		item->err = err;
	if (item->is_event && !err)
		nb->backend.events.event(item->octets, nb->backend.events.arg);
	else if (item->list_done)
		item->list_done(item->arg, item->err, item->err ? NULL : item->octets,
				item->err ? 0 : item->count);
	else if (item->done)
		item->done(item->arg, item->err, item->err ? NULL : item->octets);
	free(item->octets);
	free(item);
}

static void release(struct netlink_backend *nb)
{
	loop_timer_cancel(nb->backend.loop, &nb->deliver);
	netlink_expire_close(nb->expire);
	if (nb->table)
		netlink_table_destroy(nb->table);
	netlink_close(nb->kernel.xfrm);
	netlink_macsec_close(nb->kernel.macsec);
	free(nb);
}

/* What is queued meanwhile waits for the next turn. */
static void deliver(void *arg)
{
	struct netlink_backend *nb = arg;
	struct item *end = NULL, *item, **last = nb->last;

	nb->delivering = true;
	if (nb->first)
		end = (struct item *)((char *)last - offsetof(struct item, next));
	while (!nb->closing && (item = take(nb))) {
		bool final = item == end;

		hand_over(nb, item, 0);
		if (final)
			break;
	}
	nb->delivering = false;
	if (nb->closing)
		release(nb);
	else if (nb->first && loop_timer_set(nb->backend.loop, &nb->deliver, 0))
		log_err("out of memory for a timer: answers of netlink are late");
}

static void table_event(const struct qkd_event *event, void *arg)
{
	struct netlink_backend *nb = arg;
	struct item item = {.is_event = true, .octets = malloc(sizeof(*event))};

	if (item.octets) {
		memcpy(item.octets, event, sizeof(*event));
		((struct qkd_event *)item.octets)->lost = nb->events_lost;
		if (!queue(nb, &item)) {
			nb->events_lost = 0;
			return;
		}
	}
	free(item.octets);
	nb->events_lost++;
	log_err("out of memory: an event of channel number %u was lost", event->channel);
}

static void sa_expired(uint32_t reqid, uint32_t spi, bool hard, void *arg)
{
	struct netlink_backend *nb = arg;

	netlink_table_expired(nb->table, reqid, spi, hard);
}

static void expiries_lost(void *arg)
{
	struct netlink_backend *nb = arg;

	netlink_table_look(nb->table);
}

/* -------- operations -------- */

/* A key is worked on in locked memory; what is left of the record has none. */
static int run_key(struct netlink_backend *nb, const struct qkd_key *key, void *result)
{
	struct qkd_key *copy = secret_alloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *key;
	netlink_table_run(nb->table, QKD_CMD_KEY_PUT, copy);
	memcpy(result, copy, sizeof(*copy));
	secret_free(copy);
	return 0;
}

static int netlink_submit(struct backend *backend, uint32_t cmd, const void *record,
			  backend_done_fn done, void *arg)
{
	struct netlink_backend *nb = netlink_of(backend);
	size_t size = backend_record_size(cmd);
	struct item item = {.done = done, .arg = arg, .octets = malloc(size)};
	int err = 0;

	if (!item.octets)
		return -ENOMEM;
	if (cmd == QKD_CMD_KEY_PUT) {
		err = run_key(nb, record, item.octets);
	} else {
		memcpy(item.octets, record, size);
		netlink_table_run(nb->table, cmd, item.octets);
	}
	if (!err)
		err = queue(nb, &item);
	if (err)
		free(item.octets);
	return err;
}

static int netlink_list_channels(struct backend *backend, backend_list_fn done, void *arg)
{
	struct netlink_backend *nb = netlink_of(backend);
	struct item item = {.list_done = done, .arg = arg};
	struct qkd_channel *list = NULL;
	int err = netlink_table_channels(nb->table, &list, &item.count);

	if (err)
		return err;
	item.octets = list;
	err = queue(nb, &item);
	if (err)
		free(list);
	return err;
}

static int netlink_list_epochs(struct backend *backend, uint32_t channel, backend_list_fn done,
			       void *arg)
{
	struct netlink_backend *nb = netlink_of(backend);
	struct item item = {.list_done = done, .arg = arg};
	struct qkd_epoch *list = NULL;
	int err;

	item.err = netlink_table_epochs(nb->table, channel, &list, &item.count);
	item.octets = list;
	err = queue(nb, &item);
	if (err)
		free(list);
	return err;
}

static void netlink_backend_close(struct backend *backend)
{
	struct netlink_backend *nb = netlink_of(backend);
	struct item *item;

	nb->closing = true;
	while ((item = take(nb)))
		hand_over(nb, item, -ECANCELED);
	if (!nb->delivering)
		release(nb);
}

static const struct backend_ops netlink_ops = {
	.name = "netlink",
	.close = netlink_backend_close,
	.submit = netlink_submit,
	.list_channels = netlink_list_channels,
	.list_epochs = netlink_list_epochs,
};

/* -------- opening -------- */

static int open_kernel(struct netlink_backend *nb, char *error, size_t error_len)
{
	int err = netlink_open(NETLINK_XFRM, &nb->kernel.xfrm);
	int no_macsec = netlink_macsec_open(&nb->kernel.macsec);

	if (no_macsec)
		nb->kernel.macsec = NULL;
	if (err)
		nb->kernel.xfrm = NULL;
	if (err == -ENOMEM)
		snprintf(error, error_len,
			 "no memory can be locked for keys: raise RLIMIT_MEMLOCK (LimitMEMLOCK= in "
			 "the unit) or give the daemon CAP_IPC_LOCK");
	else if (err && no_macsec)
		snprintf(error, error_len,
			 "the kernel has neither IPsec by netlink (modprobe xfrm_user: %s) nor "
			 "MACsec (modprobe macsec: %s)",
			 strerror(-err), strerror(-no_macsec));
	return err && no_macsec ? err : 0;
}

/* Without it ESP SAs have no limits; the feature is not there then. */
static int open_expire(struct netlink_backend *nb)
{
	const struct netlink_expire_ops ops = {
		.expired = sa_expired,
		.lost = expiries_lost,
		.arg = nb,
	};
	int err = nb->kernel.xfrm ? netlink_expire_open(nb->backend.loop, &ops, &nb->expire) : 0;

	if (err)
		log_warn("limits of octets and packets cannot be used: %s", strerror(-err));
	return err;
}

static void say_hello(struct netlink_backend *nb)
{
	struct qkd_hello *hello = &nb->backend.hello;

	hello->abi = QKD_ABI_VERSION;
	if (nb->kernel.xfrm)
		hello->features |= QKD_FEATURE_ESP | QKD_FEATURE_ESP_CHACHA;
	if (nb->kernel.macsec)
		hello->features |= QKD_FEATURE_MACSEC | QKD_FEATURE_MACSEC_XPN | QKD_FEATURE_QUEUE;
	if (!open_expire(nb))
		hello->features |= QKD_FEATURE_LIMITS;
	hello->max_batch = QKD_MAX_BATCH;
	hello->max_channels = QKD_MAX_CHANNELS;
	hello->max_lookahead = QKD_MAX_LOOKAHEAD;
	hello->max_lookahead_macsec = QKD_MAX_LOOKAHEAD_MACSEC;
}

int backend_open_netlink(struct loop *loop, const struct backend_events *events,
			 struct backend **backend, char *error, size_t error_len)
{
	struct netlink_backend *nb = calloc(1, sizeof(*nb));
	int err;

	snprintf(error, error_len, "out of memory");
	if (!nb)
		return -ENOMEM;
	nb->backend.ops = &netlink_ops;
	nb->backend.loop = loop;
	nb->backend.events = *events;
	nb->last = &nb->first;
	nb->deliver.fire = deliver;
	nb->deliver.arg = nb;
	err = open_kernel(nb, error, error_len);
	if (!err)
		err = netlink_table_create(loop, &nb->kernel, table_event, nb, &nb->table);
	if (err) {
		release(nb);
		return err;
	}
	say_hello(nb);
	*backend = &nb->backend;
	return 0;
}
