// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module's record checks, and what accepted records do to a channel's
 * epochs. The first octet chooses the record; what follows is the record, then
 * steps for the epochs. A record that passes must keep the promises that the
 * module relies on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../kmod/record.c"
#include "epochs.h"

#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

struct input {
	const uint8_t *data;
	size_t left;
};

/* Takes @len octets, zeros where the input ends. */
static void take(struct input *in, void *to, size_t len)
{
	size_t n = len < in->left ? len : in->left;

	memset(to, 0, len);
	memcpy(to, in->data, n);
	in->data += n;
	in->left -= n;
}

static void check_promises(const struct qkd_channel *r)
{
	bool macsec = r->kind == QKD_KIND_MACSEC;

	require(r->id && r->kind >= QKD_KIND_ESP_TUNNEL && r->kind <= QKD_KIND_MACSEC);
	require(r->lookahead &&
		r->lookahead <= (macsec ? QKD_MAX_LOOKAHEAD_MACSEC : QKD_MAX_LOOKAHEAD));
	require(r->rollover_ms >= 100 && r->grace_ms >= 100 && r->grace_ms <= 60000);
	require(r->on_exhausted == QKD_EXHAUSTED_HOLD || r->on_exhausted == QKD_EXHAUSTED_BLOCK);
	require(memchr(r->name, 0, sizeof(r->name)) && !r->state);
	require(macsec || r->family == AF_INET || r->family == AF_INET6);
	require(macsec || (r->reqid && memcmp(r->local, r->remote, sizeof(r->local)) != 0));
	require(!macsec || (r->ifindex > 0 && r->grace_ms < r->rollover_ms));
}

static void check_epochs(const struct qkd_epochs *e, u64 out_before)
{
	u32 i;

	require(e->count <= e->capacity && qkd_epochs_ready(e) <= e->config.lookahead);
	require(e->out == QKD_EPOCH_NONE || out_before == QKD_EPOCH_NONE || e->out >= out_before);
	for (i = 0; i < e->count; i++) {
		require(e->slot[i].epoch < e->next);
		require(!i || e->slot[i].epoch > e->slot[i - 1].epoch);
		require((e->slot[i].out == QKD_SA_ACTIVE) == (e->slot[i].epoch == e->out));
	}
}

/* Does what is due; it must come to an end. */
static void run(struct qkd_epochs *e, u64 now, bool fail)
{
	struct qkd_action a;
	u32 steps = 0;

	while (qkd_epochs_next(e, now, &a)) {
		require(steps++ <= 8 * e->capacity + 8);
		if (a.type == QKD_ACTION_ACTIVATE)
			require(a.epoch >= e->peer_first && a.epoch <= e->peer_last);
		qkd_epochs_done(e, now, &a, fail ? -EIO : 0);
	}
	require(qkd_epochs_deadline(e) > now);
}

static void step(struct qkd_epochs *e, u64 *now, struct input *in)
{
	struct {
		uint8_t op, a, b, c;
	} s;
	u64 before = e->out, base = e->next;

	take(in, &s, sizeof(s));
	switch (s.op & 7) {
	case 0:
	case 1:
		if (!qkd_epochs_may_put(e, base + s.a % 4))
			qkd_epochs_put(e, base + s.a % 4, s.b, NULL);
		break;
	case 2:
	case 3: /* around what has been put, or anything */
		base -= base < 8 ? base : 8;
		qkd_epochs_watermark(e, *now, base + s.a % 16, base + s.b % 16,
				     s.c & 0x80 ? QKD_EPOCH_NONE : base + s.c % 16, s.c == 0x7f);
		break;
	case 4:
		qkd_epochs_force(e);
		break;
	case 5:
		qkd_epochs_retire(e, *now, base - s.a % 16);
		break;
	case 6:
		qkd_epochs_spend(e, base + s.a);
		break;
	default:
		*now += (u64)s.a << (s.b % 16);
	}
	run(e, *now, s.op & 0x80);
	check_epochs(e, before);
}

static void live(const struct qkd_channel *r, struct input *in)
{
	const struct qkd_epochs_config config = {
		.lookahead = r->lookahead,
		.rollover_ms = r->rollover_ms,
		.grace_ms = r->grace_ms,
		.hard_ms = r->hard_ms,
		.on_exhausted = r->on_exhausted,
		.an_count = r->kind == QKD_KIND_MACSEC ? QKD_MACSEC_ANS : 0,
	};
	u32 capacity = qkd_epochs_capacity(&config);
	struct qkd_epoch_slot *slot = calloc(capacity, sizeof(*slot));
	struct qkd_epochs e;
	u64 now = 1;

	require(slot);
	qkd_epochs_init(&e, &config, slot, capacity, r->first_epoch);
	while (in->left)
		step(&e, &now, in);
	free(slot);
}

static void channel(struct input *in)
{
	struct qkd_channel r;

	take(in, &r, sizeof(r));
	qkd_record_check_channel_delete(&r);
	qkd_record_check_channel_list(&r);
	if (qkd_record_check_channel_add(&r))
		return;
	check_promises(&r);
	live(&r, in);
}

static void key(struct input *in)
{
	static const uint8_t none[QKD_KEY_BYTES];
	struct qkd_key r;

	take(in, &r, sizeof(r));
	if (qkd_record_check_key(&r))
		return;
	require(memcmp(r.in.key, none, sizeof(none)) != 0);
	require(memcmp(r.out.key, none, sizeof(none)) != 0);
	require(memcmp(r.in.key, r.out.key, sizeof(none)) != 0);
	if (!qkd_record_check_salt(&r, QKD_CIPHER_AES_256_GCM))
		require(!memcmp(r.in.salt + QKD_ESP_SALT_BYTES, none,
				QKD_SALT_BYTES - QKD_ESP_SALT_BYTES));
}

static void the_rest(struct input *in)
{
	union {
		struct qkd_hello hello;
		struct qkd_watermark watermark;
		struct qkd_rollover rollover;
		struct qkd_retire retire;
		struct qkd_counters counters;
		struct qkd_epoch epoch;
	} r;

	take(in, &r, sizeof(r));
	qkd_record_check_hello(&r.hello);
	qkd_record_check_watermark(&r.watermark);
	qkd_record_check_rollover(&r.rollover);
	qkd_record_check_retire(&r.retire);
	qkd_record_check_counters(&r.counters);
	qkd_record_check_epoch_list(&r.epoch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.data = data, .left = size};
	uint8_t which;

	take(&in, &which, 1);
	switch (which % 3) {
	case 0:
		channel(&in);
		break;
	case 1:
		key(&in);
		break;
	default:
		the_rest(&in);
	}
	return 0;
}
