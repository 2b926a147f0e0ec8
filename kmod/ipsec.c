// SPDX-License-Identifier: GPL-2.0
/*
 * ESP channels as xfrm states.
 *
 * A state is made in three steps, so that the first two can come from a pool:
 * new_state() has all that belongs to the channel, key_state() builds the
 * transform and gives it the key, insert_state() lets packets find it. The
 * inbound state is inserted at once, the outbound one when its epoch begins.
 *
 * A state that was never inserted is VOID; one that anybody deleted is DEAD.
 * The epoch holds a reference of its own, so both are safe to look at.
 */
#include <linux/crypto.h>
#include <linux/slab.h>
#include <net/xfrm.h>
#include "channel.h"
#include "ipsec.h"
#include "netns.h"
#include "spi.h"

#define KEYMAT_BYTES (QKD_KEY_BYTES + QKD_ESP_SALT_BYTES)
#define ICV_BITS     128
#define GENIV	     "seqiv"

static const char *aead_name(u8 cipher)
{
	return cipher == QKD_CIPHER_AES_256_GCM ? "rfc4106(gcm(aes))"
						: "rfc7539esp(chacha20,poly1305)";
}

/* Also loads what is missing. */
static bool has_cipher(u8 cipher)
{
	char name[CRYPTO_MAX_ALG_NAME];

	snprintf(name, sizeof(name), GENIV "(%s)", aead_name(cipher));
	return crypto_has_alg(name, CRYPTO_ALG_TYPE_AEAD, CRYPTO_ALG_TYPE_MASK);
}

u64 qkd_ipsec_features(void)
{
	u64 features = 0;

	if (has_cipher(QKD_CIPHER_AES_256_GCM))
		features |= QKD_FEATURE_ESP;
	if (has_cipher(QKD_CIPHER_CHACHA20_POLY1305))
		features |= QKD_FEATURE_ESP_CHACHA;
	return features;
}

static int open_channel(struct qkd_chan *c)
{
	return has_cipher(c->config.cipher) ? 0 : -EOPNOTSUPP;
}

static __be32 spi_of(const struct qkd_channel *config, u64 epoch, bool out)
{
	const u8 *sender = out ? config->local : config->remote;
	const u8 *receiver = out ? config->remote : config->local;
	enum qkd_direction direction = memcmp(sender, receiver, QKD_ADDR_BYTES) < 0
					       ? QKD_DIRECTION_LOW_TO_HIGH
					       : QKD_DIRECTION_HIGH_TO_LOW;

	return cpu_to_be32(qkd_spi(config->spi_key, direction, epoch));
}

/* Both bitmaps are wanted by the replay code for ESN and for large windows. */
static int set_replay(struct xfrm_state *x, u32 window)
{
	u32 words = DIV_ROUND_UP(window, 32);
	size_t size = sizeof(*x->replay_esn) + words * sizeof(u32);

	x->replay_esn = kzalloc(size, GFP_KERNEL);
	x->preplay_esn = kzalloc(size, GFP_KERNEL);
	if (!x->replay_esn || !x->preplay_esn)
		return -ENOMEM;
	x->replay_esn->bmp_len = words;
	x->replay_esn->replay_window = window;
	x->preplay_esn->bmp_len = words;
	x->preplay_esn->replay_window = window;
	return 0;
}

/* Drops a state that was never inserted; the transform wipes its key. */
static void discard_state(struct xfrm_state *x)
{
	x->km.state = XFRM_STATE_DEAD;
	xfrm_state_put(x);
}

static void set_addresses(struct xfrm_state *x, const struct qkd_channel *config, bool out)
{
	memcpy(&x->id.daddr, out ? config->remote : config->local, sizeof(x->id.daddr));
	memcpy(&x->props.saddr, out ? config->local : config->remote, sizeof(x->props.saddr));
	x->props.family = config->family;
}

static void set_mode(struct xfrm_state *x, const struct qkd_channel *config)
{
	/* No selector: the policies choose what goes in, of either family. */
	x->props.mode =
		config->kind == QKD_KIND_ESP_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
	x->props.reqid = config->reqid;
	x->if_id = config->if_id;
	x->mark.v = config->mark;
	x->mark.m = config->mark_mask;
	if (config->flags & QKD_CHANNEL_ESN)
		x->props.flags |= XFRM_STATE_ESN;
}

static struct xfrm_state *new_state(const struct qkd_chan *c, bool out)
{
	struct xfrm_state *x = xfrm_state_alloc(c->ns->net);

	if (!x)
		return NULL;
	x->id.proto = IPPROTO_ESP;
	set_addresses(x, &c->config, out);
	set_mode(x, &c->config);
	qkd_compat_set_dir(x, out);
	/* Outbound has no window, but 6.1 refuses ESN without one. */
	if (set_replay(x, out ? 1 : c->config.replay_window)) {
		discard_state(x);
		return NULL;
	}
	return x;
}

/*
 * Once the transform has the key, the state's copy serves dumps only. It is
 * wiped, and its length too: a state that is cloned (XFRM_MSG_MIGRATE) must
 * fail for want of a key, not run with a key of zeros.
 */
static int key_state(struct xfrm_state *x, u8 cipher, const struct qkd_material *m)
{
	struct xfrm_algo_aead *aead = kzalloc(sizeof(*aead) + KEYMAT_BYTES, GFP_KERNEL);
	int err;

	if (!aead)
		return -ENOMEM;
	strscpy(aead->alg_name, aead_name(cipher), sizeof(aead->alg_name));
	aead->alg_key_len = KEYMAT_BYTES * 8;
	aead->alg_icv_len = ICV_BITS;
	memcpy(aead->alg_key, m->key, QKD_KEY_BYTES);
	memcpy(aead->alg_key + QKD_KEY_BYTES, m->salt, QKD_ESP_SALT_BYTES);
	x->aead = aead;
	x->geniv = GENIV;
	err = qkd_compat_init_state(x);
	memzero_explicit(aead->alg_key, KEYMAT_BYTES);
	aead->alg_key_len = 0;
	x->km.state = XFRM_STATE_VOID;
	return err;
}

/* From here on the table has its reference; ours stays. */
static int insert_state(struct xfrm_state *x)
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

/* Gives @x's reference back, wherever the state is in its life. */
static void remove_state(struct xfrm_state *x)
{
	if (x->km.state == XFRM_STATE_VOID) {
		discard_state(x);
		return;
	}
	/* Gone already if an administrator flushed or deleted it. */
	if (!xfrm_state_delete(x))
		xfrm_audit_state_delete(x, 1, true);
	xfrm_state_put(x);
}

static int build_state(struct qkd_chan *c, u64 epoch, const struct qkd_material *m, bool out,
		       struct xfrm_state **result)
{
	struct xfrm_state *x = new_state(c, out);
	int err;

	if (!x)
		return -ENOMEM;
	x->id.spi = spi_of(&c->config, epoch, out);
	err = key_state(x, c->config.cipher, m);
	if (err) {
		discard_state(x);
		return err;
	}
	*result = x;
	return 0;
}

static int install(struct qkd_chan *c, const struct qkd_key *key, struct qkd_sa *sa)
{
	int err;

	err = build_state(c, key->epoch, &key->out, true, &sa->out);
	if (err)
		return err;
	err = build_state(c, key->epoch, &key->in, false, &sa->in);
	if (err)
		goto err_out;
	err = insert_state(sa->in);
	if (err)
		goto err_in;
	return 0;

err_in:
	discard_state(sa->in);
	sa->in = NULL;
err_out:
	discard_state(sa->out);
	sa->out = NULL;
	return err;
}

static void set_dying(struct xfrm_state *x, u8 dying)
{
	spin_lock_bh(&x->lock);
	x->km.dying = dying;
	spin_unlock_bh(&x->lock);
}

/*
 * The output path takes a state that is not dying before one that is, then the
 * youngest. The old one stays valid for packets that have chosen it already.
 */
static int activate(struct qkd_chan *c, struct qkd_sa *sa, struct qkd_sa *old)
{
	int err;

	sa->out->curlft.add_time = ktime_get_real_seconds();
	if (old && old->out)
		set_dying(old->out, 1);
	err = insert_state(sa->out);
	if (err && old && old->out)
		set_dying(old->out, 0);
	return err;
}

static int remove_sa(struct qkd_chan *c, struct qkd_sa *sa, bool out)
{
	struct xfrm_state **x = out ? &sa->out : &sa->in;

	remove_state(*x);
	*x = NULL;
	return 0;
}

/* One that was never inserted is nobody else's to delete. */
static bool stands(struct qkd_chan *c, const struct qkd_sa *sa, bool out)
{
	const struct xfrm_state *x = out ? sa->out : sa->in;
	u8 state = x ? READ_ONCE(x->km.state) : XFRM_STATE_VOID;

	return state == XFRM_STATE_VALID || state == XFRM_STATE_VOID;
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
	.install = install,
	.activate = activate,
	.remove = remove_sa,
	.stands = stands,
	.report = report,
};
