// SPDX-License-Identifier: GPL-2.0-or-later
/* One channel: its life and how it attaches; see channel.h. */
#include "unp/channel.h"
#include "km/backoff.h"
#include "log.h"
#include "unp/mark.h"
#include "unp/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------- what agree needs of the world -------- */

static int op_send(void *arg, const struct kx_frame *frame)
{
	struct channel *c = arg;

	return kx_send(c->peer, frame);
}

static int op_secret(void *arg, const void *context, size_t len, uint8_t secret[32])
{
	struct channel *c = arg;

	return kx_session_secret(c->peer, context, len, secret);
}

static int op_take(void *arg, uint64_t min_epoch, pool_key_fn done, void *done_arg)
{
	struct channel *c = arg;

	return pool_take(c->pool, c->config->name, min_epoch, done, done_arg);
}

static int op_take_id(void *arg, uint64_t epoch, const struct km_key_id *id, pool_key_fn done,
		      void *done_arg)
{
	struct channel *c = arg;

	return pool_take_id(c->pool, c->config->name, epoch, id, done, done_arg);
}

static int op_submit(void *arg, uint32_t cmd, const void *record, backend_done_fn done,
		     void *done_arg)
{
	struct channel *c = arg;

	return c->env->backend ? backend_submit(c->env->backend, cmd, record, done, done_arg)
			       : -ENODEV;
}

static int op_list(void *arg, backend_list_fn done, void *done_arg)
{
	struct channel *c = arg;

	return c->env->backend ? backend_list_epochs(c->env->backend, c->record.id, done, done_arg)
			       : -ENODEV;
}

static uint64_t op_now_ms(void *arg)
{
	struct channel *c = arg;

	return loop_now_ms(c->env->loop);
}

static void op_timer(void *arg, uint64_t delay_ms)
{
	struct channel *c = arg;

	if (loop_timer_set(c->env->loop, &c->tick, delay_ms))
		log_err("channel %s: out of memory for a timer", c->config->name);
}

static void op_event(void *arg, const char *type, uint64_t epoch, const char *text)
{
	channel_emit(arg, type, epoch, text);
}

static void op_lost(void *arg, int err)
{
	struct channel *c = arg;

	c->device_gone = err == -ENODEV;
	channel_detach(c, c->device_gone
				  ? "its macsec device has gone; it is added again with a new one"
				  : "the channel is gone from the kernel; it is added again");
}

static const struct agree_ops ops = {
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

/* -------- life -------- */

static void tick_fired(void *arg)
{
	struct channel *c = arg;

	if (c->agree)
		agree_tick(c->agree);
}

static void retry_fired(void *arg)
{
	channel_start(arg);
}

struct channel *channel_create(struct channel_env *env, struct config_channel *config,
			       bool from_file, struct pool *pool)
{
	const struct config_link *link = config_find_link(env->config, config->link);
	struct channel *c = calloc(1, sizeof(*c));

	if (!c || !link) {
		free(c);
		return NULL;
	}
	c->refs = 1;
	c->env = env;
	c->config = config;
	c->from_file = from_file;
	c->link = link;
	c->peer = kx_find(env->kx, link->peer);
	c->pool = pool;
	c->tick.fire = tick_fired;
	c->tick.arg = c;
	c->retry.fire = retry_fired;
	c->retry.arg = c;
	c->counters.out_epoch = QKD_EPOCH_NONE;
	c->counters.in_first = QKD_EPOCH_NONE;
	c->counters.in_last = QKD_EPOCH_NONE;
	c->counters.peer_first = QKD_EPOCH_NONE;
	c->counters.peer_last = QKD_EPOCH_NONE;
	return c;
}

void channel_hold(struct channel *c)
{
	c->refs++;
}

/* Not inlined: GCC 12 then takes the put of a hold that failed for the last one. */
__attribute__((noinline)) void channel_put(struct channel *c)
{
	if (--c->refs)
		return;
	if (!c->from_file)
		config_channel_free(c->config);
	free(c->spec);
	free(c);
}

void channel_stop_agree(struct channel *c)
{
	agree_destroy(c->agree);
	c->agree = NULL;
	loop_timer_cancel(c->env->loop, &c->tick);
}

void channel_release(struct channel *c)
{
	c->gone = true;
	channel_stop_agree(c);
	loop_timer_cancel(c->env->loop, &c->retry);
	channel_put(c);
}

void channel_tell(struct channel *c, int err, const char *text)
{
	channels_done_fn done = c->done;

	c->done = NULL;
	if (done)
		done(c->done_arg, err, text);
}

/* -------- attaching -------- */

static void not_yet(struct channel *c, const char *text)
{
	char told[448];

	snprintf(c->error, sizeof(c->error), "%s", *text ? text : "it has not answered yet");
	snprintf(told, sizeof(told), "it is configured, but not in the kernel yet: %s", c->error);
	channel_tell(c, 0, told);
}

static void retry_after(struct channel *c, uint64_t delay_ms, const char *text)
{
	if (strcmp(text, c->error))
		log_warn("channel %s: %s", c->config->name, text);
	c->phase = c->phase == CHANNEL_NEW ? CHANNEL_NEW : CHANNEL_DOWN;
	if (loop_timer_set(c->env->loop, &c->retry, delay_ms))
		log_err("channel %s: out of memory for a timer", c->config->name);
	not_yet(c, text);
}

void channel_attach_failed(struct channel *c, const char *text)
{
	retry_after(c, CHANNEL_RETRY_MS, text);
}

/* No policy may be missing for longer than it must. */
static void prepare_failed(struct channel *c, int err, const char *text)
{
	if (err == -EAGAIN)
		retry_after(c,
			    km_backoff_ms(++c->failures, CHANNEL_RETRY_SOON_MS, CHANNEL_RETRY_MS),
			    text);
	else
		channel_attach_failed(c, text);
}

static int begin_agree(struct channel *c)
{
	const struct qkd_channel *r = &c->record;
	struct agree_config config = {
		.name = c->config->name,
		.id = r->id,
		.initiator = c->link->role == CONFIG_INITIATOR,
		.combine = c->config->combine,
		.kind = c->config->kind,
		.cipher = c->config->cipher,
		.wanted = c->config->lookahead < r->lookahead ? c->config->lookahead : r->lookahead,
		.epochs = qkd_epochs_config_of(r),
		.next = r->first_epoch,
	};

	config.queue = config.epochs.an_count &&
		       backend_hello(c->env->backend)->features & QKD_FEATURE_QUEUE;
	memcpy(config.digest, c->digest, sizeof(config.digest));
	return agree_create(&config, &ops, c, kx_peer_up(c->peer), &c->agree);
}

/* Now that the number is surely ours: what the channel had before it was changed. */
static void tidy_policies(struct channel *c)
{
	char error[256] = "";

	if (channel_is_esp(c) && policy_tidy(c->record.reqid, error, sizeof(error)))
		log_warn("channel %s: policies of before stay: %s", c->config->name, error);
}

static void stands(struct channel *c)
{
	int err;

	tidy_policies(c);
	err = begin_agree(c);
	if (err) {
		channel_attach_failed(c, strerror(-err));
		return;
	}
	c->phase = CHANNEL_STANDS;
	c->device_gone = false;
	c->error[0] = '\0';
	channel_count(c);
	channel_tell(c, 0, NULL);
}

static const char *explain_add(int err)
{
	switch (err) {
	case -EEXIST:
		return "the kernel has a channel of this number already";
	case -ENOSPC:
		return "the kernel takes no more channels";
	case -ENODEV:
		return "the macsec device is gone";
	case -EOPNOTSUPP:
		return "this kernel has not got the cipher or the kind of channel";
	default:
		return strerror(-err);
	}
}

static void added(void *arg, int err, const void *record)
{
	struct channel *c = arg;
	const struct qkd_channel *r = record;
	char text[160];

	if (!err)
		err = r->status;
	if (c->gone || c->phase != CHANNEL_ATTACHING)
		goto out;
	if (!err) {
		c->state = QKD_CHANNEL_IDLE;
		stands(c);
		goto out;
	}
	snprintf(text, sizeof(text), "the kernel refused the channel: %s", explain_add(err));
	channel_attach_failed(c, text);
out:
	channel_put(c);
}

static void deleted_old(void *arg, int err, const void *record)
{
	channel_put(arg);
}

/*
 * What stands under our name but is not the channel that is configured: it was
 * changed, the store is new, or its device is no more. Its epochs stay spent.
 */
static int delete_old(struct channel *c, const struct qkd_channel *standing)
{
	struct qkd_channel old = {.id = standing->id};
	int err;

	log_warn("channel %s: the kernel has %.31s (number %u) with %s: it is replaced",
		 c->config->name, standing->name, standing->id,
		 c->device_gone ? "a device that has gone" : "other parameters");
	channel_hold(c);
	err = backend_submit(c->env->backend, QKD_CMD_CHANNEL_DELETE, &old, deleted_old, c);
	if (err)
		channel_put(c);
	else
		standing_forget(c->env->standing, old.id);
	return err;
}

static bool same_name(const struct channel *c, const struct qkd_channel *standing)
{
	return !strncmp(standing->name, c->record.name, sizeof(standing->name));
}

static void add(struct channel *c)
{
	int err;

	channel_hold(c);
	err = backend_submit(c->env->backend, QKD_CMD_CHANNEL_ADD, &c->record, added, c);
	if (!err)
		return;
	channel_attach_failed(c, strerror(-err));
	channel_put(c);
}

static void marks_came(void *arg, int err, bool simulated)
{
	struct channel *c = arg;

	if (err && err != -ECANCELED)
		log_warn("channel %s: whether its keys are simulated cannot be read: %s",
			 c->config->name, strerror(-err));
	c->found_known = !err;
	c->found_simulated = simulated;
	channel_put(c);
}

/* What stands was put by an earlier process: the store has its keys' marks. */
static void read_marks(struct channel *c)
{
	c->found_known = false;
	channel_hold(c);
	if (mark_ask(c->env->backend, c->env->store, c->record.id, c->config->link, marks_came, c))
		channel_put(c);
}

/*
 * The store is new and numbers anew: our number is another channel's still,
 * whose SAs are not ours to take down. One that is configured moves to its own
 * number by itself.
 */
static void number_is_taken(struct channel *c, const struct qkd_channel *by)
{
	char name[QKD_NAME_BYTES], text[256];

	c->number_taken = true;
	snprintf(name, sizeof(name), "%.*s", (int)sizeof(name) - 1, by->name);
	if (c->env->knows(c->env->list, name)) {
		snprintf(text, sizeof(text),
			 "its number %u is that of channel %s in the kernel, which gets another",
			 by->id, name);
		retry_after(c, CHANNEL_RETRY_NUMBER_MS, text);
		return;
	}
	snprintf(text, sizeof(text),
		 "its number %u is that of channel %s in the kernel, which is not configured (is "
		 "the key store new?): `qkdctl channel delete %s` makes room, or configure that "
		 "one again",
		 by->id, name, name);
	channel_attach_failed(c, text);
}

/* Looks at all that stand; takes down what was ours and is other now. */
static const struct qkd_channel *find_own(struct channel *c, const struct qkd_channel *standing,
					  size_t count, const struct qkd_channel **in_the_way)
{
	const struct qkd_channel *same = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct qkd_channel *s = &standing[i];

		if (s->id && !same_name(c, s)) {
			if (s->id == c->record.id)
				*in_the_way = s;
			continue;
		}
		if (!s->id)
			continue;
		if (s->first_epoch > c->record.first_epoch)
			c->record.first_epoch = s->first_epoch;
		if (!c->device_gone && s->id == c->record.id &&
		    !memcmp(s->tag, c->record.tag, sizeof(s->tag)))
			same = s;
		else if (delete_old(c, s))
			log_err("channel %s: what stands cannot be removed", c->config->name);
	}
	return same;
}

/* Re-attach to the channel if it stands unchanged, else put it in its place. */
static void compare(struct channel *c, const struct qkd_channel *standing, size_t count)
{
	const struct qkd_channel *in_the_way = NULL, *same;

	c->record.first_epoch = c->row_next;
	same = find_own(c, standing, count, &in_the_way);
	c->number_taken = false;
	if (in_the_way) {
		number_is_taken(c, in_the_way);
		return;
	}
	if (!same) {
		add(c);
		return;
	}
	log_info("channel %s: attached to what stands in the kernel; next epoch %llu",
		 c->config->name, (unsigned long long)c->record.first_epoch);
	c->state = same->state;
	read_marks(c);
	stands(c);
}

/* The first answer of the backend: only now are its limits known. */
static void standing_came(void *arg, int err, const void *records, size_t count)
{
	struct channel *c = arg;
	char text[256];

	if (c->gone || c->phase != CHANNEL_ATTACHING)
		goto out;
	if (err)
		snprintf(text, sizeof(text), "the channels in the kernel cannot be listed: %s",
			 strerror(-err));
	else
		err = channel_make_record(c, c->record.id, text, sizeof(text));
	if (err)
		channel_attach_failed(c, text);
	else
		compare(c, records, count);
out:
	channel_put(c);
}

/* From here on nothing goes in the clear, key or no key, backend or not. */
static int prepare(struct channel *c, uint32_t id, char *error, size_t error_len)
{
	/* First: whatever fails, it can be deleted under this number. */
	c->record.id = id;
	if (!channel_is_esp(c))
		return 0;
	c->record.reqid = CHANNEL_REQID + id;
	return policy_install(c->env->config, c->config, c->record.reqid, error, error_len);
}

static void look_for_it(struct channel *c)
{
	int err;

	c->phase = CHANNEL_ATTACHING;
	channel_hold(c);
	err = standing_ask(c->env->standing, c->env->backend, &c->seen, standing_came, c);
	if (err) {
		channel_attach_failed(c, strerror(-err));
		channel_put(c);
	}
}

static void attach(struct channel *c, uint32_t id)
{
	char error[256] = "";
	int err = prepare(c, id, error, sizeof(error));

	if (err) {
		prepare_failed(c, err, error);
	} else if (c->env->backend) {
		c->failures = 0;
		look_for_it(c);
	} else {
		c->failures = 0;
		c->phase = CHANNEL_WAITS;
		not_yet(c, c->env->trouble);
	}
}

/* -------- the store's row -------- */

static void row_came(void *arg, int err, const struct store_channel *row, size_t count)
{
	struct channel *c = arg;
	char text[160];

	if (c->gone || c->phase > CHANNEL_DOWN)
		goto out;
	if (err || count != 1) {
		snprintf(text, sizeof(text), "the key store does not answer: %s",
			 strerror(err ? -err : EIO));
		channel_attach_failed(c, text);
		goto out;
	}
	c->phase = CHANNEL_DOWN;
	c->row_next = row->next_epoch;
	attach(c, row->id);
out:
	channel_put(c);
}

static void ask_row(struct channel *c)
{
	int err;

	channel_hold(c);
	err = store_channel(c->env->store, c->config->name, row_came, c);
	if (err) {
		channel_attach_failed(c, strerror(-err));
		channel_put(c);
	}
}

static void spec_kept(void *arg, int err)
{
	struct channel *c = arg;

	free(c->spec);
	c->spec = NULL;
	if (err)
		log_err("channel %s: it could not be kept in the store (%s): it will not be there "
			"after a restart",
			c->config->name, strerror(-err));
	if (!c->gone)
		ask_row(c);
	channel_put(c);
}

static void spec_row_came(void *arg, int err, const struct store_channel *row, size_t count)
{
	struct channel *c = arg;

	if (!err && c->spec && !c->gone) {
		err = store_channel_set_spec(c->env->store, c->config->name, c->spec, spec_kept, c);
		if (!err)
			return; /* spec_kept() puts */
	}
	spec_kept(c, err);
}

void channel_start(struct channel *c)
{
	if (!c->spec) {
		ask_row(c);
		return;
	}
	channel_hold(c);
	if (store_channel(c->env->store, c->config->name, spec_row_came, c))
		spec_kept(c, -EAGAIN);
}

void channel_detach(struct channel *c, const char *why)
{
	if (c->phase == CHANNEL_DELETING)
		return;
	channel_stop_agree(c);
	c->state = 0;
	c->phase = CHANNEL_DOWN;
	channel_attach_failed(c, why);
}

/* Those that have not come as far as the backend yet find out by themselves. */
void channel_backend_lost(struct channel *c)
{
	if (c->phase == CHANNEL_WAITS ||
	    (c->phase == CHANNEL_DOWN && !loop_timer_pending(&c->retry)))
		not_yet(c, c->env->trouble);
	if (c->phase != CHANNEL_ATTACHING && c->phase != CHANNEL_STANDS)
		return;
	channel_stop_agree(c);
	c->state = 0;
	c->phase = CHANNEL_DOWN;
	not_yet(c, c->env->trouble);
}

/* One that stood asks for its row anew: epochs were used since. */
void channel_backend_up(struct channel *c)
{
	if (c->phase == CHANNEL_WAITS) {
		look_for_it(c);
	} else if (c->phase == CHANNEL_DOWN) {
		loop_timer_cancel(c->env->loop, &c->retry);
		ask_row(c);
	}
}
