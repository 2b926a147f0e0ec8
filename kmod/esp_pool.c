// SPDX-License-Identifier: GPL-2.0
/*
 * Blank ESP states; see esp_pool.h.
 *
 * When a state is deleted, packets may still be with its cipher, and sockets hold
 * it through their routes. Each of them has a reference. So it is renewed once a
 * grace period has passed, after which nobody finds it any more, and ours is the
 * last reference.
 *
 * The lists are linked by km.all, and saved_tmo is when a state came into its list,
 * in jiffies: a state that is not in xfrm's tables has no other use for them.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>
#include <net/xfrm.h>
#include "esp_blank.h"
#include "esp_pool.h"
#include "qkd_uapi.h"

#define REAP_MS	    10	 /* retired ones are looked at this much later, together */
#define LINGER_MS   100	 /* and so again if all of them are still in use */
#define GIVE_UP_MS  2000 /* a socket that is idle may hold one for days */
#define RETIRED_MAX 16384

/**
 * struct qkd_pool - the states of one family, mode and cipher
 * @model: what they are made after; set once, when the first channel comes
 * @lock: guards the rest; never taken in interrupts
 * @clean: spare states that have no SA's key
 * @used: spare states that have, the latest first
 * @spares: how many are in both
 * @retired: dead states
 * @dead: how many
 * @channels: that use the pool
 * @fill: makes what is missing
 * @reap: renews retired states
 * @scrub: overwrites old keys
 */
struct qkd_pool {
	struct xfrm_state *model;
	spinlock_t lock;
	struct list_head clean;
	struct list_head used;
	u32 spares;
	struct list_head retired;
	u32 dead;
	u32 channels;
	struct work_struct fill;
	struct delayed_work reap;
	struct delayed_work scrub;
};

static struct qkd_pool pools[2 * 2 * 2];
static DEFINE_MUTEX(models); /* while one is made */
static struct shrinker *shrinker;

static struct qkd_pool *pool_of(const struct qkd_channel *config)
{
	return &pools[4 * (config->family == AF_INET6) +
		      2 * (config->kind == QKD_KIND_ESP_TRANSPORT) +
		      (config->cipher == QKD_CIPHER_CHACHA20_POLY1305)];
}

static struct xfrm_state *first(struct list_head *list)
{
	return list_first_entry_or_null(list, struct xfrm_state, km.all);
}

/* Made ahead. */
static u32 wanted(const struct qkd_pool *p)
{
	return min_t(u32, 2 * READ_ONCE(p->channels), QKD_POOL_AHEAD_MAX);
}

/* Those on their way back will do. */
static u32 at_hand(const struct qkd_pool *p)
{
	return READ_ONCE(p->spares) + READ_ONCE(p->dead);
}

/* Kept at most. */
static u32 bound(const struct qkd_pool *p)
{
	return min_t(u32, QKD_POOL_PER_CHANNEL * READ_ONCE(p->channels), QKD_POOL_SPARES_MAX);
}

static struct xfrm_state *take_off(struct qkd_pool *p, struct xfrm_state *x)
{
	if (x) {
		list_del_init(&x->km.all);
		p->spares--;
	}
	return x;
}

/* Those with a key of an SA first, so that the clean ones stay what they are. */
static struct xfrm_state *pop(struct qkd_pool *p)
{
	struct xfrm_state *x;

	spin_lock(&p->lock);
	x = take_off(p, first(&p->used) ?: first(&p->clean));
	spin_unlock(&p->lock);
	return x;
}

static bool is_older(const struct xfrm_state *x, unsigned int ms)
{
	return time_after_eq(jiffies, (unsigned long)x->saved_tmo + msecs_to_jiffies(ms));
}

/* One whose key has been there for too long. */
static struct xfrm_state *pop_old(struct qkd_pool *p)
{
	struct xfrm_state *x = NULL;

	spin_lock(&p->lock);
	if (!list_empty(&p->used))
		x = list_last_entry(&p->used, struct xfrm_state, km.all);
	x = take_off(p, x && is_older(x, QKD_POOL_SCRUB_MS) ? x : NULL);
	spin_unlock(&p->lock);
	return x;
}

/* Return: whether it is the first in @list. */
static bool push(struct qkd_pool *p, struct xfrm_state *x, struct list_head *list)
{
	bool full, was_empty;

	x->saved_tmo = jiffies;
	spin_lock(&p->lock);
	full = p->spares >= bound(p);
	was_empty = !full && list_empty(list);
	if (!full) {
		list_add(&x->km.all, list);
		p->spares++;
	}
	spin_unlock(&p->lock);
	if (full)
		qkd_blank_discard(x);
	return was_empty;
}

struct xfrm_state *qkd_pool_take(struct qkd_pool *p, bool *hit)
{
	struct xfrm_state *x = pop(p);

	if (at_hand(p) < wanted(p) / 2)
		queue_work(qkd_compat_unbound_wq, &p->fill);
	*hit = x;
	return x ?: qkd_blank_make(p->model);
}

static void keep(struct qkd_pool *p, struct xfrm_state *x)
{
	if (push(p, x, &p->used))
		queue_delayed_work(qkd_compat_unbound_wq, &p->scrub,
				   msecs_to_jiffies(QKD_POOL_SCRUB_MS));
}

void qkd_pool_give(struct qkd_pool *p, struct xfrm_state *x)
{
	if (qkd_blank_renew(x, p->model))
		keep(p, x);
	else
		qkd_blank_discard(x);
}

static void fill(struct work_struct *work)
{
	struct qkd_pool *p = container_of(work, struct qkd_pool, fill);
	struct xfrm_state *x;
	u32 left = wanted(p); /* under memory pressure they may go as fast as they come */

	while (at_hand(p) < wanted(p) && left--) {
		x = qkd_blank_make(p->model);
		if (IS_ERR(x))
			return; /* who takes one tries again, and hears why not */
		push(p, x, &p->clean);
		cond_resched();
	}
}

static int make_model(struct qkd_pool *p, const struct qkd_channel *config)
{
	struct xfrm_state *model;
	int err = 0;

	mutex_lock(&models);
	if (!p->model) {
		model = qkd_blank_model(config);
		err = PTR_ERR_OR_ZERO(model);
		p->model = err ? NULL : model;
	}
	mutex_unlock(&models);
	return err;
}

struct qkd_pool *qkd_pool_join(const struct qkd_channel *config)
{
	struct qkd_pool *p = pool_of(config);
	int err = make_model(p, config);

	if (err)
		return ERR_PTR(err);
	spin_lock(&p->lock);
	p->channels++;
	spin_unlock(&p->lock);
	queue_work(qkd_compat_unbound_wq, &p->fill);
	return p;
}

/* What is more than the others need goes with the scrubbing. */
void qkd_pool_leave(struct qkd_pool *p)
{
	spin_lock(&p->lock);
	p->channels--;
	spin_unlock(&p->lock);
	queue_delayed_work(qkd_compat_unbound_wq, &p->scrub, msecs_to_jiffies(QKD_POOL_SCRUB_MS));
}

static void trim(struct qkd_pool *p)
{
	struct xfrm_state *x;

	while (READ_ONCE(p->spares) > bound(p) && (x = pop(p))) {
		qkd_blank_discard(x);
		cond_resched();
	}
}

static void scrub(struct work_struct *work)
{
	struct qkd_pool *p = container_of(to_delayed_work(work), struct qkd_pool, scrub);
	struct xfrm_state *x;

	trim(p);
	while ((x = pop_old(p))) {
		/* What cannot be overwritten is wiped by being freed. */
		if (qkd_blank_scrub(x))
			qkd_blank_discard(x);
		else
			push(p, x, &p->clean);
		cond_resched();
	}
	if (!list_empty_careful(&p->used))
		queue_delayed_work(qkd_compat_unbound_wq, &p->scrub,
				   msecs_to_jiffies(QKD_POOL_SCRUB_MS / 4));
}

/* Return: how many are remembered with it; 0: no room, the caller keeps the reference. */
static u32 remember(struct qkd_pool *p, struct xfrm_state *x)
{
	u32 count = 0;

	spin_lock(&p->lock);
	if (p->dead < RETIRED_MAX) {
		list_add_tail(&x->km.all, &p->retired);
		count = ++p->dead;
	}
	spin_unlock(&p->lock);
	return count;
}

void qkd_pool_retire(struct qkd_pool *p, struct xfrm_state *x)
{
	u32 count;

	x->saved_tmo = jiffies;
	count = remember(p, x);
	if (!count)
		xfrm_state_put(x);
	else if (count == 1) /* else it is, or looks again at its end */
		queue_delayed_work(qkd_compat_unbound_wq, &p->reap, msecs_to_jiffies(REAP_MS));
}

static struct xfrm_state *recall(struct qkd_pool *p)
{
	struct xfrm_state *x;

	spin_lock(&p->lock);
	x = first(&p->retired);
	list_del_init(&x->km.all);
	p->dead--;
	spin_unlock(&p->lock);
	return x;
}

/* Return: whether the state is done with, one way or the other. */
static bool reclaim(struct qkd_pool *p, struct xfrm_state *x)
{
	if (refcount_read(&x->refcnt) == 1) {
		smp_acquire__after_ctrl_dep(); /* behind whoever let go last */
		if (qkd_blank_renew(x, p->model))
			keep(p, x);
		else
			qkd_blank_end(x);
		return true;
	}
	if (!is_older(x, GIVE_UP_MS) && remember(p, x))
		return false;
	xfrm_state_put(x);
	return true;
}

static void reap(struct work_struct *work)
{
	struct qkd_pool *p = container_of(to_delayed_work(work), struct qkd_pool, reap);
	u32 count = READ_ONCE(p->dead), i, done = 0;

	synchronize_rcu(); /* nobody finds those any more */
	for (i = 0; i < count; i++) {
		done += reclaim(p, recall(p));
		cond_resched();
	}
	if (READ_ONCE(p->dead))
		queue_delayed_work(qkd_compat_unbound_wq, &p->reap,
				   msecs_to_jiffies(done ? REAP_MS : LINGER_MS));
}

static unsigned long count_spares(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long n = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pools); i++)
		n += READ_ONCE(pools[i].spares);
	return n;
}

static atomic_long_t surplus;

/* In a thread of its own: what a cipher does to end may lock what reclaim must not. */
static void free_surplus(struct work_struct *work)
{
	long n = atomic_long_xchg(&surplus, 0);
	struct xfrm_state *x;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pools); i++)
		for (; n > 0 && (x = pop(&pools[i])); n--)
			qkd_blank_discard(x);
}

static DECLARE_WORK(freeing, free_surplus);

static unsigned long ask_to_free(struct shrinker *s, struct shrink_control *sc)
{
	atomic_long_set(&surplus, sc->nr_to_scan);
	queue_work(qkd_compat_unbound_wq, &freeing);
	return SHRINK_STOP; /* none yet */
}

static void init_pool(struct qkd_pool *p)
{
	spin_lock_init(&p->lock);
	INIT_LIST_HEAD(&p->clean);
	INIT_LIST_HEAD(&p->used);
	INIT_LIST_HEAD(&p->retired);
	INIT_WORK(&p->fill, fill);
	INIT_DELAYED_WORK(&p->reap, reap);
	INIT_DELAYED_WORK(&p->scrub, scrub);
}

/* One that somebody else refers to is freed by whoever lets go last. */
static void end(struct xfrm_state *x)
{
	if (refcount_read(&x->refcnt) == 1)
		qkd_blank_end(x);
	else
		xfrm_state_put(x);
}

static void exit_pool(struct qkd_pool *p)
{
	struct xfrm_state *x;

	cancel_work_sync(&p->fill);
	cancel_delayed_work_sync(&p->reap);
	while (p->dead)
		end(recall(p));
	cancel_delayed_work_sync(&p->scrub);
	while ((x = pop(p)))
		qkd_blank_discard(x);
	if (p->model)
		qkd_blank_discard(p->model);
}

int qkd_pool_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pools); i++)
		init_pool(&pools[i]);
	shrinker = qkd_compat_shrinker_register(count_spares, ask_to_free, DEFAULT_SEEKS,
						"qkd-states");
	return PTR_ERR_OR_ZERO(shrinker);
}

void qkd_pool_exit(void)
{
	size_t i;

	qkd_compat_shrinker_unregister(shrinker);
	cancel_work_sync(&freeing);
	synchronize_rcu(); /* nobody finds the last ones that died any more */
	for (i = 0; i < ARRAY_SIZE(pools); i++)
		exit_pool(&pools[i]);
}
