// SPDX-License-Identifier: GPL-2.0-or-later
/* An agreed epoch goes to the backend; see agree.h. */
#include "unp/agree_internal.h"
#include "km/secret.h"
#include "log.h"
#include "unp/derive.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

/* What the exporter is bound to besides its label: channel and epoch. */
static int session_secret(struct agree_slot *slot)
{
	struct agree *a = slot->agree;
	uint8_t context[QKD_NAME_BYTES + 8];
	int i;

	memcpy(context, a->name, QKD_NAME_BYTES);
	for (i = 0; i < 8; i++)
		context[QKD_NAME_BYTES + i] = (uint8_t)(slot->epoch >> (56 - 8 * i));
	return a->ops->secret(a->arg, context, sizeof(context), slot->secret->session);
}

int agree_keep(struct agree_slot *slot, const struct km_key *key)
{
	struct agree *a = slot->agree;

	slot->secret = secret_alloc(sizeof(*slot->secret));
	if (!slot->secret)
		return -ENOMEM;
	slot->key_id = key->id;
	memcpy(slot->secret->key, key->value, sizeof(slot->secret->key));
	slot->mark = key->simulated ? MARK_SIMULATED : MARK_REAL;
	return a->config.combine == CONFIG_COMBINE_QKD_TLS ? session_secret(slot) : 0;
}

static void put_failed(struct agree *a, uint64_t epoch, int err)
{
	a->put_failed = true;
	a->failures++;
	agree_error(a, "epoch %llu could not be installed: %s", (unsigned long long)epoch,
		    err == -EEXIST   ? "another SA of this machine has its SPI"
		    : err == -ESTALE ? "it was used before"
				     : strerror(-err));
	a->ops->event(a->arg, "failed", epoch, a->error);
}

/* The epoch stands, or it is spent; the initiator hears of it either way. */
static void put_done(void *arg, int err, const void *record)
{
	struct agree_slot *slot = arg;
	struct agree *a = slot->agree;
	const struct qkd_key *key = record;
	uint64_t epoch = slot->epoch;
	bool lost = !err && (key->status == -ENOENT || key->status == -ENODEV);
	bool early = slot->early;
	bool answer = !a->config.initiator && a->up && slot->session == a->session;

	if (!err)
		err = key->status;
	if (!err && !a->dead)
		err = agree_own_add(a, slot);
	agree_slot_free(slot);
	if (a->dead)
		goto out;
	if (err) {
		put_failed(a, epoch, err);
	} else {
		a->put_failed = false;
		a->failures = 0;
		a->error[0] = '\0';
	}
	if (answer)
		agree_reply(a, epoch, err ? KX_FAILED : KX_OK);
	a->dirty = true;
	if (lost)
		a->ops->lost(a->arg, err);
	else if (err || early)
		agree_own_list(a);
	agree_settle(a);
out:
	agree_release(a);
}

int agree_put_epoch(struct agree_slot *slot)
{
	struct agree *a = slot->agree;
	bool mixed = a->config.combine == CONFIG_COMBINE_QKD_TLS;
	struct derive derive = {
		.channel = a->name,
		.epoch = slot->epoch,
		.cipher = a->config.cipher,
		.combine = a->config.combine,
		.initiator = a->config.initiator,
		.secret = mixed ? slot->secret->session : NULL,
	};
	struct qkd_key *record = secret_alloc(sizeof(*record));
	int err;

	if (!record)
		return -ENOMEM;
	record->channel = a->config.id;
	record->epoch = slot->epoch;
	memcpy(record->key_id, slot->key_id.octet, sizeof(record->key_id));
	err = derive_material(&derive, slot->secret->key, sizeof(slot->secret->key), &record->in,
			      &record->out);
	secret_free(slot->secret);
	slot->secret = NULL;
	if (!err) {
		slot->state = SLOT_PUTTING;
		agree_hold(a);
		err = a->ops->submit(a->arg, QKD_CMD_KEY_PUT, record, put_done, slot);
		if (err)
			agree_release(a);
	}
	secret_free(record);
	return err;
}
