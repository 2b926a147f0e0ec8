// SPDX-License-Identifier: GPL-2.0
/*
 * xfrm states for ESP; see esp_state.h.
 *
 * A state that was never inserted is VOID; one that anybody deleted is DEAD.
 * Whoever has a reference may look at both.
 */
#include <crypto/aead.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <net/xfrm.h>
#include "channel.h"
#include "esp_blank.h"
#include "esp_pool.h"
#include "esp_state.h"
#include "netns.h"

/* Bitmaps of small windows all have this size, so that any state's will do. */
#define REPLAY_WORDS_MIN 16

static u32 replay_words(const struct xfrm_replay_state_esn *replay)
{
	return replay ? max_t(u32, replay->bmp_len, REPLAY_WORDS_MIN) : 0;
}

/* Return: @replay, or another one in its place, all zeros; NULL: it stays. */
static struct xfrm_replay_state_esn *clear_replay(struct xfrm_replay_state_esn *replay, u32 window)
{
	u32 has = replay_words(replay), words = DIV_ROUND_UP(window, 32);
	u32 wants = max_t(u32, words, REPLAY_WORDS_MIN);
	struct xfrm_replay_state_esn *other = replay;

	if (has != wants)
		other = kmalloc(struct_size(other, bmp, wants), GFP_KERNEL);
	if (!other)
		return NULL;
	if (other != replay)
		kfree(replay);
	memset(other, 0, struct_size(other, bmp, words));
	other->bmp_len = words;
	other->replay_window = window;
	return other;
}

/* Return: whether there was memory. */
static bool set_window(struct xfrm_replay_state_esn **replay, u32 window)
{
	struct xfrm_replay_state_esn *r = clear_replay(*replay, window);

	*replay = r ?: *replay;
	return r;
}

/*
 * Outbound has no window, but 6.1 refuses ESN without one. Both are wanted by the
 * replay code for ESN and for large windows.
 */
static int set_replay(struct xfrm_state *x, u32 window)
{
	if (!set_window(&x->replay_esn, window) || !set_window(&x->preplay_esn, window))
		return -ENOMEM;
	return xfrm_init_replay(x, NULL);
}

/* No selector: the policies choose what goes in, of either family. */
static void set_channel(struct xfrm_state *x, const struct qkd_channel *config, struct net *net,
			bool out)
{
	write_pnet(&x->xs_net, net);
	memcpy(&x->id.daddr, out ? config->remote : config->local, sizeof(x->id.daddr));
	memcpy(&x->props.saddr, out ? config->local : config->remote, sizeof(x->props.saddr));
	x->props.reqid = config->reqid;
	x->if_id = config->if_id;
	x->mark.v = config->mark;
	x->mark.m = config->mark_mask;
	if (config->flags & QKD_CHANNEL_ESN)
		x->props.flags |= XFRM_STATE_ESN;
	if (config->family == AF_INET && READ_ONCE(net->ipv4.sysctl_ip_no_pmtu_disc))
		x->props.flags |= XFRM_STATE_NOPMTUDISC;
	x->curlft.add_time = ktime_get_real_seconds();
}

static int set_key(struct xfrm_state *x, const struct qkd_material *m)
{
	u8 keymat[QKD_ESP_KEYMAT_BYTES] __aligned(16);
	int err;

	static_assert(sizeof(keymat) == QKD_KEY_BYTES + QKD_ESP_SALT_BYTES);
	memcpy(keymat, m->key, QKD_KEY_BYTES);
	memcpy(keymat + QKD_KEY_BYTES, m->salt, QKD_ESP_SALT_BYTES);
	err = crypto_aead_setkey(x->data, keymat, sizeof(keymat));
	memzero_explicit(keymat, sizeof(keymat));
	return err;
}

struct xfrm_state *qkd_esp_build(struct qkd_chan *c, u64 epoch, const struct qkd_material *m,
				 bool out)
{
	struct xfrm_state *x;
	bool hit;
	int err;

	x = qkd_pool_take(c->pool, &hit);
	if (IS_ERR(x))
		return x;
	c->counters.pool_hits += hit;
	c->counters.pool_misses += !hit;
	x->id.spi = cpu_to_be32(qkd_spi_permute(&c->spi[out], epoch));
	set_channel(x, &c->config, c->ns->net, out);
	qkd_compat_set_dir(x, out);
	err = set_replay(x, out ? 1 : c->config.replay_window) ?: set_key(x, m);
	if (err) {
		qkd_blank_discard(x);
		return ERR_PTR(err);
	}
	return x;
}

/* From here on the table has its reference; ours stays. */
int qkd_esp_insert_in(struct xfrm_state *x)
{
	int err;

	x->km.state = XFRM_STATE_VALID;
	xfrm_state_hold(x);
	err = xfrm_state_add(x);
	xfrm_audit_state_add(x, !err, true);
	if (err) {
		x->km.state = XFRM_STATE_VOID;
		xfrm_state_put(x);
	}
	return err;
}

void qkd_esp_insert_out(struct xfrm_state *x)
{
	x->km.state = XFRM_STATE_VALID;
	xfrm_state_hold(x);
	xfrm_state_insert(x);
}

void qkd_esp_remove(struct qkd_pool *pool, struct xfrm_state *x)
{
	if (x->km.state == XFRM_STATE_VOID) {
		qkd_pool_give(pool, x);
		return;
	}
	/* Gone already if an administrator flushed or deleted it. */
	if (!xfrm_state_delete(x))
		xfrm_audit_state_delete(x, 1, true);
	qkd_pool_retire(pool, x);
}
