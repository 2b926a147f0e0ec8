// SPDX-License-Identifier: GPL-2.0
/* The channels of a network namespace; see channel.h. */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include "channel.h"
#include "event.h"
#include "ipsec.h"
#include "macsec.h"
#include "netns.h"
#include "record.h"
#include "rollover.h"

/* Nobody finds the channel any more, so nobody starts its work again. */
static void free_channel(struct work_struct *work)
{
	struct qkd_chan *c = container_of(to_rcu_work(work), struct qkd_chan, free);

	cancel_delayed_work_sync(&c->work);
	mutex_destroy(&c->lock);
	kvfree(c->epochs.slot);
	kfree(c->spare);
	kfree(c);
}

static void put_channel(struct qkd_chan *c)
{
	if (refcount_dec_and_test(&c->users))
		qkd_rollover_free(&c->free);
}

static bool is_macsec(const struct qkd_channel *config)
{
	return config->kind == QKD_KIND_MACSEC;
}

/*
 * Who may change a macsec device: the driver's own rule, whatever user namespace
 * the network namespace belongs to. The worker that asks the driver has all
 * rights, so its caller's are looked at here.
 */
static bool is_allowed(const struct qkd_channel *config)
{
	return !is_macsec(config) || capable(CAP_NET_ADMIN);
}

static int init_epochs(struct qkd_chan *c)
{
	const struct qkd_epochs_config config = qkd_epochs_config_of(&c->config);
	u32 capacity = qkd_epochs_capacity(&config);
	struct qkd_epoch_slot *slot = kvcalloc(capacity, sizeof(*slot), GFP_KERNEL_ACCOUNT);

	if (!slot)
		return -ENOMEM;
	qkd_epochs_init(&c->epochs, &config, slot, capacity, c->config.first_epoch);
	return 0;
}

static struct qkd_chan *new_channel(struct qkd_netns *ns, const struct qkd_channel *config)
{
	struct qkd_chan *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);

	if (!c)
		return NULL;
	c->config = *config;
	c->ns = ns;
	c->backend = is_macsec(config) ? &qkd_macsec_backend : &qkd_ipsec_backend;
	refcount_set(&c->users, 1); /* the caller */
	mutex_init(&c->lock);
	spin_lock_init(&c->standby.lock);
	INIT_DELAYED_WORK(&c->work, qkd_rollover_work);
	INIT_RCU_WORK(&c->free, free_channel);
	if (init_epochs(c)) {
		kfree(c);
		return NULL;
	}
	return c;
}

/* The index that no two channels share besides the number: one reqid, one port. */
static struct xarray *claims(const struct qkd_chan *c, unsigned long *index)
{
	*index = is_macsec(&c->config) ? c->config.ifindex : c->config.reqid;
	return is_macsec(&c->config) ? &c->ns->ports : &c->ns->reqids;
}

static int enter_table(struct qkd_chan *c)
{
	struct qkd_netns *ns = c->ns;
	unsigned long index;
	struct xarray *other = claims(c, &index);
	int err;

	lockdep_assert_held(&ns->table);
	if (ns->count >= QKD_MAX_CHANNELS)
		return -ENOSPC;
	err = xa_insert(other, index, c, GFP_KERNEL);
	if (err)
		return err == -EBUSY ? -EEXIST : err;
	err = xa_insert(&ns->channels, c->config.id, c, GFP_KERNEL);
	if (err) {
		xa_erase(other, index);
		return err == -EBUSY ? -EEXIST : err;
	}
	refcount_inc(&c->users);
	ns->count++;
	return 0;
}

static void leave_table(struct qkd_chan *c)
{
	struct qkd_netns *ns = c->ns;
	unsigned long index;
	struct xarray *other = claims(c, &index);

	mutex_lock(&ns->table);
	xa_erase(&ns->channels, c->config.id);
	xa_erase(other, index);
	ns->count--;
	mutex_unlock(&ns->table);
	put_channel(c);
}

/*
 * The channel takes its number first and locked, so that two that want the
 * same one do not both touch the device. Once unlocked it is the table's:
 * whoever finds it may delete it, so it is held here to the end.
 */
int qkd_channel_add(struct qkd_netns *ns, const struct qkd_channel *config)
{
	struct qkd_chan *c;
	bool entered;
	int err;

	if (!is_allowed(config))
		return -EPERM;
	c = new_channel(ns, config);
	if (!c)
		return -ENOMEM;
	mutex_lock(&ns->table);
	mutex_lock(&c->lock);
	err = enter_table(c);
	mutex_unlock(&ns->table);
	entered = !err;
	if (entered)
		err = c->backend->open(c);
	if (!err) {
		c->alive = true;
		__module_get(THIS_MODULE); /* SAs outlive the file that holds it now */
		qkd_event_emit(ns, ktime_get_real_ns(), config->id, QKD_EVENT_ADDED, QKD_EPOCH_NONE,
			       0, 0);
	}
	mutex_unlock(&c->lock);
	if (err && entered)
		leave_table(c);
	put_channel(c);
	return err;
}

/*
 * The number stays taken until all is down; who finds it meanwhile sees it dead.
 * Who hears that it is deleted may have it again.
 */
static int delete_channel(struct qkd_chan *c)
{
	bool ours;
	int err = 0;

	mutex_lock(&c->lock);
	ours = c->alive;
	c->alive = false;
	if (ours) {
		qkd_rollover_begin(c);
		err = qkd_rollover_clear(c);
		c->backend->close(c);
	}
	mutex_unlock(&c->lock);
	if (!ours)
		return -ENOENT;
	refcount_inc(&c->users);
	leave_table(c);
	qkd_event_emit(c->ns, ktime_get_real_ns(), c->config.id, QKD_EVENT_DELETED, QKD_EPOCH_NONE,
		       0, 0);
	put_channel(c);
	module_put(THIS_MODULE);
	return err ? -EIO : 0;
}

static struct qkd_chan *hold(struct qkd_netns *ns, u32 id)
{
	struct qkd_chan *c;

	rcu_read_lock();
	c = xa_load(&ns->channels, id);
	if (c && !refcount_inc_not_zero(&c->users))
		c = NULL;
	rcu_read_unlock();
	return c;
}

int qkd_channel_delete(struct qkd_netns *ns, u32 id)
{
	struct qkd_chan *c = hold(ns, id);
	int err;

	if (!c)
		return -ENOENT;
	err = is_allowed(&c->config) ? delete_channel(c) : -EPERM;
	put_channel(c);
	return err;
}

void qkd_channel_delete_all(struct qkd_netns *ns)
{
	struct qkd_chan *c;
	unsigned long id;

	xa_for_each(&ns->channels, id, c) delete_channel(c);
}

static struct qkd_chan *hold_locked(struct qkd_netns *ns, u32 id)
{
	struct qkd_chan *c = hold(ns, id);

	if (!c)
		return NULL;
	mutex_lock(&c->lock);
	if (c->alive) {
		qkd_rollover_begin(c);
		return c;
	}
	mutex_unlock(&c->lock);
	put_channel(c);
	return NULL;
}

struct qkd_chan *qkd_channel_lock(struct qkd_netns *ns, u32 id)
{
	struct qkd_chan *c = hold_locked(ns, id);

	if (!c)
		return ERR_PTR(-ENOENT);
	if (is_allowed(&c->config))
		return c;
	qkd_channel_unlock(c);
	return ERR_PTR(-EPERM);
}

void qkd_channel_unlock(struct qkd_chan *c)
{
	qkd_rollover_end(c);
	mutex_unlock(&c->lock);
	put_channel(c);
}

static struct qkd_chan *next_channel(struct qkd_netns *ns, unsigned long *id)
{
	struct qkd_chan *c;

	while (xa_find_after(&ns->channels, id, ULONG_MAX, XA_PRESENT)) {
		c = hold_locked(ns, *id);
		if (c)
			return c;
	}
	return NULL;
}

void qkd_channel_for_each(struct qkd_netns *ns, void (*act)(struct qkd_chan *c))
{
	struct qkd_chan *c;
	unsigned long id = 0;

	while ((c = next_channel(ns, &id))) {
		act(c);
		qkd_channel_unlock(c);
		cond_resched();
	}
}

bool qkd_channel_list(struct qkd_netns *ns, u32 id, struct qkd_channel *r)
{
	unsigned long index = id;
	struct qkd_chan *c = next_channel(ns, &index);

	if (!c)
		return false;
	*r = c->config;
	r->status = 0;
	r->state = c->epochs.state;
	r->first_epoch = c->epochs.next;
	qkd_channel_unlock(c);
	return true;
}

void qkd_channel_count(struct qkd_chan *c, struct qkd_counters *r)
{
	const struct qkd_epochs *e = &c->epochs;

	lockdep_assert_held(&c->lock);
	*r = c->counters;
	r->channel = c->config.id;
	r->out_epoch = e->out;
	r->in_first = QKD_EPOCH_NONE;
	r->in_last = QKD_EPOCH_NONE;
	qkd_epochs_inbound(e, &r->in_first, &r->in_last);
	r->peer_first = e->peer_first;
	r->peer_last = e->peer_last;
	r->ready = qkd_epochs_ready(e);
	r->queued = qkd_epochs_queued(e);
	r->events_lost = atomic64_read(&c->ns->events_lost);
}

bool qkd_channel_epoch(struct qkd_chan *c, u64 epoch, struct qkd_epoch *r)
{
	const struct qkd_epoch_slot *slot = c->epochs.slot;
	const struct qkd_epoch_slot *end = slot + c->epochs.count;
	const struct qkd_sa *sa;

	lockdep_assert_held(&c->lock);
	while (slot < end && slot->epoch < epoch)
		slot++;
	if (slot == end)
		return false;
	memset(r, 0, sizeof(*r));
	r->channel = c->config.id;
	r->epoch = slot->epoch;
	r->in = slot->in;
	r->out = slot->out;
	sa = slot->sa;
	memcpy(r->key_id, sa->key_id, sizeof(r->key_id));
	c->backend->report(c, sa, r);
	return true;
}
