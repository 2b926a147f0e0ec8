// SPDX-License-Identifier: GPL-2.0
/*
 * xfrm states for ESP; see esp_state.h.
 *
 * xfrm_init_state() would build a transform for each. Instead it builds one
 * state for each family, mode and cipher, the model. A new state takes from it
 * what they all have in common, and its transform from the pool.
 *
 * A state that was never inserted is VOID; one that anybody deleted is DEAD.
 * Whoever has a reference may look at both.
 */
#include <crypto/aead.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <net/xfrm.h>
#include "channel.h"
#include "esp_pool.h"
#include "esp_state.h"
#include "netns.h"

static struct xfrm_state *models[2][2][2]; /* by family, mode, cipher */
static DEFINE_MUTEX(models_lock);

static struct xfrm_state **model_of(const struct qkd_channel *config)
{
	return &models[config->family == AF_INET6][config->kind == QKD_KIND_ESP_TRANSPORT]
		      [config->cipher == QKD_CIPHER_CHACHA20_POLY1305];
}

/* Drops a state that was never inserted; a transform that it has wipes its key. */
static void discard(struct xfrm_state *x)
{
	x->km.state = XFRM_STATE_DEAD;
	xfrm_state_put(x);
}

/*
 * For listings. The key is never here, and its length is 0: a state that is
 * cloned (XFRM_MSG_MIGRATE) must fail for want of a key, not run with one of
 * zeros.
 */
static int set_algorithm(struct xfrm_state *x, const struct xfrm_state *model)
{
	x->aead = kmemdup(model->aead, sizeof(*x->aead), GFP_KERNEL_ACCOUNT);
	x->geniv = model->geniv;
	return x->aead ? 0 : -ENOMEM;
}

/* The model's, with a key of zeros for as long as xfrm_init_state() wants one. */
static int set_model_algorithm(struct xfrm_state *x, u8 cipher)
{
	x->aead = kzalloc(sizeof(*x->aead) + QKD_POOL_KEYMAT_BYTES, GFP_KERNEL);
	if (!x->aead)
		return -ENOMEM;
	strscpy(x->aead->alg_name, qkd_pool_aead_name(cipher), sizeof(x->aead->alg_name));
	x->aead->alg_key_len = QKD_POOL_KEYMAT_BYTES * 8;
	x->aead->alg_icv_len = QKD_POOL_ICV_BYTES * 8;
	x->geniv = QKD_POOL_GENIV;
	return 0;
}

static void set_mode(struct xfrm_state *x, const struct qkd_channel *config)
{
	x->id.proto = IPPROTO_ESP;
	x->props.family = config->family;
	x->props.mode =
		config->kind == QKD_KIND_ESP_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
}

/* Its key is all zeros, and it is used for nothing; the transform goes to the pool. */
static int build_model(const struct qkd_channel *config, struct xfrm_state **model)
{
	struct xfrm_state *x = xfrm_state_alloc(&init_net);
	int err;

	if (!x)
		return -ENOMEM;
	set_mode(x, config);
	err = set_model_algorithm(x, config->cipher);
	if (!err)
		err = qkd_compat_init_state(x);
	x->km.state = XFRM_STATE_VOID;
	if (err) {
		discard(x);
		return err;
	}
	x->aead->alg_key_len = 0;
	qkd_pool_give(config->cipher, x->data);
	x->data = NULL;
	*model = x;
	return 0;
}

int qkd_esp_prepare(const struct qkd_channel *config)
{
	struct xfrm_state **model = model_of(config);
	int err = 0;

	mutex_lock(&models_lock);
	if (!*model)
		err = build_model(config, model);
	mutex_unlock(&models_lock);
	return err;
}

void qkd_esp_exit(void)
{
	struct xfrm_state **model = &models[0][0][0];
	size_t i;

	for (i = 0; i < sizeof(models) / sizeof(*model); i++)
		if (model[i])
			discard(model[i]);
}

/* What xfrm_init_state() found out, with a reference to each module that it took. */
static void follow_model(struct xfrm_state *x, const struct xfrm_state *model)
{
	__module_get(model->type->owner);
	x->type = model->type;
	if (model->type_offload) {
		__module_get(model->type_offload->owner);
		x->type_offload = model->type_offload;
	}
	x->inner_mode = model->inner_mode;
	x->inner_mode_iaf = model->inner_mode_iaf;
	x->outer_mode = model->outer_mode;
	x->props.header_len = model->props.header_len;
	x->props.trailer_len = model->props.trailer_len;
}

/* Outbound has no window, but 6.1 refuses ESN without one. */
static int set_replay(struct xfrm_state *x, u32 window)
{
	u32 words = DIV_ROUND_UP(window, 32);
	size_t size = sizeof(*x->replay_esn) + words * sizeof(u32);

	/* Both are wanted by the replay code for ESN and for large windows. */
	x->replay_esn = kzalloc(size, GFP_KERNEL_ACCOUNT);
	x->preplay_esn = kzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!x->replay_esn || !x->preplay_esn)
		return -ENOMEM;
	x->replay_esn->bmp_len = words;
	x->replay_esn->replay_window = window;
	x->preplay_esn->bmp_len = words;
	x->preplay_esn->replay_window = window;
	return xfrm_init_replay(x, NULL);
}

/* No selector: the policies choose what goes in, of either family. */
static void set_channel(struct xfrm_state *x, const struct qkd_channel *config, bool out)
{
	memcpy(&x->id.daddr, out ? config->remote : config->local, sizeof(x->id.daddr));
	memcpy(&x->props.saddr, out ? config->local : config->remote, sizeof(x->props.saddr));
	x->props.reqid = config->reqid;
	x->if_id = config->if_id;
	x->mark.v = config->mark;
	x->mark.m = config->mark_mask;
	if (config->flags & QKD_CHANNEL_ESN)
		x->props.flags |= XFRM_STATE_ESN;
	if (config->family == AF_INET && READ_ONCE(xs_net(x)->ipv4.sysctl_ip_no_pmtu_disc))
		x->props.flags |= XFRM_STATE_NOPMTUDISC;
}

static int set_key(struct xfrm_state *x, struct qkd_chan *c, const struct qkd_material *m)
{
	u8 keymat[QKD_POOL_KEYMAT_BYTES] __aligned(16);
	struct crypto_aead *tfm;
	bool hit;
	int err;

	static_assert(sizeof(keymat) == QKD_KEY_BYTES + QKD_ESP_SALT_BYTES);
	tfm = qkd_pool_take(c->config.cipher, &hit);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	x->data = tfm;
	c->counters.pool_hits += hit;
	c->counters.pool_misses += !hit;
	memcpy(keymat, m->key, QKD_KEY_BYTES);
	memcpy(keymat + QKD_KEY_BYTES, m->salt, QKD_ESP_SALT_BYTES);
	err = crypto_aead_setkey(tfm, keymat, sizeof(keymat));
	memzero_explicit(keymat, sizeof(keymat));
	return err;
}

struct xfrm_state *qkd_esp_build(struct qkd_chan *c, u64 epoch, const struct qkd_material *m,
				 bool out)
{
	const struct qkd_channel *config = &c->config;
	const struct xfrm_state *model = *model_of(config);
	struct xfrm_state *x = xfrm_state_alloc(c->ns->net);
	int err;

	if (!x)
		return ERR_PTR(-ENOMEM);
	x->id.spi = cpu_to_be32(qkd_spi_permute(&c->spi[out], epoch));
	set_mode(x, config);
	set_channel(x, config, out);
	qkd_compat_set_dir(x, out);
	follow_model(x, model);
	err = set_algorithm(x, model) ?: set_replay(x, out ? 1 : config->replay_window)
						  ?: set_key(x, c, m);
	if (err) {
		discard(x);
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
	xfrm_audit_state_add(x, 1, true);
}

void qkd_esp_remove(u8 cipher, struct xfrm_state *x)
{
	if (x->km.state == XFRM_STATE_VOID) {
		qkd_pool_give(cipher, x->data);
		x->data = NULL;
		discard(x);
		return;
	}
	/* Gone already if an administrator flushed or deleted it. */
	if (!xfrm_state_delete(x))
		xfrm_audit_state_delete(x, 1, true);
	qkd_pool_retire(cipher, x);
}
