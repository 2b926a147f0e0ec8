// SPDX-License-Identifier: GPL-2.0
/*
 * ESP channels as xfrm states. The inbound state is inserted at once, the
 * outbound one is built and keyed, and inserted when its epoch begins.
 */
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <net/xfrm.h>
#include "channel.h"
#include "esp_blank.h"
#include "esp_pool.h"
#include "esp_state.h"
#include "ipsec.h"
#include "netns.h"

/* Half of the sequence numbers: without ESN they end at 2^32, RFC 4303 clause 3.3.3. */
#define SOFT_PACKETS_NO_ESN (1ULL << 31)

u64 qkd_ipsec_features(void)
{
	u64 features = 0;

	if (qkd_blank_has_cipher(QKD_CIPHER_AES_256_GCM))
		features |= QKD_FEATURE_ESP;
	if (qkd_blank_has_cipher(QKD_CIPHER_CHACHA20_POLY1305))
		features |= QKD_FEATURE_ESP_CHACHA;
	return features;
}

/* Both ends see a direction alike: by which of the addresses sends. */
static void schedule_spis(struct qkd_chan *c)
{
	bool low = memcmp(c->config.local, c->config.remote, QKD_ADDR_BYTES) < 0;

	qkd_spi_schedule(&c->spi[low], c->config.spi_key, QKD_DIRECTION_LOW_TO_HIGH);
	qkd_spi_schedule(&c->spi[!low], c->config.spi_key, QKD_DIRECTION_HIGH_TO_LOW);
}

static bool has_limits(const struct qkd_chan *c)
{
	return c->config.soft_bytes || c->config.soft_packets ||
	       !(c->config.flags & QKD_CHANNEL_ESN);
}

static int open_channel(struct qkd_chan *c)
{
	struct qkd_pool *pool = qkd_pool_join(&c->config);

	if (IS_ERR(pool))
		return PTR_ERR(pool) == -ENOMEM ? -ENOMEM : -EOPNOTSUPP;
	c->pool = pool;
	c->standby.wanted = has_limits(c);
	schedule_spis(c);
	return 0;
}

static void close_channel(struct qkd_chan *c)
{
	qkd_pool_leave(c->pool);
}

static int install(struct qkd_chan *c, const struct qkd_key *key, struct qkd_sa *sa)
{
	struct xfrm_state *in, *out;
	int err;

	out = qkd_esp_build(c, key->epoch, &key->out, true);
	if (IS_ERR(out))
		return PTR_ERR(out);
	in = qkd_esp_build(c, key->epoch, &key->in, false);
	err = PTR_ERR_OR_ZERO(in);
	if (err)
		goto err_out;
	err = qkd_esp_insert_in(in);
	if (err)
		goto err_in;
	sa->in = in;
	sa->out = out;
	return 0;

err_in:
	qkd_esp_remove(c->pool, in);
err_out:
	qkd_esp_remove(c->pool, out);
	return err;
}

static void set_dying(struct xfrm_state *x)
{
	spin_lock_bh(&x->lock);
	x->km.dying = 1;
	spin_unlock_bh(&x->lock);
}

/* The kernel looks at these with each packet, and tells of them; see notify.c. */
static void set_limits(const struct qkd_chan *c, struct qkd_sa *sa)
{
	struct xfrm_lifetime_cfg *lft = &sa->out->lft;
	bool esn = c->config.flags & QKD_CHANNEL_ESN;

	if (c->config.soft_bytes)
		lft->soft_byte_limit = qkd_epochs_soft(&c->epochs, sa->epoch, c->config.soft_bytes);
	if (c->config.soft_packets)
		lft->soft_packet_limit =
			qkd_epochs_soft(&c->epochs, sa->epoch, c->config.soft_packets);
	if (c->config.hard_bytes)
		lft->hard_byte_limit = c->config.hard_bytes;
	if (c->config.hard_packets)
		lft->hard_packet_limit = c->config.hard_packets;
	if (!esn)
		lft->soft_packet_limit = min_t(u64, lft->soft_packet_limit, SOFT_PACKETS_NO_ESN);
}

/*
 * The output path takes a state that is not dying before one that is, then the
 * youngest. The old one stays valid for packets that have chosen it already.
 */
static int activate(struct qkd_chan *c, struct qkd_sa *sa, struct qkd_sa *old)
{
	set_limits(c, sa);
	sa->out->curlft.add_time = ktime_get_real_seconds();
	if (old && old->out)
		set_dying(old->out);
	WRITE_ONCE(c->in_use, sa->out);
	qkd_esp_insert_out(sa->out);
	xfrm_audit_state_add(sa->out, 1, true);
	return 0;
}

static void offer(struct qkd_chan *c, struct qkd_sa *sa, u64 from)
{
	struct qkd_standby *s = &c->standby;

	set_limits(c, sa);
	spin_lock_bh(&s->lock);
	s->out = sa->out;
	s->from = from;
	spin_unlock_bh(&s->lock);
	s->offered = sa->out;
}

static bool withdraw(struct qkd_chan *c)
{
	struct qkd_standby *s = &c->standby;
	bool used;

	spin_lock_bh(&s->lock);
	used = !s->out;
	s->out = NULL;
	spin_unlock_bh(&s->lock);
	if (used)
		xfrm_audit_state_add(s->offered, 1, true);
	s->offered = NULL;
	return used;
}

static void go_on_with(struct qkd_chan *c, struct xfrm_state *next)
{
	u64 begin = local_clock();

	next->curlft.add_time = ktime_get_real_seconds();
	WRITE_ONCE(c->in_use, next);
	qkd_esp_insert_out(next);
	c->standby.out = NULL;
	c->standby.took = local_clock() - begin;
}

/* Under the lock all the while: who withdraws finds it either inserted or not. */
void qkd_ipsec_soft_limit(struct qkd_chan *c, const struct xfrm_state *x)
{
	struct qkd_standby *s = &c->standby;

	spin_lock_bh(&s->lock);
	if (s->out && READ_ONCE(c->in_use) == x && READ_ONCE(x->km.dying) &&
	    ktime_to_ms(ktime_get_coarse_boottime()) >= s->from)
		go_on_with(c, s->out);
	spin_unlock_bh(&s->lock);
}

static int remove_sa(struct qkd_chan *c, struct qkd_sa *sa, bool out)
{
	struct xfrm_state **x = out ? &sa->out : &sa->in;

	qkd_esp_remove(c->pool, *x);
	*x = NULL;
	return 0;
}

static bool is_over(u64 used, u64 limit)
{
	return limit && used >= limit;
}

/* A state that reached a hard limit sends no more, and is deleted by a timer of its own. */
static bool is_spent(const struct qkd_chan *c, const struct xfrm_state *x)
{
	return is_over(READ_ONCE(x->curlft.packets), c->config.hard_packets) ||
	       is_over(READ_ONCE(x->curlft.bytes), c->config.hard_bytes);
}

/* Whoever ends it may have told first: it does both under the lock. */
static u8 read_state(struct xfrm_state *x)
{
	u8 state;

	spin_lock_bh(&x->lock);
	state = x->km.state;
	spin_unlock_bh(&x->lock);
	return state;
}

/*
 * One that was never inserted is nobody else's to delete, and one that is spent is
 * not lost.
 */
static bool stands(struct qkd_chan *c, const struct qkd_sa *sa, bool out)
{
	struct xfrm_state *x = out ? sa->out : sa->in;
	u8 state = x ? read_state(x) : XFRM_STATE_VOID;

	return state == XFRM_STATE_VALID || state == XFRM_STATE_VOID || (out && is_spent(c, x));
}

/* xfrm has told; this is what of. It sets the mark only on a state in use. */
static unsigned int limit(struct qkd_chan *c, const struct qkd_sa *sa)
{
	if (READ_ONCE(sa->out->km.state) != XFRM_STATE_VALID && is_spent(c, sa->out))
		return QKD_NEWS_HARD;
	return READ_ONCE(sa->out->km.dying) ? QKD_NEWS_SOFT : 0;
}

static void read_lifetime(struct xfrm_state *x, u64 *packets, u64 *bytes)
{
	spin_lock_bh(&x->lock);
	*packets = x->curlft.packets;
	*bytes = x->curlft.bytes;
	spin_unlock_bh(&x->lock);
}

static void report(struct qkd_chan *c, const struct qkd_sa *sa, struct qkd_epoch *r)
{
	if (sa->in) {
		r->spi_in = sa->in->id.spi;
		read_lifetime(sa->in, &r->packets_in, &r->bytes_in);
	}
	if (sa->out) {
		r->spi_out = sa->out->id.spi;
		read_lifetime(sa->out, &r->packets_out, &r->bytes_out);
	}
}

const struct qkd_backend qkd_ipsec_backend = {
	.open = open_channel,
	.close = close_channel,
	.install = install,
	.activate = activate,
	.remove = remove_sa,
	.stands = stands,
	.limit = limit,
	.offer = offer,
	.withdraw = withdraw,
	.report = report,
};
