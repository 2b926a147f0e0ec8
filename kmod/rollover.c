// SPDX-License-Identifier: GPL-2.0
/*
 * What a channel does in time. epochs.c says what is due; this does it through
 * the channel's backend, reports it, and sets the timer for what comes next.
 */
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include "channel.h"
#include "event.h"
#include "netns.h"
#include "record.h"
#include "rollover.h"

/* How soon it is seen that somebody else removed an SA, or that the machine slept. */
#define POLL_MS 5000

static struct workqueue_struct *wq;

int qkd_rollover_init(void)
{
	/* Under memory pressure too: pages may be on their way out through a tunnel. */
	wq = alloc_workqueue("qkd_rollover", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return wq ? 0 : -ENOMEM;
}

void qkd_rollover_exit(void)
{
	destroy_workqueue(wq);
}

/*
 * Goes on while the machine sleeps: a key in use is due all the same. The timers
 * do not, so what fell due meanwhile is done within POLL_MS of waking up.
 */
static u64 now_ms(void)
{
	return ktime_to_ms(ktime_get_boottime());
}

static void emit(struct qkd_chan *c, enum qkd_event_type type, u64 epoch, u64 value, int error)
{
	qkd_event_emit(c->ns, c->config.id, type, epoch, value, error);
}

static struct qkd_sa *sa_in_use(struct qkd_chan *c)
{
	const struct qkd_epochs *e = &c->epochs;
	u32 i;

	for (i = 0; i < e->count; i++)
		if (e->slot[i].out == QKD_SA_ACTIVE)
			return e->slot[i].sa;
	return NULL;
}

static int carry_out(struct qkd_chan *c, const struct qkd_action *action)
{
	struct qkd_sa *sa = action->slot ? action->slot->sa : NULL;

	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		return c->backend->activate(c, sa, sa_in_use(c));
	case QKD_ACTION_REMOVE_IN:
	case QKD_ACTION_REMOVE_OUT:
	case QKD_ACTION_BLOCK:
		return sa ? c->backend->remove(c, sa, action->type != QKD_ACTION_REMOVE_IN) : 0;
	case QKD_ACTION_FORGET:
		kfree(sa);
		break;
	case QKD_ACTION_EXHAUSTED:
		break;
	}
	return 0;
}

static void report_switch(struct qkd_chan *c, u64 epoch)
{
	u32 ready = qkd_epochs_ready(&c->epochs);

	/* The first activation is no rollover. */
	if (c->counters.last_rollover_ns)
		c->counters.rollovers++;
	c->counters.last_rollover_ns = ktime_get_real_ns();
	emit(c, QKD_EVENT_ACTIVATED, epoch, 0, 0);
	if (ready < c->config.lookahead)
		emit(c, QKD_EVENT_LOW, QKD_EPOCH_NONE, ready, 0);
}

static void report(struct qkd_chan *c, const struct qkd_action *action, int err)
{
	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		if (!err) {
			report_switch(c, action->epoch);
			break;
		}
		c->counters.failed++;
		emit(c, QKD_EVENT_FAILED, action->epoch, 0, err);
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
		if (err) {
			emit(c, QKD_EVENT_FAILED, action->epoch, 0, err);
			break;
		}
		c->counters.blocked++;
		emit(c, QKD_EVENT_BLOCKED, action->epoch, 0, 0);
		break;
	default:
		break;
	}
}

/* Sleeps for POLL_MS at most while anything stands: somebody may remove it. */
static void set_timer(struct qkd_chan *c)
{
	u64 deadline = qkd_epochs_deadline(&c->epochs);
	u64 now = now_ms();

	if (!c->epochs.count)
		return; /* one that still runs finds nothing to do */
	deadline = deadline > now ? deadline - now : 0;
	mod_delayed_work(wq, &c->work, msecs_to_jiffies(min_t(u64, deadline, POLL_MS)));
}

/*
 * A flush of xfrm's states, a macsec device that is removed: without this the
 * peer would be told of SAs that are not there, and move on to them.
 */
static void find_lost(struct qkd_chan *c)
{
	struct qkd_epochs *e = &c->epochs;
	u32 i;

	for (i = 0; i < e->count; i++) {
		struct qkd_epoch_slot *s = &e->slot[i];
		bool in = !c->backend->stands(c, s->sa, false);
		bool out = !c->backend->stands(c, s->sa, true);

		if (!qkd_epochs_lost(e, now_ms(), s, in, out))
			continue;
		c->counters.failed++;
		emit(c, QKD_EVENT_FAILED, s->epoch, 0, -ESTALE);
	}
}

void qkd_rollover_run(struct qkd_chan *c)
{
	struct qkd_action action;
	int err;

	lockdep_assert_held(&c->lock);
	find_lost(c);
	while (qkd_epochs_next(&c->epochs, now_ms(), &action)) {
		err = carry_out(c, &action);
		qkd_epochs_done(&c->epochs, now_ms(), &action, err);
		report(c, &action, err);
	}
	set_timer(c);
}

void qkd_rollover_work(struct work_struct *work)
{
	struct qkd_chan *c = container_of(to_delayed_work(work), struct qkd_chan, work);

	mutex_lock(&c->lock);
	if (c->alive)
		qkd_rollover_run(c);
	mutex_unlock(&c->lock);
}

/*
 * A status that says that the epoch is spent. The kernel's own reasons must
 * not look like one that says that it is not; the event has them as they are.
 */
static int spent_status(int err)
{
	switch (err) {
	case -EEXIST:
	case -ENODEV:
	case -ENOMEM:
		return err;
	default:
		return -EIO;
	}
}

static int install(struct qkd_chan *c, const struct qkd_key *key)
{
	struct qkd_sa *sa = kzalloc(sizeof(*sa), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!sa)
		return err;
	sa->epoch = key->epoch;
	memcpy(sa->key_id, key->key_id, sizeof(sa->key_id));
	err = c->backend->install(c, key, sa);
	if (err) {
		kfree(sa);
		return err;
	}
	qkd_epochs_put(&c->epochs, key->epoch, sa);
	return 0;
}

int qkd_rollover_put(struct qkd_chan *c, const struct qkd_key *key)
{
	int err;

	lockdep_assert_held(&c->lock);
	err = qkd_record_check_salt(key, c->config.cipher);
	if (err)
		return err;
	err = qkd_epochs_may_put(&c->epochs, key->epoch);
	if (err)
		return err;
	err = install(c, key);
	if (err) {
		qkd_epochs_spend(&c->epochs, key->epoch);
		c->counters.failed++;
		emit(c, QKD_EVENT_FAILED, key->epoch, 0, err);
		return spent_status(err);
	}
	c->counters.installed++;
	emit(c, QKD_EVENT_INSTALLED, key->epoch, 0, 0);
	qkd_rollover_run(c);
	return 0;
}

int qkd_rollover_watermark(struct qkd_chan *c, const struct qkd_watermark *r)
{
	u64 before = c->epochs.peer_out;
	int err;

	lockdep_assert_held(&c->lock);
	err = qkd_epochs_watermark(&c->epochs, now_ms(), r->first, r->last, r->peer_out,
				   r->flags & QKD_WATERMARK_NONE);
	if (err)
		return err;
	if (r->peer_out != QKD_EPOCH_NONE && r->peer_out != before)
		emit(c, QKD_EVENT_PEER_MOVED, r->peer_out, 0, 0);
	qkd_rollover_run(c);
	return 0;
}

int qkd_rollover_force(struct qkd_chan *c, struct qkd_rollover *r)
{
	u64 before = c->epochs.out;
	int err;

	lockdep_assert_held(&c->lock);
	err = qkd_epochs_force(&c->epochs);
	if (err)
		return err;
	qkd_rollover_run(c);
	if (c->epochs.out == before || c->epochs.out == QKD_EPOCH_NONE)
		return -EAGAIN; /* none of the ready ones would go in, or stood */
	r->epoch = c->epochs.out;
	return 0;
}

int qkd_rollover_retire(struct qkd_chan *c, u64 epoch)
{
	int err;

	lockdep_assert_held(&c->lock);
	err = qkd_epochs_retire(&c->epochs, now_ms(), epoch);
	if (!err)
		qkd_rollover_run(c);
	return err;
}

/* The channel goes whatever happens: an SA that will not is left, and told of. */
void qkd_rollover_clear(struct qkd_chan *c)
{
	struct qkd_epochs *e = &c->epochs;
	u32 i;

	lockdep_assert_held(&c->lock);
	for (i = 0; i < e->count; i++) {
		struct qkd_epoch_slot *s = &e->slot[i];
		int err = s->out == QKD_SA_NONE ? 0 : c->backend->remove(c, s->sa, true);

		if (s->in != QKD_SA_NONE)
			err = c->backend->remove(c, s->sa, false) ?: err;
		if (err)
			emit(c, QKD_EVENT_FAILED, s->epoch, 0, err);
		kfree(s->sa);
	}
	e->count = 0;
}
