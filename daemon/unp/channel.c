// SPDX-License-Identifier: GPL-2.0-or-later
/* One channel; see channel.h. */
#include "unp/channel.h"
#include "km/backoff.h"
#include "log.h"
#include "unp/mark.h"
#include "unp/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_esp(const struct channel *c)
{
	return c->config->kind != QKD_KIND_MACSEC;
}

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

static void op_lost(void *arg)
{
	struct channel *c = arg;

	channel_detach(c, "the channel is gone from the kernel; it is added again");
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

static void stop_agree(struct channel *c)
{
	agree_destroy(c->agree);
	c->agree = NULL;
	loop_timer_cancel(c->env->loop, &c->tick);
}

void channel_release(struct channel *c)
{
	c->gone = true;
	stop_agree(c);
	loop_timer_cancel(c->env->loop, &c->retry);
	channel_put(c);
}

/* Tells whoever waits for it, once. */
static void tell(struct channel *c, int err, const char *text)
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
	tell(c, 0, told);
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

static void attach_failed(struct channel *c, const char *text)
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
		attach_failed(c, text);
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
		.epochs =
			{
				.lookahead = r->lookahead,
				.rollover_ms = r->rollover_ms,
				.grace_ms = r->grace_ms,
				.hard_ms = r->hard_ms,
				.on_exhausted = r->on_exhausted,
				.an_count = r->kind == QKD_KIND_MACSEC ? 4 : 0,
			},
		.next = r->first_epoch,
	};

	memcpy(config.digest, c->digest, sizeof(config.digest));
	return agree_create(&config, &ops, c, kx_peer_up(c->peer), &c->agree);
}

/* Now that the number is surely ours: what the channel had before it was changed. */
static void tidy_policies(struct channel *c)
{
	char error[256] = "";

	if (is_esp(c) && policy_tidy(c->record.reqid, error, sizeof(error)))
		log_warn("channel %s: policies of before stay: %s", c->config->name, error);
}

static void stands(struct channel *c)
{
	int err;

	tidy_policies(c);
	err = begin_agree(c);
	if (err) {
		attach_failed(c, strerror(-err));
		return;
	}
	c->phase = CHANNEL_STANDS;
	c->error[0] = '\0';
	channel_count(c);
	tell(c, 0, NULL);
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
	attach_failed(c, text);
out:
	channel_put(c);
}

static void deleted_old(void *arg, int err, const void *record)
{
	channel_put(arg);
}

/*
 * What stands under our name but is not the channel that is configured: it was
 * changed, or the store is new. Its epochs stay spent.
 */
static int delete_old(struct channel *c, const struct qkd_channel *standing)
{
	struct qkd_channel old = {.id = standing->id};
	int err;

	log_warn("channel %s: the kernel has %.31s (number %u) with other parameters: it is "
		 "replaced",
		 c->config->name, standing->name, standing->id);
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
	attach_failed(c, strerror(-err));
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
	attach_failed(c, text);
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
		if (s->id == c->record.id && !memcmp(s->tag, c->record.tag, sizeof(s->tag)))
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
		attach_failed(c, text);
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
	if (!is_esp(c))
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
		attach_failed(c, strerror(-err));
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
		attach_failed(c, text);
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
		attach_failed(c, strerror(-err));
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
	stop_agree(c);
	c->state = 0;
	c->phase = CHANNEL_DOWN;
	attach_failed(c, why);
}

/* Those that have not come as far as the backend yet find out by themselves. */
void channel_backend_lost(struct channel *c)
{
	if (c->phase == CHANNEL_WAITS ||
	    (c->phase == CHANNEL_DOWN && !loop_timer_pending(&c->retry)))
		not_yet(c, c->env->trouble);
	if (c->phase != CHANNEL_ATTACHING && c->phase != CHANNEL_STANDS)
		return;
	stop_agree(c);
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

/* -------- deleting -------- */

/* It stays on the list, so that it can be deleted again. */
static void delete_failed(struct channel *c, int err, const char *text)
{
	log_err("channel %s: it could not be deleted: %s", c->config->name, text);
	snprintf(c->error, sizeof(c->error), "%s", text);
	tell(c, err, text);
}

/* Nothing of it is left. */
static void delete_done(struct channel *c)
{
	c->env->off_list(c, c->env->list);
	channel_emit(c, "removed", QKD_EPOCH_NONE, NULL);
	tell(c, 0, NULL);
	channel_release(c);
}

static void spec_cleared(void *arg, int err)
{
	struct channel *c = arg;
	char text[160];

	if (c->gone) {
		tell(c, -ECANCELED, NULL);
	} else if (err) {
		snprintf(text, sizeof(text),
			 "its SAs and policies are gone, but it could not be removed from the key "
			 "store (%s) and comes back at the next start: delete it again",
			 strerror(-err));
		c->phase = CHANNEL_REMOVED;
		delete_failed(c, err, text);
	} else {
		delete_done(c);
	}
	channel_put(c);
}

static int remove_policies(struct channel *c)
{
	char error[256] = "", text[384];
	int err = 0;

	if (is_esp(c))
		err = policy_remove(c->config->name, c->record.reqid, error, sizeof(error));
	if (!err)
		return 0;
	snprintf(text, sizeof(text),
		 "%s; its SAs are gone, and what stays of its policies blocks its traffic: delete "
		 "it again",
		 error);
	c->phase = CHANNEL_REMOVED;
	delete_failed(c, err, text);
	return err;
}

/* SAs first, then the policies: until then nothing passes. The store forgets it last. */
static void taken_down(struct channel *c)
{
	int err;

	c->state = 0;
	if (remove_policies(c))
		return;
	if (c->from_file) {
		delete_done(c);
		return;
	}
	channel_hold(c);
	err = store_channel_set_spec(c->env->store, c->config->name, NULL, spec_cleared, c);
	if (err)
		spec_cleared(c, err);
}

static void deleted(void *arg, int err, const void *record)
{
	struct channel *c = arg;
	const struct qkd_channel *r = record;
	char text[160];

	if (!err && r)
		err = r->status;
	if (err == -ENOENT)
		err = 0;
	if (c->gone) {
		tell(c, err ? err : -ECANCELED, NULL);
	} else if (err) {
		snprintf(text, sizeof(text),
			 "the kernel did not take its SAs down: %s; it stays as it was",
			 strerror(-err));
		delete_failed(c, err, text);
		c->phase = CHANNEL_DOWN;
		attach_failed(c, text);
	} else {
		taken_down(c);
	}
	channel_put(c);
}

static void tell_peer(struct channel *c)
{
	struct kx_frame frame = {.type = KX_CHANNEL_GONE};

	snprintf(frame.gone.channel, sizeof(frame.gone.channel), "%s", c->config->name);
	if (kx_peer_up(c->peer))
		kx_send(c->peer, &frame);
}

/* Without them its policies would go, and its SAs would not. */
static bool may_delete(struct channel *c)
{
	char text[512];

	if (!c->record.id) {
		snprintf(text, sizeof(text),
			 "its number is not known yet, so that its SAs and policies cannot be "
			 "found: the key store has to answer first%s%s",
			 *c->error ? ": " : "", c->error);
		tell(c, -EAGAIN, text);
		return false;
	}
	if (c->env->backend || c->phase == CHANNEL_REMOVED || c->number_taken)
		return true;
	snprintf(text, sizeof(text),
		 "its SAs may stand and cannot be reached, so its policies stay: %s; mend that, "
		 "then delete it again",
		 *c->env->trouble ? c->env->trouble : "the kernel has not answered yet");
	tell(c, -ENODEV, text);
	return false;
}

void channel_delete(struct channel *c, channels_done_fn done, void *arg)
{
	struct qkd_channel record = {.id = c->record.id};
	int err;

	c->done = done;
	c->done_arg = arg;
	if (!may_delete(c))
		return;
	stop_agree(c);
	loop_timer_cancel(c->env->loop, &c->retry);
	tell_peer(c);
	c->phase = CHANNEL_DELETING;
	if (!c->env->backend || c->number_taken) {
		taken_down(c);
		return;
	}
	standing_forget(c->env->standing, record.id);
	channel_hold(c);
	err = backend_submit(c->env->backend, QKD_CMD_CHANNEL_DELETE, &record, deleted, c);
	if (err)
		deleted(c, err, NULL);
}

/* -------- counters, events, frames -------- */

static void counted(void *arg, int err, const void *record)
{
	struct channel *c = arg;
	const struct qkd_counters *counters = record;

	c->counting = false;
	if (!err && !counters->status)
		c->counters = *counters;
	channel_put(c);
}

void channel_count(struct channel *c)
{
	struct qkd_counters ask = {.channel = c->record.id};

	if (c->phase != CHANNEL_STANDS || c->counting || !c->env->backend)
		return;
	c->counting = true;
	channel_hold(c);
	if (backend_submit(c->env->backend, QKD_CMD_COUNTERS, &ask, counted, c)) {
		c->counting = false;
		channel_put(c);
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void emit_at(struct channel *c, uint64_t time_ns, const char *type, uint64_t epoch,
		    const char *text)
{
	struct channel_event event = {
		.time_ns = time_ns,
		.channel = c->config->name,
		.type = type,
		.epoch = epoch,
		.text = text ? text : "",
	};

	if (c->env->event)
		c->env->event(&event, c->env->event_arg);
}

void channel_emit(struct channel *c, const char *type, uint64_t epoch, const char *text)
{
	emit_at(c, now_ns(), type, epoch, text);
}

static void emit_backend_event(struct channel *c, const struct qkd_event *e)
{
	static const char *const type[] = {
		[QKD_EVENT_INSTALLED] = "installed", [QKD_EVENT_ACTIVATED] = "activated",
		[QKD_EVENT_RETIRED] = "retired",     [QKD_EVENT_LOW] = "low",
		[QKD_EVENT_EXHAUSTED] = "exhausted", [QKD_EVENT_BLOCKED] = "blocked",
		[QKD_EVENT_FAILED] = "failed",	     [QKD_EVENT_PEER_MOVED] = "peer_moved",
		[QKD_EVENT_ADDED] = "added",	     [QKD_EVENT_DELETED] = "deleted",
	};
	char text[96] = "";

	if (e->type >= sizeof(type) / sizeof(type[0]) || !type[e->type])
		return;
	if (e->type == QKD_EVENT_LOW)
		snprintf(text, sizeof(text), "%llu epochs ready", (unsigned long long)e->value);
	else if (e->type == QKD_EVENT_EXHAUSTED)
		snprintf(text, sizeof(text), "a rollover is due and no epoch is ready");
	else if (e->type == QKD_EVENT_BLOCKED)
		snprintf(text, sizeof(text), "the keys ran out: nothing is sent");
	else if (e->error)
		snprintf(text, sizeof(text), "%s", strerror(-e->error));
	emit_at(c, e->time_ns, type[e->type], e->epoch, text);
}

static void follow_state(struct channel *c, const struct qkd_event *e)
{
	if (e->type == QKD_EVENT_ACTIVATED)
		c->state = QKD_CHANNEL_ACTIVE;
	else if (e->type == QKD_EVENT_EXHAUSTED)
		c->state = QKD_CHANNEL_OVERDUE;
	else if (e->type == QKD_EVENT_BLOCKED)
		c->state = QKD_CHANNEL_BLOCKED;
}

void channel_backend_event(struct channel *c, const struct qkd_event *event)
{
	bool switched = event->type == QKD_EVENT_ACTIVATED;

	emit_backend_event(c, event);
	if (c->phase != CHANNEL_STANDS || !c->agree)
		return;
	follow_state(c, event);
	agree_backend_event(c->agree, event);
	if (switched)
		channel_count(c);
}

int channel_frame(struct channel *c, const struct kx_frame *frame)
{
	struct kx_frame answer = {.type = KX_EPOCH_ANSWER};

	if (c->agree)
		return agree_frame(c->agree, frame);
	/* Not in the kernel yet: our state will say when. */
	if (frame->type != KX_EPOCH_OFFER)
		return 0;
	memcpy(answer.answer.channel, frame->offer.channel, sizeof(answer.answer.channel));
	answer.answer.epoch = frame->offer.epoch;
	answer.answer.status = KX_BUSY;
	kx_send(c->peer, &answer);
	return 0;
}

/* -------- views -------- */

void channel_fill_view(const struct channel *c, struct channel_view *view)
{
	struct agree_status status = {.waits = CHANNEL_WAITS_BACKEND, .error = c->error};
	struct pool_status pool = {0};

	if (c->agree)
		agree_status(c->agree, &status);
	pool_status(c->pool, &pool);
	*view = (struct channel_view){
		.config = c->config,
		.peer = c->link->peer,
		.initiator = c->link->role == CONFIG_INITIATOR,
		.from_file = c->from_file,
		.simulated =
			c->agree && agree_simulated(c->agree, c->found_known ? c->found_simulated
									     : pool.simulated),
		.state = c->state,
		.waits = status.waits,
		.id = c->record.id,
		.reqid = c->record.reqid,
		.peer_settled = status.peer_settled,
		.time_last_rollover_ns = c->counters.last_rollover_ns,
		.counters = &c->counters,
		.last_error = c->error[0] ? c->error : status.error,
	};
}
