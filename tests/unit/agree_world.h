/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small world for two agrees: two ends with a store, a kernel and a daemon
 * each, a KM link between them, keys that come to both. Time is simulated and
 * everything that waits is delayed at random; daemons can be killed, hosts
 * rebooted, the link cut, the fibre cut, a store lost.
 *
 *   end A                                       end B
 *   daemon: agree -- frames, in order, lost with the link -- agree
 *     |  commands and answers, in order           |
 *   kernel: qkd_epochs (outlives the daemon, not a reboot)
 *   store: next epoch, used keys (outlives both)
 *
 * What must hold whatever happens is asserted at each step.
 */
#ifndef AGREE_WORLD_H
#define AGREE_WORLD_H

#include "km/kx_frame.h"
#include "km/secret.h"
#include "unp/agree.h"
#include "unp/derive.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS	    5
#define EPOCHS_MAX  8192
#define KEYS_MAX    16384
#define KEYS_TARGET 48
#define CHANNEL_ID  7

/** What the channel is, and whether the kernel queues for association numbers. */
enum world_kind {
	WORLD_ESP,
	WORLD_MACSEC,
	WORLD_QUEUE,
};

/* end.used[] */
#define KEY_USED 1
#define KEY_LOST 2 /* with its store */

/* Something on its way: to the kernel, the store, or the peer. */
struct job {
	struct job *next;
	uint64_t act_at;
	uint64_t answer_at;
	bool acted;
	void *arg;
	/* a kernel command, or a list */
	uint32_t cmd;
	__attribute__((aligned(8))) uint8_t record[sizeof(struct qkd_channel)];
	backend_done_fn done;
	backend_list_fn list_done;
	struct qkd_epoch *listed;
	size_t count;
	/* a request to the store */
	pool_key_fn key_done;
	uint64_t epoch;
	uint32_t key;
	bool by_id;
	int err;
	/* an event, or a frame with the boot count of its sender */
	struct qkd_event event;
	uint8_t *octets;
	int len;
	unsigned int boot;
};

struct fifo {
	struct job *first;
	struct job **last;
	uint64_t act_at;
	uint64_t answer_at;
};

/* SAs of one epoch, as the kernel would have them. */
struct sa {
	struct qkd_material in, out;
};

struct world;

struct end {
	struct world *w;
	struct end *peer;
	bool initiator;
	/* store */
	uint64_t store_next;
	uint8_t used[KEYS_MAX];
	/* kernel */
	bool stands;
	unsigned int boot;
	struct qkd_epochs epochs;
	struct qkd_epoch_slot *slot;
	unsigned int activations, exhausted, blocked;
	unsigned int ppm; /* how much faster its clock runs, parts per million */
	/* of all times, for the checks */
	uint8_t put_epoch[EPOCHS_MAX];
	uint8_t put_key[KEYS_MAX];
	uint32_t key_of[EPOCHS_MAX];
	unsigned int puts;
	unsigned int heard_boot; /* peer's boot count when it sent its last state */
	unsigned int told_boot;	 /* the same for the watermark that the kernel has */
	unsigned int out_boot;	 /* the same when the epoch in use was activated */
	/* daemon */
	struct agree *agree;
	uint64_t timer_at;
	bool link_seen;
	uint64_t down_at;			   /* when it notices that the link is down */
	struct fifo kernel, store, events, frames; /* frames: to this end */
	bool lost;
	unsigned int events_lost; /* since the last that came */
};

struct world {
	uint64_t now;
	uint64_t seed;
	struct end a, b;
	struct agree_config config;
	bool link;
	uint64_t session;
	uint32_t keys; /* made so far */
	uint64_t next_key_at;
	unsigned int key_every_ms; /* 0: the fibre is cut */
	unsigned int delay_ms;	   /* longest delay of anything */
	unsigned int missing;	   /* one key in so many is missing at B; 0: none */
	unsigned int failing;	   /* one KEY_PUT in so many fails; 0: none */
	unsigned int storage;	   /* one request to the store in so many fails; 0: none */
	unsigned int lossy;	   /* one event in so many is lost; 0: none */
	unsigned int offers;	   /* frames, counted */
	unsigned int answers[16];  /* by status */
	uint8_t digest_b;	   /* differs from 0: other parameters at B */
	bool slow;		   /* one pool has keys that the other has lost */
};

static inline uint32_t draw(struct world *w, uint32_t n)
{
	w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(w->seed >> 33) % n;
}

/* -------- queues -------- */

static inline struct job *push(struct world *w, struct fifo *f, void *arg)
{
	struct job *job = calloc(1, sizeof(*job));
	uint64_t act = w->now + draw(w, w->delay_ms + 1);

	assert_non_null(job);
	f->act_at = act > f->act_at ? act : f->act_at;
	job->act_at = f->act_at;
	act = job->act_at + draw(w, w->delay_ms + 1);
	f->answer_at = act > f->answer_at ? act : f->answer_at;
	job->answer_at = f->answer_at;
	job->arg = arg;
	if (!f->first)
		f->last = &f->first;
	*f->last = job;
	f->last = &job->next;
	return job;
}

static inline struct job *pop(struct fifo *f)
{
	struct job *job = f->first;

	if (job) {
		f->first = job->next;
		if (!f->first)
			f->last = &f->first;
	}
	return job;
}

static inline void free_job(struct job *job)
{
	free(job->octets);
	free(job->listed);
	free(job);
}

static inline void drop_all(struct fifo *f)
{
	struct job *job;

	while ((job = pop(f)))
		free_job(job);
}

/* -------- for people -------- */

/* For a person who looks into a failure: AGREE_SHOW=1. */
static inline void world_show(const struct world *w)
{
	static const char in[] = "-raGq", out[] = "-RAgQ";
	const struct end *e;
	uint32_t i, k;

	if (!getenv("AGREE_SHOW"))
		return;
	print_message("%8llu keys %u offers %u answers", (unsigned long long)w->now, w->keys,
		      w->offers);
	for (i = 0; i < 9; i++)
		print_message(" %u", w->answers[i]);
	print_message("\n");
	for (k = 0, e = &w->a; k < 2; k++, e = &w->b) {
		const struct qkd_epochs *s = &e->epochs;
		struct agree_status status = {.error = ""};

		if (e->agree)
			agree_status(e->agree, &status);
		print_message("%8llu %c%s state %u out %lld watermark %lld..%lld peer %lld next "
			      "%llu/%llu waits %d '%s':",
			      (unsigned long long)w->now, "AB"[k], w -> link ? "" : " (cut)",
			      s->state, (long long)s->out, (long long)s->peer_first,
			      (long long)s->peer_last, (long long)s->peer_out,
			      (unsigned long long)e->store_next, (unsigned long long)s->next,
			      (int)status.waits, status.error);
		for (i = 0; i < s->count; i++)
			print_message(" %llu%c%c", (unsigned long long)s->slot[i].epoch,
				      in[s->slot[i].in], out[s->slot[i].out]);
		print_message("\n");
	}
}

static inline void trace(const struct end *e, const char *what, unsigned int n, uint64_t x,
			 uint64_t y)
{
	if (getenv("AGREE_TRACE"))
		print_message("%8llu %c %s %x %lld %lld\n", (unsigned long long)e->w->now,
			      e->initiator ? 'A' : 'B', what, n, (long long)x, (long long)y);
}

/* -------- the kernel -------- */

static inline uint64_t kernel_ms(const struct end *e)
{
	return e->w->now + e->w->now * e->ppm / 1000000;
}

static inline void event(struct end *e, enum qkd_event_type type, uint64_t epoch, int err)
{
	struct job *job;

	if (!e->agree)
		return; /* nobody reads */
	if (e->w->lossy && !draw(e->w, e->w->lossy)) {
		e->events_lost++;
		return;
	}
	job = push(e->w, &e->events, NULL);
	job->event = (struct qkd_event){
		.channel = CHANNEL_ID,
		.type = (uint16_t)type,
		.epoch = epoch,
		.error = err,
		.lost = e->events_lost,
	};
	e->events_lost = 0;
}

static inline const struct qkd_epoch_slot *slot_of(const struct end *e, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < e->epochs.count; i++)
		if (e->epochs.slot[i].epoch == epoch)
			return &e->epochs.slot[i];
	return NULL;
}

/* A packet sent now meets its key at the peer: the point of it all. */
static inline void packet_meets_its_key(const struct end *e)
{
	const struct end *p = e->peer;
	const struct qkd_epoch_slot *mine, *theirs;
	const struct sa *out, *in;

	if (!e->stands || e->epochs.out == QKD_EPOCH_NONE || e->out_boot != p->boot)
		return; /* the peer rebooted since: nothing can help */
	mine = slot_of(e, e->epochs.out);
	theirs = p->stands ? slot_of(p, e->epochs.out) : NULL;
	if (!mine || !theirs || theirs->in == QKD_SA_NONE)
		world_show(e->w);
	assert_non_null(mine);
	assert_non_null(theirs);
	assert_int_not_equal(theirs->in, QKD_SA_NONE);
	assert_int_not_equal(theirs->in, QKD_SA_QUEUED);
	out = mine->sa;
	in = theirs->sa;
	assert_memory_equal(&out->out, &in->in, sizeof(out->out));
}

static inline void activated(struct end *e, uint64_t epoch)
{
	trace(e, "activated", 0, epoch, 0);
	e->activations++;
	/* The watermark that allowed it was of this boot of the peer, or of an earlier one. */
	e->out_boot = e->told_boot;
	event(e, QKD_EVENT_ACTIVATED, epoch, 0);
	packet_meets_its_key(e);
}

static inline bool kernel_fails(struct end *e)
{
	return e->w->failing && !draw(e->w, e->w->failing);
}

/* Epochs whose SAs stand have numbers of their own. */
static inline void numbers_are_free(const struct end *e, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < e->epochs.count; i++) {
		const struct qkd_epoch_slot *s = &e->epochs.slot[i];

		if (s->out != QKD_SA_QUEUED && s->epoch != epoch &&
		    (s->in != QKD_SA_NONE || s->out != QKD_SA_NONE))
			assert_int_not_equal(s->epoch % 4, epoch % 4);
	}
}

static inline void kernel_run(struct end *e)
{
	struct qkd_action action;

	while (e->stands && qkd_epochs_next(&e->epochs, kernel_ms(e), &action)) {
		struct sa *sa = action.slot ? action.slot->sa : NULL;
		uint64_t epoch = action.epoch;
		int err = action.type == QKD_ACTION_INSTALL && kernel_fails(e) ? -ENOMEM : 0;

		qkd_epochs_done(&e->epochs, kernel_ms(e), &action, err);
		switch (action.type) {
		case QKD_ACTION_INSTALL:
			numbers_are_free(e, epoch);
			event(e, err ? QKD_EVENT_FAILED : QKD_EVENT_INSTALLED, epoch, err);
			break;
		case QKD_ACTION_ACTIVATE:
			activated(e, epoch);
			break;
		case QKD_ACTION_FORGET:
			secret_free(sa);
			event(e, QKD_EVENT_RETIRED, epoch, 0);
			break;
		case QKD_ACTION_EXHAUSTED:
			e->exhausted++;
			event(e, QKD_EVENT_EXHAUSTED, QKD_EPOCH_NONE, 0);
			break;
		case QKD_ACTION_BLOCK:
			e->blocked++;
			event(e, QKD_EVENT_BLOCKED, epoch, 0);
			break;
		default:
			break;
		}
	}
}

static inline uint32_t key_of_id(const uint8_t id[QKD_KEY_ID_BYTES])
{
	return (uint32_t)id[12] << 24 | (uint32_t)id[13] << 16 | (uint32_t)id[14] << 8 | id[15];
}

static inline struct km_key make_key(uint32_t n)
{
	struct km_key key = {.simulated = n % 2};
	unsigned int i;

	for (i = 0; i < 4; i++)
		key.id.octet[12 + i] = (uint8_t)(n >> (24 - 8 * i));
	for (i = 0; i < sizeof(key.value); i++)
		key.value[i] = (uint8_t)(n * 31 + i * 7 + 1);
	return key;
}

/* Invariant 1 and 2: no epoch and no key comes to this end's kernel twice. */
static inline void put_once(struct end *e, uint64_t epoch, uint32_t key)
{
	const struct end *p = e->peer;

	assert_true(epoch < EPOCHS_MAX && key < KEYS_MAX);
	assert_int_equal(e->put_epoch[epoch], 0);
	assert_int_equal(e->put_key[key], 0);
	e->put_epoch[epoch] = 1;
	e->put_key[key] = 1;
	e->key_of[epoch] = key;
	e->puts++;
	if (p->put_epoch[epoch])
		assert_int_equal(p->key_of[epoch], key);
	if (p->put_key[key])
		assert_int_equal(p->key_of[epoch], key);
}

/* Some number that both ends have. */
static inline uint32_t jitter_of(const struct qkd_key *key)
{
	return key_of_id(key->key_id) * 2654435761U >> 8;
}

/* All between it and the last one failed, which the daemon had not heard of yet. */
static inline bool never_leaves_the_queue(const struct end *e, uint64_t epoch)
{
	const struct qkd_epochs *s = &e->epochs;

	return e->w->config.queue && s->count && s->slot[s->count - 1].epoch % 4 == epoch % 4;
}

static inline int put_key(struct end *e, const struct qkd_key *key)
{
	int err = qkd_epochs_may_put(&e->epochs, key->epoch);
	struct sa *sa;
	bool queue;

	/* In normal running the daemon asks for no more than there is room for. */
	if (!never_leaves_the_queue(e, key->epoch))
		assert_int_not_equal(err, -ENOBUFS);
	if (err)
		return err;
	put_once(e, key->epoch, key_of_id(key->key_id));
	if (kernel_fails(e)) {
		qkd_epochs_spend(&e->epochs, key->epoch);
		event(e, QKD_EVENT_FAILED, key->epoch, -ENOMEM);
		return -ENOMEM;
	}
	sa = secret_alloc(sizeof(*sa));
	assert_non_null(sa);
	sa->in = key->in;
	sa->out = key->out;
	queue = qkd_epochs_must_queue(&e->epochs, key->epoch);
	assert_true(!queue || e->w->config.queue);
	qkd_epochs_put(&e->epochs, key->epoch, jitter_of(key), sa);
	if (!queue)
		event(e, QKD_EVENT_INSTALLED, key->epoch, 0);
	return 0;
}

static inline int set_watermark(struct end *e, const struct qkd_watermark *r)
{
	uint64_t before = e->epochs.peer_out;
	int err = qkd_epochs_watermark(&e->epochs, kernel_ms(e), r->first, r->last, r->peer_out,
				       r->flags & QKD_WATERMARK_NONE);

	assert_int_equal(err, 0);
	if (r->peer_out != QKD_EPOCH_NONE && r->peer_out != before)
		event(e, QKD_EVENT_PEER_MOVED, r->peer_out, 0);
	return 0;
}

static inline void list_epochs(struct end *e, struct job *job)
{
	uint32_t i;

	job->listed = calloc(e->epochs.count + 1, sizeof(*job->listed));
	assert_non_null(job->listed);
	job->count = e->epochs.count;
	for (i = 0; i < e->epochs.count; i++) {
		job->listed[i].channel = CHANNEL_ID;
		job->listed[i].epoch = e->epochs.slot[i].epoch;
		job->listed[i].in = e->epochs.slot[i].in;
		job->listed[i].out = e->epochs.slot[i].out;
	}
}

static inline void kernel_act(struct end *e, struct job *job)
{
	int32_t *status = (int32_t *)job->record;

	job->acted = true;
	trace(e, "command", job->cmd & 0xff, ((const struct qkd_retire *)job->record)->epoch,
	      ((const struct qkd_watermark *)job->record)->last);
	switch (job->cmd) {
	case QKD_CMD_KEY_PUT:
		*status = put_key(e, (const struct qkd_key *)job->record);
		memset(job->record + 16, 0, sizeof(struct qkd_key) - 16);
		break;
	case QKD_CMD_WATERMARK:
		e->told_boot = job->boot;
		*status = set_watermark(e, (const struct qkd_watermark *)job->record);
		break;
	case QKD_CMD_ROLLOVER:
		*status = qkd_epochs_force(&e->epochs);
		break;
	case QKD_CMD_RETIRE:
		*status = qkd_epochs_retire(&e->epochs, kernel_ms(e),
					    ((const struct qkd_retire *)job->record)->epoch);
		break;
	case QKD_CMD_EPOCH_LIST:
		list_epochs(e, job);
		break;
	default:
		fail();
	}
	kernel_run(e);
}

/* -------- the store -------- */

static inline bool has_key(const struct end *e, uint32_t key)
{
	unsigned int missing = e->w->missing;

	if (key >= e->w->keys || e->used[key])
		return false;
	return e->initiator || !missing || key * 2654435761U % missing;
}

static inline void store_act(struct end *e, struct job *job)
{
	struct world *w = e->w;

	job->acted = true;
	if (w->storage && !draw(w, w->storage)) {
		job->err = -ENOSPC;
		return;
	}
	if (!job->by_id) {
		for (job->key = 0; job->key < w->keys && !has_key(e, job->key); job->key++)
			;
		if (job->epoch < e->store_next)
			job->epoch = e->store_next;
	} else if (job->epoch < e->store_next || e->used[job->key] == KEY_USED) {
		job->err = -ESTALE;
		return;
	}
	if (!has_key(e, job->key)) {
		job->err = -ENOKEY;
		return;
	}
	e->used[job->key] = KEY_USED;
	e->store_next = job->epoch + 1;
}

/* -------- what agree asks for -------- */

static inline int op_send(void *arg, const struct kx_frame *frame)
{
	uint8_t octets[KX_HEADER_BYTES + KX_PAYLOAD_MAX];
	struct end *e = arg;
	struct world *w = e->w;
	int len = kx_frame_encode(frame, octets, sizeof(octets));
	struct job *job;

	assert_true(len > 0);
	if (!e->link_seen)
		return -ENOTCONN;
	if (!w->link)
		return 0; /* into the void: it has not noticed yet */
	w->offers += frame->type == KX_EPOCH_OFFER;
	if (frame->type == KX_EPOCH_ANSWER)
		w->answers[frame->answer.status]++;
	job = push(w, &e->peer->frames, NULL);
	job->octets = malloc((size_t)len);
	assert_non_null(job->octets);
	memcpy(job->octets, octets, (size_t)len);
	job->len = len;
	job->boot = e->boot;
	return 0;
}

static inline int op_secret(void *arg, const void *context, size_t len, uint8_t secret[32])
{
	const struct end *e = arg;
	const uint8_t *p = context;
	size_t i;

	if (!e->link_seen)
		return -ENOTCONN;
	memset(secret, (int)(e->w->session % 251) + 1, 32);
	for (i = 0; i < len; i++)
		secret[i % 32] = (uint8_t)(secret[i % 32] * 3 + p[i]);
	return 0;
}

static inline int op_take(void *arg, uint64_t min_epoch, pool_key_fn done, void *done_arg)
{
	struct end *e = arg;
	struct job *job = push(e->w, &e->store, done_arg);

	assert_true(e->initiator);
	job->key_done = done;
	job->epoch = min_epoch;
	return 0;
}

static inline int op_take_id(void *arg, uint64_t epoch, const struct km_key_id *id,
			     pool_key_fn done, void *done_arg)
{
	struct end *e = arg;
	struct job *job = push(e->w, &e->store, done_arg);

	assert_false(e->initiator);
	job->key_done = done;
	job->by_id = true;
	job->epoch = epoch;
	job->key = key_of_id(id->octet);
	return 0;
}

static inline int op_submit(void *arg, uint32_t cmd, const void *record, backend_done_fn done,
			    void *done_arg)
{
	struct end *e = arg;
	struct job *job = push(e->w, &e->kernel, done_arg);

	job->cmd = cmd;
	job->done = done;
	job->boot = e->heard_boot;
	memcpy(job->record, record, _IOC_SIZE(cmd));
	return 0;
}

static inline int op_list(void *arg, backend_list_fn done, void *done_arg)
{
	struct end *e = arg;
	struct job *job = push(e->w, &e->kernel, done_arg);

	job->cmd = QKD_CMD_EPOCH_LIST;
	job->list_done = done;
	return 0;
}

static inline uint64_t op_now_ms(void *arg)
{
	const struct end *e = arg;

	return e->w->now;
}

static inline void op_timer(void *arg, uint64_t delay_ms)
{
	struct end *e = arg;

	e->timer_at = e->w->now + delay_ms;
}

static inline void op_lost(void *arg, int err)
{
	struct end *e = arg;

	e->lost = true;
}

static inline void op_event(void *arg, const char *type, uint64_t epoch, const char *text)
{
	assert_non_null(type);
}

static const struct agree_ops world_ops = {
	.send = op_send,
	.secret = op_secret,
	.take = op_take,
	.take_id = op_take_id,
	.submit = op_submit,
	.list = op_list,
	.now_ms = op_now_ms,
	.timer = op_timer,
	.lost = op_lost,
	.event = op_event,
};

/* -------- daemons and hosts -------- */

static inline void answer(struct end *e, struct job *job, int lost)
{
	int err = lost ? lost : job->err;

	if (job->key_done) {
		struct km_key key = make_key(job->key);

		job->key_done(job->arg, err, job->epoch, err ? NULL : &key);
	} else if (job->list_done) {
		job->list_done(job->arg, err, err ? NULL : job->listed, err ? 0 : job->count);
	} else if (job->done) {
		job->done(job->arg, err, err ? NULL : job->record);
	}
}

/* What was on its way takes effect up to some point, and is answered to nobody. */
static inline void cut_off(struct end *e, struct fifo *f, void (*act)(struct end *e, struct job *))
{
	unsigned int more = draw(e->w, 4);
	struct job *job;

	while ((job = pop(f))) {
		if (!job->acted && more && e->stands) {
			more--;
			act(e, job);
		}
		answer(e, job, -ECANCELED); /* only frees what the dead agree holds */
		free_job(job);
	}
	f->act_at = 0;
	f->answer_at = 0;
}

static inline void world_link(struct world *w, bool up);

static inline void world_kill(struct end *e)
{
	struct agree *agree = e->agree;

	if (!agree)
		return;
	trace(e, "killed", 0, 0, 0);
	e->agree = NULL;
	e->link_seen = false;
	if (e->w->link)
		world_link(e->w, false);
	agree_destroy(agree);
	cut_off(e, &e->store, store_act);
	cut_off(e, &e->kernel, kernel_act);
	drop_all(&e->events);
	drop_all(&e->frames);
	e->timer_at = UINT64_MAX;
	e->down_at = 0;
	e->events_lost = 0;
}

static inline void empty_kernel(struct end *e)
{
	uint32_t i;

	for (i = 0; i < e->epochs.count; i++)
		secret_free(e->slot[i].sa);
	free(e->slot);
	e->slot = NULL;
	memset(&e->epochs, 0, sizeof(e->epochs));
	e->epochs.out = QKD_EPOCH_NONE;
	e->stands = false;
}

static inline void world_reboot(struct end *e)
{
	world_kill(e);
	empty_kernel(e);
	e->boot++;
	trace(e, "rebooted", e->boot, 0, 0);
}

/* With its keys: the store comes back empty, the keys made so far are not in it. */
static inline void world_lose_store(struct end *e)
{
	world_kill(e);
	e->store_next = 0;
	memset(e->used, KEY_LOST, e->w->keys);
	e->w->slow = true;
}

static inline void add_channel(struct end *e)
{
	const struct qkd_epochs_config *config = &e->w->config.epochs;
	uint32_t capacity = qkd_epochs_capacity(config);

	e->slot = calloc(capacity, sizeof(*e->slot));
	assert_non_null(e->slot);
	qkd_epochs_init(&e->epochs, config, e->slot, capacity, e->store_next);
	e->stands = true;
}

static inline void world_start(struct end *e)
{
	struct agree_config config = e->w->config;

	if (e->agree)
		return;
	if (!e->stands)
		add_channel(e);
	config.initiator = e->initiator;
	config.next = e->store_next > e->epochs.next ? e->store_next : e->epochs.next;
	if (!e->initiator)
		config.digest[0] ^= e->w->digest_b;
	assert_int_equal(agree_create(&config, &world_ops, e, false, &e->agree), 0);
}

/* -------- the link -------- */

static inline void up_at(struct end *e)
{
	e->link_seen = true;
	agree_link_up(e->agree);
}

/* Up when both daemons run and have noticed that it was down. */
static inline bool link_can_rise(const struct world *w)
{
	return w->a.agree && w->b.agree && !w->a.link_seen && !w->b.link_seen;
}

static inline void world_link(struct world *w, bool up)
{
	struct end *e;
	int i;

	if (up == w->link || (up && !link_can_rise(w)))
		return;
	w->link = up;
	if (up) {
		w->session++;
		up_at(&w->a);
		up_at(&w->b);
		return;
	}
	for (i = 0, e = &w->a; i < 2; i++, e = &w->b) {
		/* Some of what was sent still arrives, then it notices. */
		if (e->agree)
			e->down_at = w->now + draw(w, 4 * w->delay_ms + 1);
	}
}

static inline void notice_down(struct end *e)
{
	drop_all(&e->frames);
	e->frames.act_at = 0;
	e->frames.answer_at = 0;
	e->down_at = 0;
	if (!e->link_seen)
		return;
	e->link_seen = false;
	agree_link_down(e->agree);
}

/* -------- time -------- */

static inline void deliver_frame(struct end *e, struct job *job)
{
	struct kx_header header;
	struct kx_frame *frame = calloc(1, sizeof(*frame));
	char error[256] = "";

	assert_non_null(frame);
	assert_int_equal(kx_header_decode(job->octets, &header), 0);
	if (kx_frame_decode(&header, job->octets + KX_HEADER_BYTES, frame, error, sizeof(error)))
		fail_msg("a frame is refused: %s", error);
	if (frame->type == KX_CHANNEL_STATE)
		e->heard_boot = job->boot;
	if (frame->type == KX_CHANNEL_STATE)
		trace(e, "peer settled, out, first", frame->state.count, frame->state.settled,
		      (int64_t)frame->state.out * 100000 +
			      (frame->state.count ? (int64_t)frame->state.epoch[0] : -1));
	else
		trace(e, "frame", frame->type, frame->offer.epoch, 0);
	assert_int_equal(agree_frame(e->agree, frame), 0);
	free(frame);
}

static inline void run_fifo(struct end *e, struct fifo *f,
			    void (*act)(struct end *e, struct job *job))
{
	struct job *job;

	for (job = f->first; job && job->act_at <= e->w->now; job = job->next)
		if (!job->acted)
			act(e, job);
	while (f->first && f->first->acted && f->first->answer_at <= e->w->now) {
		job = pop(f);
		answer(e, job, 0);
		free_job(job);
	}
}

static inline void run_daemon(struct end *e)
{
	struct world *w = e->w;
	struct job *job;

	run_fifo(e, &e->store, store_act);
	run_fifo(e, &e->kernel, kernel_act);
	while (e->events.first && e->events.first->act_at <= w->now) {
		job = pop(&e->events);
		if (job->event.lost)
			agree_resync(e->agree);
		agree_backend_event(e->agree, &job->event);
		free_job(job);
	}
	while (e->link_seen && e->frames.first && e->frames.first->act_at <= w->now) {
		job = pop(&e->frames);
		deliver_frame(e, job);
		free_job(job);
	}
	if (e->down_at && w->now >= e->down_at)
		notice_down(e);
	if (w->now >= e->timer_at) {
		e->timer_at = UINT64_MAX;
		agree_tick(e->agree);
	}
	assert_false(e->lost);
}

/* Pools are kept at some size, as keys_target has it. */
static inline void make_one_key(struct world *w)
{
	uint32_t unused = 0, i;

	for (i = 0; i < w->keys; i++)
		unused += !w->a.used[i];
	if (unused >= KEYS_TARGET)
		return;
	w->keys++;
	assert_true(w->keys < KEYS_MAX);
	if (w->a.agree)
		agree_keys_ready(w->a.agree);
}

static inline void step(struct world *w)
{
	struct end *e;
	int i;

	w->now += STEP_MS;
	while (w->key_every_ms && w->now >= w->next_key_at) {
		w->next_key_at += w->key_every_ms;
		make_one_key(w);
	}
	if (!w->key_every_ms)
		w->next_key_at = w->now;
	for (i = 0, e = &w->a; i < 2; i++, e = &w->b) {
		/* The counters, read each second, tell of lost events too. */
		if (e->agree && e->events_lost && w->now % 1000 == 0)
			agree_resync(e->agree);
		if (e->agree)
			run_daemon(e);
		kernel_run(e);
	}
	packet_meets_its_key(&w->a);
	packet_meets_its_key(&w->b);
}

static inline void world_run(struct world *w, uint64_t ms)
{
	uint64_t end = w->now + ms;

	while (w->now < end)
		step(w);
}

/* -------- life -------- */

static inline void begin_end(struct world *w, struct end *e, struct end *peer, bool initiator)
{
	e->w = w;
	e->peer = peer;
	e->initiator = initiator;
	e->epochs.out = QKD_EPOCH_NONE;
	e->timer_at = UINT64_MAX;
}

static inline struct world *world_begin(uint64_t seed, enum world_kind kind)
{
	static const uint32_t wanted[] = {3, 2, 12}, lookahead[] = {4, 2, 13};
	bool macsec = kind != WORLD_ESP;
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->seed = seed;
	w->now = 1000;
	w->keys = KEYS_TARGET;
	w->key_every_ms = 200;
	w->next_key_at = w->now;
	w->delay_ms = 20;
	w->config = (struct agree_config){
		.name = "office",
		.id = CHANNEL_ID,
		.combine = seed % 2 ? CONFIG_COMBINE_QKD_TLS : CONFIG_COMBINE_QKD,
		.kind = macsec ? QKD_KIND_MACSEC : QKD_KIND_ESP_TUNNEL,
		.cipher = macsec ? QKD_CIPHER_GCM_AES_XPN_256 : QKD_CIPHER_AES_256_GCM,
		.wanted = wanted[kind],
		.queue = kind == WORLD_QUEUE,
		.epochs =
			{
				.lookahead = lookahead[kind],
				.rollover_ms = 1000,
				.grace_ms = 300,
				.on_exhausted = QKD_EXHAUSTED_HOLD,
				.an_count = macsec ? 4 : 0,
			},
		.digest = "0123456789abcde",
	};
	begin_end(w, &w->a, &w->b, true);
	begin_end(w, &w->b, &w->a, false);
	return w;
}

static inline void world_end(struct world *w)
{
	world_kill(&w->a);
	world_kill(&w->b);
	empty_kernel(&w->a);
	empty_kernel(&w->b);
	free(w);
}

/* Runs on without trouble: both ends roll over again, on time, in step. */
static inline void world_converges(struct world *w)
{
	unsigned int a, b, late_a, late_b;

	w->failing = 0;
	w->lossy = 0;
	w->storage = 0;
	w->missing = 0;
	if (!w->key_every_ms)
		w->key_every_ms = 200;
	world_start(&w->a);
	world_start(&w->b);
	world_run(w, 500);
	world_show(w);
	world_link(w, true);
	assert_true(w->link);
	world_run(w, w->slow ? 120000 : 15000);
	world_show(w);
	a = w->a.activations;
	b = w->b.activations;
	late_a = w->a.exhausted;
	late_b = w->b.exhausted;
	world_run(w, 10000);
	world_show(w);
	assert_in_range(w->a.activations - a, 9, 12);
	assert_in_range(w->b.activations - b, 9, 12);
	assert_int_equal(w->a.exhausted, late_a);
	assert_int_equal(w->b.exhausted, late_b);
	assert_int_equal(w->a.epochs.state, QKD_CHANNEL_ACTIVE);
	assert_int_equal(w->b.epochs.state, QKD_CHANNEL_ACTIVE);
	/* Each end may be one ahead. */
	assert_in_range(w->a.epochs.out + 1, w->b.epochs.out, w->b.epochs.out + 2);
	assert_int_equal(w->a.out_boot, w->b.boot);
	assert_int_equal(w->b.out_boot, w->a.boot);
}

#endif
