// SPDX-License-Identifier: GPL-2.0
/* Blank xfrm states for ESP; see esp_blank.h. */
#include <crypto/aead.h>
#include <linux/crypto.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/xfrm.h>
#include "esp_blank.h"
#include "qkd_uapi.h"

/* The generator of both ciphers' initialization vectors. */
#define GENIV "seqiv"

/* Integrity check value of both ciphers. */
#define ICV_BYTES 16

static const u8 zeros[QKD_ESP_KEYMAT_BYTES] __aligned(16);

static const char *aead_name(u8 cipher)
{
	return cipher == QKD_CIPHER_AES_256_GCM ? "rfc4106(gcm(aes))"
						: "rfc7539esp(chacha20,poly1305)";
}

bool qkd_blank_has_cipher(u8 cipher)
{
	char name[CRYPTO_MAX_ALG_NAME];

	snprintf(name, sizeof(name), GENIV "(%s)", aead_name(cipher));
	return crypto_has_alg(name, CRYPTO_ALG_TYPE_AEAD, CRYPTO_ALG_TYPE_MASK);
}

void qkd_blank_discard(struct xfrm_state *x)
{
	x->km.state = XFRM_STATE_DEAD;
	xfrm_state_put(x);
}

/* With a key of zeros for as long as xfrm_init_state() wants one. */
static int set_model_algorithm(struct xfrm_state *x, u8 cipher)
{
	x->aead = kzalloc(sizeof(*x->aead) + QKD_ESP_KEYMAT_BYTES, GFP_KERNEL);
	if (!x->aead)
		return -ENOMEM;
	strscpy(x->aead->alg_name, aead_name(cipher), sizeof(x->aead->alg_name));
	x->aead->alg_key_len = QKD_ESP_KEYMAT_BYTES * 8;
	x->aead->alg_icv_len = ICV_BYTES * 8;
	x->geniv = GENIV;
	return 0;
}

static int init_model(struct xfrm_state *x, const struct qkd_channel *config)
{
	bool tunnel = config->kind == QKD_KIND_ESP_TUNNEL;
	int err;

	x->id.proto = IPPROTO_ESP;
	x->props.family = config->family;
	x->props.mode = tunnel ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
	err = set_model_algorithm(x, config->cipher);
	if (!err)
		err = qkd_compat_init_state(x);
	x->props.flags = 0; /* of init_net's settings; each state has its own namespace's */
	x->km.state = XFRM_STATE_VOID;
	return err;
}

struct xfrm_state *qkd_blank_model(const struct qkd_channel *config)
{
	struct xfrm_state *x = xfrm_state_alloc(&init_net);
	int err;

	if (!x)
		return ERR_PTR(-ENOMEM);
	err = init_model(x, config);
	if (err) {
		qkd_blank_discard(x);
		return ERR_PTR(err);
	}
	x->aead->alg_key_len = 0;
	return x;
}

/*
 * For listings. The key is never here, and its length is 0: a state that is
 * cloned (XFRM_MSG_MIGRATE) must fail for want of a key, not run with one of
 * zeros.
 */
static int set_algorithm(struct xfrm_state *x, const struct xfrm_state *model)
{
	x->aead = kmemdup(model->aead, sizeof(*x->aead), GFP_KERNEL);
	x->geniv = model->geniv;
	return x->aead ? 0 : -ENOMEM;
}

static int set_transform(struct xfrm_state *x)
{
	char name[CRYPTO_MAX_ALG_NAME];
	struct crypto_aead *tfm;

	snprintf(name, sizeof(name), "%s(%s)", x->geniv, x->aead->alg_name);
	tfm = crypto_alloc_aead(name, 0, 0);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	x->data = tfm;
	return crypto_aead_setauthsize(tfm, ICV_BYTES) ?: qkd_blank_scrub(x);
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
	x->id.proto = model->id.proto;
	x->props.family = model->props.family;
	x->props.mode = model->props.mode;
	x->inner_mode = model->inner_mode;
	x->inner_mode_iaf = model->inner_mode_iaf;
	x->outer_mode = model->outer_mode;
	x->props.header_len = model->props.header_len;
	x->props.trailer_len = model->props.trailer_len;
}

struct xfrm_state *qkd_blank_make(const struct xfrm_state *model)
{
	struct xfrm_state *x = xfrm_state_alloc(&init_net);
	int err;

	if (!x)
		return ERR_PTR(-ENOMEM);
	follow_model(x, model);
	err = set_algorithm(x, model) ?: set_transform(x);
	if (err) {
		qkd_blank_discard(x);
		return ERR_PTR(err);
	}
	return x;
}

/* What only other managers of xfrm would have given it. */
static bool has_strange_parts(const struct xfrm_state *x)
{
	return x->encap || x->coaddr || x->security || x->tunnel || x->xso.dev;
}

/*
 * A packet that found the state just before it was deleted may have put it into a list
 * of those last used just after (xfrm_input_state_lookup() of 6.12 looks whether it is
 * valid before it locks the list). Nobody takes it out of there, so that it can never be
 * freed, as others' states are: the next lookup would read what is something else by then.
 */
static bool is_still_listed(const struct xfrm_state *x)
{
	return qkd_compat_is_cached(x);
}

int qkd_blank_scrub(struct xfrm_state *x)
{
	return crypto_aead_setkey(x->data, zeros, sizeof(zeros));
}

void qkd_blank_end(struct xfrm_state *x)
{
	if (is_still_listed(x))
		qkd_blank_scrub(x);
	else
		xfrm_state_put(x);
}

/*
 * Whatever happened to it, and whatever members this kernel's states have, the model
 * has them as they were before: so all of it is copied, but for what is owned, and for
 * a timer that has pointers to itself.
 */
bool qkd_blank_renew(struct xfrm_state *x, const struct xfrm_state *model)
{
	struct xfrm_algo_aead *aead = x->aead;
	struct xfrm_replay_state_esn *replay = x->replay_esn;
	struct xfrm_replay_state_esn *preplay = x->preplay_esn;
	void *data = x->data;
	struct hrtimer mtimer;

	if (has_strange_parts(x) || is_still_listed(x))
		return false;
	hrtimer_cancel(&x->mtimer);
	timer_delete_sync(&x->rtimer);
	mtimer = x->mtimer;
	if (x->xfrag.page)
		put_page(x->xfrag.page); /* 32 KiB: too much for one that waits */
	*x = *model;
	INIT_LIST_HEAD(&x->km.all);
	x->mtimer = mtimer;
	x->aead = aead;
	x->replay_esn = replay;
	x->preplay_esn = preplay;
	x->data = data;
	return true;
}
