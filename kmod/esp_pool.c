// SPDX-License-Identifier: GPL-2.0
/*
 * Transforms for ESP states; see esp_pool.h.
 *
 * When a state is deleted, packets may still be with its cipher, and sockets
 * hold it through their routes. Each of them has a reference. So its transform is
 * taken out once a grace period has passed, after which nobody finds the state
 * any more, and ours is the last reference.
 */
#include <crypto/aead.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>
#include <net/xfrm.h>
#include "esp_pool.h"
#include "qkd_uapi.h"

#define RETIRED_MAX 8192
#define REAP_MS	    10	 /* retired ones are looked at this much later, together */
#define LINGER_MS   100	 /* and so again if all of them are still in use */
#define GIVE_UP_MS  2000 /* a socket that is idle may hold one for days */

/** struct retired - a dead state; @since when, in jiffies */
struct retired {
	struct xfrm_state *x;
	unsigned long since;
};

/**
 * struct pool - the transforms of one cipher
 * @cipher: enum qkd_cipher
 * @lock: guards the rest
 * @spare: QKD_POOL_SPARES_MAX pointers
 * @spares: how many of them are in use
 * @clean: how many of those, the first, have no SA's key
 * @retired: ring of RETIRED_MAX
 * @tail: counts what was taken out of it
 * @head: counts what was put in
 * @channels: that use the cipher
 * @fill: builds what is missing
 * @reap: takes the transforms out of retired states
 * @scrub: overwrites old keys
 */
struct pool {
	u8 cipher;
	spinlock_t lock;
	struct crypto_aead **spare;
	u32 spares;
	u32 clean;
	struct retired *retired;
	u32 tail;
	u32 head;
	u32 channels;
	struct work_struct fill;
	struct delayed_work reap;
	struct delayed_work scrub;
};

static struct pool pools[2];
static struct shrinker *shrinker;

static struct pool *pool_of(u8 cipher)
{
	return &pools[cipher == QKD_CIPHER_CHACHA20_POLY1305];
}

const char *qkd_pool_aead_name(u8 cipher)
{
	return cipher == QKD_CIPHER_AES_256_GCM ? "rfc4106(gcm(aes))"
						: "rfc7539esp(chacha20,poly1305)";
}

static struct crypto_aead *build(u8 cipher)
{
	char name[CRYPTO_MAX_ALG_NAME];
	struct crypto_aead *tfm;
	int err;

	snprintf(name, sizeof(name), QKD_POOL_GENIV "(%s)", qkd_pool_aead_name(cipher));
	tfm = crypto_alloc_aead(name, 0, 0);
	if (IS_ERR(tfm))
		return tfm;
	err = crypto_aead_setauthsize(tfm, QKD_POOL_ICV_BYTES);
	if (!err)
		return tfm;
	crypto_free_aead(tfm);
	return ERR_PTR(err);
}

static u32 wanted(const struct pool *p)
{
	return min_t(u32, 2 * READ_ONCE(p->channels), QKD_POOL_AHEAD_MAX);
}

static struct crypto_aead *pop(struct pool *p)
{
	struct crypto_aead *tfm = NULL;

	spin_lock_bh(&p->lock);
	if (p->spares)
		tfm = p->spare[--p->spares];
	p->clean = min(p->clean, p->spares);
	spin_unlock_bh(&p->lock);
	return tfm;
}

/* Clean ones lie below, so that those with a key are taken first. */
static void push(struct pool *p, struct crypto_aead *tfm, bool clean)
{
	bool full;

	spin_lock_bh(&p->lock);
	full = p->spares == QKD_POOL_SPARES_MAX;
	if (!full && clean) {
		p->spare[p->spares++] = p->spare[p->clean];
		p->spare[p->clean++] = tfm;
	} else if (!full) {
		p->spare[p->spares++] = tfm;
	}
	spin_unlock_bh(&p->lock);
	if (full)
		crypto_free_aead(tfm);
}

struct crypto_aead *qkd_pool_take(u8 cipher, bool *hit)
{
	struct pool *p = pool_of(cipher);
	struct crypto_aead *tfm = pop(p);

	if (READ_ONCE(p->spares) < wanted(p) / 2)
		queue_work(system_unbound_wq, &p->fill);
	*hit = tfm;
	return tfm ?: build(cipher);
}

void qkd_pool_give(u8 cipher, struct crypto_aead *tfm)
{
	struct pool *p = pool_of(cipher);

	push(p, tfm, false);
	queue_delayed_work(system_unbound_wq, &p->scrub, msecs_to_jiffies(QKD_POOL_SCRUB_MS));
}

static void fill(struct work_struct *work)
{
	struct pool *p = container_of(work, struct pool, fill);
	struct crypto_aead *tfm;
	u32 left = wanted(p); /* under memory pressure they may go as fast as they come */

	while (READ_ONCE(p->spares) < wanted(p) && left--) {
		tfm = build(p->cipher);
		if (IS_ERR(tfm))
			return; /* who takes one tries again, and hears why not */
		push(p, tfm, true);
		cond_resched();
	}
}

void qkd_pool_join(u8 cipher)
{
	struct pool *p = pool_of(cipher);

	spin_lock_bh(&p->lock);
	p->channels++;
	spin_unlock_bh(&p->lock);
	queue_work(system_unbound_wq, &p->fill);
}

void qkd_pool_leave(u8 cipher)
{
	struct pool *p = pool_of(cipher);

	spin_lock_bh(&p->lock);
	p->channels--;
	spin_unlock_bh(&p->lock);
}

/* One that has a key of an SA, out of the pool while its key is overwritten. */
static struct crypto_aead *pop_unclean(struct pool *p)
{
	struct crypto_aead *tfm = NULL;

	spin_lock_bh(&p->lock);
	if (p->clean < p->spares)
		tfm = p->spare[--p->spares];
	spin_unlock_bh(&p->lock);
	return tfm;
}

static void scrub(struct work_struct *work)
{
	static const u8 zeros[QKD_POOL_KEYMAT_BYTES] __aligned(16);
	struct pool *p = container_of(to_delayed_work(work), struct pool, scrub);
	struct crypto_aead *tfm;

	while ((tfm = pop_unclean(p))) {
		/* What cannot be overwritten is wiped by being freed. */
		if (crypto_aead_setkey(tfm, zeros, sizeof(zeros)))
			crypto_free_aead(tfm);
		else
			push(p, tfm, true);
		cond_resched();
	}
}

/* Return: whether there was room; else the caller keeps the reference. */
static bool remember(struct pool *p, struct retired r)
{
	bool room;

	spin_lock_bh(&p->lock);
	room = p->head - p->tail < RETIRED_MAX;
	if (room)
		p->retired[p->head++ % RETIRED_MAX] = r;
	spin_unlock_bh(&p->lock);
	return room;
}

void qkd_pool_retire(u8 cipher, struct xfrm_state *x)
{
	struct pool *p = pool_of(cipher);

	if (remember(p, (struct retired){x, jiffies}))
		queue_delayed_work(system_unbound_wq, &p->reap, msecs_to_jiffies(REAP_MS));
	else
		xfrm_state_put(x);
}

static struct retired recall(struct pool *p)
{
	struct retired r;

	spin_lock_bh(&p->lock);
	r = p->retired[p->tail++ % RETIRED_MAX];
	spin_unlock_bh(&p->lock);
	return r;
}

/* Return: whether the state is done with, one way or the other. */
static bool reclaim(struct pool *p, struct retired r)
{
	struct crypto_aead *tfm = r.x->data;

	if (refcount_read(&r.x->refcnt) == 1) {
		smp_acquire__after_ctrl_dep(); /* behind whoever let go last */
		r.x->data = NULL;	       /* ESP's destructor knows of none then */
		xfrm_state_put(r.x);
		qkd_pool_give(p->cipher, tfm);
		return true;
	}
	if (time_before(jiffies, r.since + msecs_to_jiffies(GIVE_UP_MS)) && remember(p, r))
		return false;
	xfrm_state_put(r.x);
	return true;
}

static void reap(struct work_struct *work)
{
	struct pool *p = container_of(to_delayed_work(work), struct pool, reap);
	u32 count = READ_ONCE(p->head) - p->tail, i, done = 0;

	synchronize_rcu(); /* nobody finds those any more */
	for (i = 0; i < count; i++)
		done += reclaim(p, recall(p));
	if (READ_ONCE(p->head) != p->tail)
		queue_delayed_work(system_unbound_wq, &p->reap,
				   msecs_to_jiffies(done ? REAP_MS : LINGER_MS));
}

static unsigned long count_spares(struct shrinker *s, struct shrink_control *sc)
{
	return READ_ONCE(pools[0].spares) + READ_ONCE(pools[1].spares);
}

static atomic_long_t surplus;

/* In a thread of its own: what a cipher does to end may lock what reclaim must not. */
static void free_surplus(struct work_struct *work)
{
	long n = atomic_long_xchg(&surplus, 0);
	struct crypto_aead *tfm;

	while (n-- > 0 && ((tfm = pop(&pools[0])) || (tfm = pop(&pools[1]))))
		crypto_free_aead(tfm);
}

static DECLARE_WORK(freeing, free_surplus);

static unsigned long ask_to_free(struct shrinker *s, struct shrink_control *sc)
{
	atomic_long_set(&surplus, sc->nr_to_scan);
	queue_work(system_unbound_wq, &freeing);
	return SHRINK_STOP; /* none yet */
}

static int init_pool(struct pool *p, u8 cipher)
{
	p->cipher = cipher;
	spin_lock_init(&p->lock);
	INIT_WORK(&p->fill, fill);
	INIT_DELAYED_WORK(&p->reap, reap);
	INIT_DELAYED_WORK(&p->scrub, scrub);
	p->spare = kvcalloc(QKD_POOL_SPARES_MAX, sizeof(*p->spare), GFP_KERNEL);
	p->retired = kvcalloc(RETIRED_MAX, sizeof(*p->retired), GFP_KERNEL);
	return p->spare && p->retired ? 0 : -ENOMEM;
}

static void exit_pool(struct pool *p)
{
	struct crypto_aead *tfm;

	cancel_work_sync(&p->fill);
	cancel_delayed_work_sync(&p->reap);
	while (p->tail != p->head)
		xfrm_state_put(recall(p).x);
	cancel_delayed_work_sync(&p->scrub);
	while ((tfm = pop(p)))
		crypto_free_aead(tfm);
	kvfree(p->spare);
	kvfree(p->retired);
}

int qkd_pool_init(void)
{
	int err = init_pool(&pools[0], QKD_CIPHER_AES_256_GCM)
			  ?: init_pool(&pools[1], QKD_CIPHER_CHACHA20_POLY1305);

	if (err)
		goto err_pools;
	shrinker = qkd_compat_shrinker_register(count_spares, ask_to_free, DEFAULT_SEEKS,
						"qkd-transforms");
	err = PTR_ERR_OR_ZERO(shrinker);
	if (err)
		goto err_pools;
	return 0;

err_pools:
	kvfree(pools[0].spare);
	kvfree(pools[0].retired);
	kvfree(pools[1].spare);
	kvfree(pools[1].retired);
	return err;
}

void qkd_pool_exit(void)
{
	qkd_compat_shrinker_unregister(shrinker);
	cancel_work_sync(&freeing);
	exit_pool(&pools[0]);
	exit_pool(&pools[1]);
}
