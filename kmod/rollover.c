// SPDX-License-Identifier: GPL-2.0
/*
 * What a channel does in time. epochs.c says what is due; this does it through
 * the channel's backend, reports it, and sets the timer for what comes next.
 */
#include <linux/bitops.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include "channel.h"
#include "event.h"
#include "netns.h"
#include "record.h"
#include "rollover.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Old SAs may stay a little longer, so that those of a channel go together. */
#define REMOVAL_MS 16

/* From here on a timer is too coarse. */
#define LONG_MS 2000

/* How often a backend is asked for limits that nobody tells of. */
#define LIMIT_MS 100

static struct workqueue_struct *wq;

int qkd_rollover_init(void)
{
	/* Under memory pressure too: pages may be on their way out through a tunnel. */
	wq = alloc_workqueue("qkd_rollover", WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	return wq ? 0 : -ENOMEM;
}

void qkd_rollover_exit(void)
{
	flush_workqueue(wq); /* a sweep may hold the last reference of a channel */
	rcu_barrier();	     /* what waits to be freed is in the queue then */
	destroy_workqueue(wq);
}

void qkd_rollover_free(struct rcu_work *free)
{
	queue_rcu_work(wq, free);
}

void qkd_rollover_tell(struct qkd_chan *c, unsigned int news)
{
	unsigned long bits = news;

	set_mask_bits(&c->news, 0UL, bits);
	mod_delayed_work(wq, &c->work, 0);
}

void qkd_rollover_tell_all(struct qkd_netns *ns)
{
	if (!READ_ONCE(ns->dead))
		queue_work(wq, &ns->sweep);
}

/* Timers stood still while the machine slept, what is due did not. */
static void look_anew(struct qkd_chan *c)
{
	c->timer = ~0ULL;
	qkd_rollover_look(c);
}

void qkd_rollover_sweep(struct work_struct *work)
{
	qkd_channel_for_each(container_of(work, struct qkd_netns, sweep), look_anew);
}

/*
 * Goes on while the machine sleeps: a key in use is due all the same. In the steps of
 * the timers that wake the channels up, so that none comes too early.
 */
static u64 now_ms(void)
{
	return ktime_to_ms(ktime_get_coarse_boottime());
}

static void emit(struct qkd_chan *c, enum qkd_event_type type, u64 epoch, u64 value, int error)
{
	qkd_event_emit(c->ns, ktime_get_real_ns(), c->config.id, type, epoch, value, error);
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

static void note_activation(struct qkd_chan *c, u64 took)
{
	/* Of two processors' clocks the later reading may be the lower one. */
	if ((s64)took > (s64)c->counters.activation_max_ns)
		c->counters.activation_max_ns = took;
}

static int activate(struct qkd_chan *c, struct qkd_sa *sa)
{
	u64 begin = local_clock();
	int err = c->backend->activate(c, sa, sa_in_use(c));

	if (!err)
		note_activation(c, local_clock() - begin);
	return err;
}

/* Its number is free: the material that it waited with is used, and wiped. */
static int install_queued(struct qkd_chan *c, struct qkd_sa *sa)
{
	int err = c->backend->install(c, sa->queued, sa);

	kfree_sensitive(sa->queued);
	sa->queued = NULL;
	sa->failed = err;
	return err;
}

/* One is kept: where an epoch goes, another comes. */
static void free_sa(struct qkd_chan *c, struct qkd_sa *sa)
{
	kfree_sensitive(sa->queued);
	sa->queued = NULL;
	kfree(c->spare);
	c->spare = sa;
}

/* Return: 0, or that it had been told already that the epoch will not stand. */
static int forget(struct qkd_chan *c, struct qkd_sa *sa)
{
	int err = sa->failed ? -ECANCELED : 0;

	free_sa(c, sa);
	return err;
}

static int carry_out(struct qkd_chan *c, const struct qkd_action *action)
{
	struct qkd_sa *sa = action->slot ? action->slot->sa : NULL;

	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		return activate(c, sa);
	case QKD_ACTION_INSTALL:
		return install_queued(c, sa);
	case QKD_ACTION_REMOVE_IN:
	case QKD_ACTION_REMOVE_OUT:
	case QKD_ACTION_BLOCK:
		return sa ? c->backend->remove(c, sa, action->type != QKD_ACTION_REMOVE_IN) : 0;
	case QKD_ACTION_FORGET:
		return forget(c, sa);
	case QKD_ACTION_EXHAUSTED:
		break;
	}
	return 0;
}

static void report_switch(struct qkd_chan *c, u64 epoch)
{
	u32 ahead = qkd_epochs_ahead(&c->epochs);
	u64 now_ns = ktime_get_real_ns();

	/* The first activation is no rollover. */
	if (c->counters.last_rollover_ns)
		c->counters.rollovers++;
	c->counters.last_rollover_ns = now_ns;
	qkd_event_emit(c->ns, now_ns, c->config.id, QKD_EVENT_ACTIVATED, epoch, ahead, 0);
	if (qkd_epochs_is_low(&c->epochs, ahead))
		emit(c, QKD_EVENT_LOW, QKD_EPOCH_NONE, ahead, 0);
}

static void report_installed(struct qkd_chan *c, u64 epoch)
{
	c->counters.installed++;
	trace_qkd_install(c, epoch);
	emit(c, QKD_EVENT_INSTALLED, epoch, 0, 0);
}

static void report_failed(struct qkd_chan *c, u64 epoch, int err)
{
	c->counters.failed++;
	emit(c, QKD_EVENT_FAILED, epoch, 0, err);
}

static void report(struct qkd_chan *c, const struct qkd_action *action, int err)
{
	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		if (err)
			report_failed(c, action->epoch, err);
		else
			report_switch(c, action->epoch);
		break;
	case QKD_ACTION_INSTALL:
		if (err)
			report_failed(c, action->epoch, err);
		else
			report_installed(c, action->epoch);
		break;
	case QKD_ACTION_FORGET:
		if (err)
			break;
		c->counters.retired++;
		trace_qkd_retire(c, action->epoch);
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

static bool must_ask_for_limits(const struct qkd_chan *c)
{
	return c->backend->silent && (c->config.soft_bytes || c->config.soft_packets) &&
	       c->epochs.out != QKD_EPOCH_NONE;
}

/*
 * A timer may be late by an eighth of its time, which matters where that is long: then
 * it is set for an earlier time, and again for the rest.
 */
static unsigned long delay_of(u64 ms)
{
	unsigned long delay = msecs_to_jiffies(min_t(u64, ms, INT_MAX));

	return ms < LONG_MS ? delay : delay - delay / 8;
}

/* One that is set for an earlier time stays: it finds nothing to do, and is set anew. */
static void set_timer(struct qkd_chan *c, u64 now)
{
	u64 deadline = qkd_epochs_wake(&c->epochs, REMOVAL_MS);
	unsigned long delay;

	if (must_ask_for_limits(c))
		deadline = min(deadline, now + LIMIT_MS);
	if (deadline == ~0ULL || (deadline >= c->timer && delayed_work_pending(&c->work)))
		return;
	c->timer = deadline;
	delay = delay_of(deadline > now ? deadline - now : 0);
	if (!queue_delayed_work(wq, &c->work, delay))
		mod_delayed_work(wq, &c->work, delay);
}

/* News that came meanwhile have queued the work; set_timer() has put it off. */
static void keep_awake(struct qkd_chan *c)
{
	if (READ_ONCE(c->news))
		mod_delayed_work(wq, &c->work, 0);
}

/*
 * A flush of xfrm's states, a macsec device that is removed: without this the
 * peer would be told of SAs that are not there, and move on to them.
 */
static void find_lost(struct qkd_chan *c, u64 now)
{
	struct qkd_epochs *e = &c->epochs;
	u32 i;

	for (i = 0; i < e->count; i++) {
		struct qkd_epoch_slot *s = &e->slot[i];
		bool in = !c->backend->stands(c, s->sa, false);
		bool out = !c->backend->stands(c, s->sa, true);

		if (qkd_epochs_lost(e, now, s, in, out))
			report_failed(c, s->epoch, -ESTALE);
	}
}

static void heed_news(struct qkd_chan *c, u64 now)
{
	unsigned long news = READ_ONCE(c->news) ? xchg(&c->news, 0) : 0;
	struct qkd_sa *sa;

	if (!news && !must_ask_for_limits(c))
		return;
	sa = sa_in_use(c);
	if (sa) /* they may be of the SA before */
		news = (news & QKD_NEWS_LOST) | c->backend->limit(c, sa);
	else
		news &= QKD_NEWS_LOST;
	if (news & QKD_NEWS_HARD) {
		c->counters.hard_expiries += !c->epochs.expired;
		qkd_epochs_expired(&c->epochs);
	} else if (news & QKD_NEWS_SOFT) {
		c->counters.delayed += qkd_epochs_limit(&c->epochs, now);
	}
	if (news & QKD_NEWS_LOST)
		find_lost(c, now);
}

static void run(struct qkd_chan *c)
{
	u64 now = now_ms();
	struct qkd_action action;
	bool limited;
	int err;

	lockdep_assert_held(&c->lock);
	heed_news(c, now);
	while (qkd_epochs_next(&c->epochs, now, &action)) {
		limited = c->epochs.limited;
		if (action.type == QKD_ACTION_ACTIVATE)
			trace_qkd_rollover(c, action.epoch);
		err = carry_out(c, &action);
		qkd_epochs_done(&c->epochs, now, &action, err);
		c->counters.limit_rollovers += limited && !c->epochs.limited;
		report(c, &action, err);
	}
	set_timer(c, c->backend->waits ? now_ms() : now);
	keep_awake(c);
}

/* The epochs have not changed since. */
void qkd_rollover_take_over(struct qkd_chan *c)
{
	const struct qkd_epoch_slot *next = qkd_epochs_standby(&c->epochs);
	struct qkd_action action = {.type = QKD_ACTION_ACTIVATE};
	u64 now = now_ms();

	lockdep_assert_held(&c->lock);
	if (!c->backend->withdraw(c) || WARN_ON_ONCE(!next))
		return;
	action.epoch = next->epoch;
	trace_qkd_rollover(c, action.epoch);
	qkd_epochs_limit(&c->epochs, now);
	qkd_epochs_done(&c->epochs, now, &action, 0);
	c->counters.limit_rollovers++;
	note_activation(c, c->standby.took);
	report(c, &action, 0);
}

void qkd_rollover_offer(struct qkd_chan *c)
{
	const struct qkd_epoch_slot *next = qkd_epochs_standby(&c->epochs);

	lockdep_assert_held(&c->lock);
	if (next && c->alive)
		c->backend->offer(c, next->sa, c->epochs.switched + QKD_LIMIT_INTERVAL_MS);
}

void qkd_rollover_look(struct qkd_chan *c)
{
	set_mask_bits(&c->news, 0UL, (unsigned long)QKD_NEWS_LOST);
	run(c);
}

void qkd_rollover_work(struct work_struct *work)
{
	struct qkd_chan *c = container_of(to_delayed_work(work), struct qkd_chan, work);

	mutex_lock(&c->lock);
	if (c->alive) {
		qkd_rollover_begin(c);
		run(c);
		qkd_rollover_end(c);
	}
	mutex_unlock(&c->lock);
}

static struct qkd_sa *new_sa(struct qkd_chan *c, const struct qkd_key *key)
{
	struct qkd_sa *sa = c->spare ?: kmalloc(sizeof(*sa), GFP_KERNEL_ACCOUNT);

	if (!sa)
		return NULL;
	c->spare = NULL;
	*sa = (struct qkd_sa){.epoch = key->epoch};
	memcpy(sa->key_id, key->key_id, sizeof(sa->key_id));
	return sa;
}

static int queue(struct qkd_sa *sa, const struct qkd_key *key)
{
	sa->queued = kmemdup(key, sizeof(*key), GFP_KERNEL_ACCOUNT);
	return sa->queued ? 0 : -ENOMEM;
}

static int take_in(struct qkd_chan *c, const struct qkd_key *key)
{
	bool later = qkd_epochs_must_queue(&c->epochs, key->epoch);
	struct qkd_sa *sa = new_sa(c, key);
	int err;

	if (!sa)
		return -ENOMEM;
	err = later ? queue(sa, key) : c->backend->install(c, key, sa);
	if (err) {
		free_sa(c, sa);
		return err;
	}
	qkd_epochs_put(&c->epochs, key->epoch, qkd_epochs_random(key), sa);
	if (!later)
		report_installed(c, key->epoch);
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
	if (err == -ENOBUFS) { /* what is lost, or due to go, makes room */
		qkd_rollover_look(c);
		err = qkd_epochs_may_put(&c->epochs, key->epoch);
	}
	if (err)
		return err;
	err = take_in(c, key);
	if (err) {
		qkd_epochs_spend(&c->epochs, key->epoch);
		report_failed(c, key->epoch, err);
		return qkd_record_spent_status(err);
	}
	run(c);
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
	run(c);
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
	run(c);
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
		run(c);
	return err;
}

/* The channel goes whatever happens: an SA that will not is left, and told of. */
int qkd_rollover_clear(struct qkd_chan *c)
{
	struct qkd_epochs *e = &c->epochs;
	int result = 0;
	u32 i;

	lockdep_assert_held(&c->lock);
	for (i = 0; i < e->count; i++) {
		struct qkd_epoch_slot *s = &e->slot[i];
		int err = qkd_epochs_stands(s->out) ? c->backend->remove(c, s->sa, true) : 0;

		if (qkd_epochs_stands(s->in))
			err = c->backend->remove(c, s->sa, false) ?: err;
		if (err)
			emit(c, QKD_EVENT_FAILED, s->epoch, 0, err);
		result = err ?: result;
		free_sa(c, s->sa);
	}
	e->count = 0;
	return result;
}
