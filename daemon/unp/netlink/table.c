// SPDX-License-Identifier: GPL-2.0-or-later
/* The channels of the netlink backend; see table.h. */
#include "unp/netlink/table.h"
#include "epochs.h"
#include "log.h"
#include "record.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NEVER	 UINT64_MAX
#define RETRY_MS 100 /* to remove an SA that the kernel did not */
#define LOOK_MS	 100 /* between two looks at what a MACsec device has sent */

/**
 * struct entry - one channel
 * @config: as added
 * @stale_in_at: when the inbound SAs of an earlier process go
 * @stale_out_at: when its outbound ones go
 * @stuck: an SA that was to go stands still; reported, and tried again
 * @limits: of the outbound SA in use, with its jitter; MACsec: on top of
 * @base_packets: what the device had sent before, and
 * @base_bytes: likewise
 * @look_at: when to look at what was sent; NEVER: the kernel says it
 */
struct entry {
	struct entry *next;
	struct netlink_table *table;
	struct qkd_channel config;
	struct qkd_epochs epochs;
	struct qkd_epoch_slot *slot;
	struct qkd_counters counters;
	struct loop_timer timer;
	struct netlink_stale stale;
	uint64_t stale_in_at;
	uint64_t stale_out_at;
	bool stuck;
	struct netlink_limits limits;
	uint64_t base_packets;
	uint64_t base_bytes;
	uint64_t look_at;
};

struct netlink_table {
	struct loop *loop;
	struct netlink_kernel *kernel;
	void (*event)(const struct qkd_event *event, void *arg);
	void *arg;
	struct entry *first; /* in order of id */
	uint32_t count;
};

static struct entry *find(const struct netlink_table *t, uint32_t id)
{
	struct entry *e;

	for (e = t->first; e; e = e->next)
		if (e->config.id == id)
			return e;
	return NULL;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Not the loop's: one turn of the loop may install many epochs. */
static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_BOOTTIME) / 1000000;
}

static void emit(struct entry *e, enum qkd_event_type type, uint64_t epoch, uint64_t value, int err)
{
	struct qkd_event event = {
		.time_ns = clock_ns(CLOCK_REALTIME),
		.channel = e->config.id,
		.type = (uint16_t)type,
		.epoch = epoch,
		.value = value,
		.error = err,
	};

	e->table->event(&event, e->table->arg);
}

/* -------- what is due -------- */

/* Blocked means that nothing is sent, by no SA of whatever age. */
static int block(struct entry *e, struct netlink_sa *sa)
{
	struct netlink_kernel *k = e->table->kernel;
	int err = 0;

	if (netlink_install_has_stale(&e->stale, true))
		err = netlink_install_remove_stale(k, &e->config, &e->stale, true);
	if (!err && sa)
		err = netlink_install_remove_out(k, &e->config, sa);
	return err;
}

static bool has_limits(const struct qkd_channel *c)
{
	return c->soft_bytes || c->soft_packets;
}

static bool is_macsec(const struct qkd_channel *c)
{
	return c->kind == QKD_KIND_MACSEC;
}

static void draw_limits(struct entry *e, uint64_t epoch)
{
	const struct qkd_channel *c = &e->config;

	e->limits = (struct netlink_limits){
		.soft_bytes = qkd_epochs_soft(&e->epochs, epoch, c->soft_bytes),
		.soft_packets = qkd_epochs_soft(&e->epochs, epoch, c->soft_packets),
		.hard_bytes = c->hard_bytes,
		.hard_packets = c->hard_packets,
	};
}

/* A MACsec device counts on from one key to the next. */
static int note_base(struct entry *e, const struct netlink_sa *sa)
{
	if (!is_macsec(&e->config) || !has_limits(&e->config))
		return 0;
	e->look_at = now_ms() + LOOK_MS;
	return netlink_install_sent(e->table->kernel, &e->config, sa, &e->base_packets,
				    &e->base_bytes);
}

static int activate(struct entry *e, struct netlink_sa *sa)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC), took;
	int err;

	draw_limits(e, sa->epoch);
	err = note_base(e, sa);
	if (!err)
		err = netlink_install_activate(e->table->kernel, &e->config, sa, &e->limits);
	took = clock_ns(CLOCK_MONOTONIC) - start;
	if (!err && took > e->counters.activation_max_ns)
		e->counters.activation_max_ns = took;
	return err;
}

static int carry_out(struct entry *e, const struct qkd_action *action)
{
	struct netlink_kernel *k = e->table->kernel;
	struct netlink_sa *sa = action->slot ? action->slot->sa : NULL;

	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		return activate(e, sa);
	case QKD_ACTION_INSTALL:
		return netlink_install_queued(k, &e->config, &e->stale, sa);
	case QKD_ACTION_REMOVE_IN:
		return netlink_install_remove_in(k, &e->config, sa);
	case QKD_ACTION_REMOVE_OUT:
		return netlink_install_remove_out(k, &e->config, sa);
	case QKD_ACTION_BLOCK:
		return block(e, sa);
	case QKD_ACTION_FORGET:
		netlink_sa_free(sa);
		break;
	case QKD_ACTION_EXHAUSTED:
		break;
	}
	return 0;
}

static void report_switch(struct entry *e, uint64_t epoch, bool limited)
{
	uint32_t ready = qkd_epochs_ready(&e->epochs) + qkd_epochs_queued(&e->epochs);

	/* The first activation is no rollover. */
	if (e->counters.last_rollover_ns) {
		e->counters.rollovers++;
		e->counters.limit_rollovers += limited;
	}
	e->counters.last_rollover_ns = clock_ns(CLOCK_REALTIME);
	if (netlink_install_has_stale(&e->stale, true))
		e->stale_out_at = earlier(e->stale_out_at, now_ms() + e->config.grace_ms);
	emit(e, QKD_EVENT_ACTIVATED, epoch, 0, 0);
	if (ready < e->config.lookahead)
		emit(e, QKD_EVENT_LOW, QKD_EPOCH_NONE, ready, 0);
}

static void install_failed(struct entry *e, uint64_t epoch, int err)
{
	e->counters.failed++;
	emit(e, QKD_EVENT_FAILED, epoch, 0, err);
}

static void installed(struct entry *e, uint64_t epoch)
{
	e->counters.installed++;
	emit(e, QKD_EVENT_INSTALLED, epoch, 0, 0);
}

/* @limited: the switch that is reported was due on a soft limit */
static void report(struct entry *e, const struct qkd_action *action, bool limited, int err)
{
	switch (action->type) {
	case QKD_ACTION_ACTIVATE:
		if (err)
			install_failed(e, action->epoch, err);
		else
			report_switch(e, action->epoch, limited);
		break;
	case QKD_ACTION_INSTALL:
		if (err)
			install_failed(e, action->epoch, err);
		else
			installed(e, action->epoch);
		break;
	case QKD_ACTION_FORGET:
		e->counters.retired++;
		emit(e, QKD_EVENT_RETIRED, action->epoch, 0, 0);
		break;
	case QKD_ACTION_EXHAUSTED:
		e->counters.exhausted++;
		emit(e, QKD_EVENT_EXHAUSTED, QKD_EPOCH_NONE, 0, 0);
		break;
	case QKD_ACTION_BLOCK:
		e->counters.blocked++;
		emit(e, QKD_EVENT_BLOCKED, action->epoch, 0, 0);
		break;
	default:
		break;
	}
}

/* The SA stands and may be in use: nothing says that it is gone. */
static void removal_failed(struct entry *e, uint64_t epoch, int err)
{
	if (!e->stuck) {
		log_err("channel %.31s: an SA that is over cannot be removed: %s; it stands and "
			"may be in use, and is tried again",
			e->config.name, strerror(-err));
		e->counters.failed++;
		emit(e, QKD_EVENT_FAILED, epoch, 0, err);
	}
	e->stuck = true;
}

static bool is_removal(const struct qkd_action *action)
{
	return action->type == QKD_ACTION_REMOVE_IN || action->type == QKD_ACTION_REMOVE_OUT ||
	       action->type == QKD_ACTION_BLOCK;
}

/* Ends at what the kernel does not remove: it stays due. Return: whether all was done. */
static bool do_what_is_due(struct entry *e)
{
	struct qkd_action action;

	while (qkd_epochs_next(&e->epochs, now_ms(), &action)) {
		bool limited = e->epochs.limited;
		int err = carry_out(e, &action);

		if (err && is_removal(&action)) {
			removal_failed(e, action.epoch, err);
			return false;
		}
		qkd_epochs_done(&e->epochs, now_ms(), &action, err);
		report(e, &action, limited, err);
	}
	return true;
}

static bool remove_stale_of(struct entry *e, uint64_t *at, bool out)
{
	int err;

	if (now_ms() < *at)
		return true;
	err = netlink_install_remove_stale(e->table->kernel, &e->config, &e->stale, out);
	if (err) {
		removal_failed(e, QKD_EPOCH_NONE, err);
		return false;
	}
	*at = NEVER;
	return true;
}

static bool remove_stale(struct entry *e)
{
	bool all;

	if (e->epochs.state == QKD_CHANNEL_BLOCKED && netlink_install_has_stale(&e->stale, true))
		e->stale_out_at = now_ms();
	all = remove_stale_of(e, &e->stale_out_at, true);
	return remove_stale_of(e, &e->stale_in_at, false) && all;
}

static void set_timer(struct entry *e)
{
	uint64_t at = earlier(e->stale_in_at, e->stale_out_at), now = now_ms();

	at = earlier(at, qkd_epochs_deadline(&e->epochs));
	if (e->epochs.out == QKD_EPOCH_NONE)
		e->look_at = NEVER;
	at = earlier(at, e->look_at);
	if (e->stuck && at < now + RETRY_MS)
		at = now + RETRY_MS;
	if (at == NEVER)
		loop_timer_cancel(e->table->loop, &e->timer);
	else if (loop_timer_set(e->table->loop, &e->timer, at > now ? at - now : 0))
		log_err("channel %.31s: out of memory for a timer: no rollover", e->config.name);
}

static void run(struct entry *e)
{
	bool all = do_what_is_due(e);

	all = remove_stale(e) && all;
	if (all && e->stuck)
		log_info("channel %.31s: the SA that could not be removed is gone", e->config.name);
	e->stuck = !all;
	set_timer(e);
}

/* -------- limits of octets and packets -------- */

static struct netlink_sa *sa_in_use(const struct entry *e)
{
	uint32_t i;

	for (i = 0; i < e->epochs.count; i++)
		if (e->slot[i].epoch == e->epochs.out)
			return e->slot[i].sa;
	return NULL;
}

static void soft_reached(struct entry *e)
{
	e->counters.delayed += qkd_epochs_limit(&e->epochs, now_ms());
}

/* The next epoch is used at once, if there is one. */
static void hard_reached(struct entry *e)
{
	e->counters.hard_expiries += !e->epochs.expired;
	qkd_epochs_expired(&e->epochs);
}

static bool reached(uint64_t packets, uint64_t packet_limit, uint64_t bytes, uint64_t byte_limit)
{
	return (packet_limit && packets >= packet_limit) || (byte_limit && bytes >= byte_limit);
}

static void look(struct entry *e)
{
	const struct netlink_sa *sa = sa_in_use(e);
	const struct netlink_limits *l = &e->limits;
	uint64_t packets = 0, bytes = 0;
	int err;

	if (!sa || !has_limits(&e->config))
		return;
	err = netlink_install_sent(e->table->kernel, &e->config, sa, &packets, &bytes);
	packets -= e->base_packets;
	bytes -= e->base_bytes;
	if (err == -ESRCH || (!err && reached(packets, l->hard_packets, bytes, l->hard_bytes)))
		hard_reached(e);
	else if (!err && reached(packets, l->soft_packets, bytes, l->soft_bytes))
		soft_reached(e);
}

static void timer_fired(void *arg)
{
	struct entry *e = arg;

	if (now_ms() >= e->look_at) {
		e->look_at = now_ms() + LOOK_MS;
		look(e);
	}
	run(e);
}

void netlink_table_expired(struct netlink_table *t, uint32_t reqid, uint32_t spi, bool hard)
{
	const struct netlink_sa *sa;
	struct entry *e = t->first;

	while (e && (e->config.reqid != reqid || is_macsec(&e->config)))
		e = e->next;
	sa = e ? sa_in_use(e) : NULL;
	if (!sa || sa->spi_out != spi)
		return; /* one that was replaced already */
	if (hard)
		hard_reached(e);
	else
		soft_reached(e);
	run(e);
}

void netlink_table_look(struct netlink_table *t)
{
	struct entry *e;

	for (e = t->first; e; e = e->next) {
		if (!has_limits(&e->config))
			continue;
		look(e);
		run(e);
	}
}

/* -------- channels -------- */

static void insert(struct netlink_table *t, struct entry *e)
{
	struct entry **link = &t->first;

	while (*link && (*link)->config.id < e->config.id)
		link = &(*link)->next;
	e->next = *link;
	*link = e;
	t->count++;
}

static void release(struct entry *e)
{
	struct netlink_table *t = e->table;
	struct entry **link = &t->first;
	uint32_t i;

	while (*link && *link != e)
		link = &(*link)->next;
	if (*link) {
		*link = e->next;
		t->count--;
	}
	loop_timer_cancel(t->loop, &e->timer);
	for (i = 0; i < e->epochs.count; i++)
		netlink_sa_free(e->slot[i].sa);
	free(e->stale.esp);
	free(e->slot);
	free(e);
}

static struct entry *make(struct netlink_table *t, const struct qkd_channel *r)
{
	struct qkd_epochs_config config = {
		.lookahead = r->lookahead,
		.rollover_ms = r->rollover_ms,
		.jitter_ms = r->jitter_ms,
		.grace_ms = r->grace_ms,
		.hard_ms = r->hard_ms,
		.on_exhausted = r->on_exhausted,
		.an_count = is_macsec(r) ? QKD_MACSEC_ANS : 0,
	};
	uint32_t capacity = qkd_epochs_capacity(&config);
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->slot = calloc(capacity, sizeof(*e->slot));
	if (!e->slot) {
		free(e);
		return NULL;
	}
	e->table = t;
	e->config = *r;
	e->counters.channel = r->id;
	e->timer.fire = timer_fired;
	e->timer.arg = e;
	e->stale_in_at = NEVER;
	e->stale_out_at = NEVER;
	e->look_at = NEVER;
	qkd_epochs_init(&e->epochs, &config, e->slot, capacity, r->first_epoch);
	return e;
}

/*
 * What an earlier process left goes on until new SAs are in use, but not
 * longer than that process would have kept it without new keys.
 */
static void take_over(struct entry *e)
{
	const struct qkd_channel *c = &e->config;

	if (!netlink_install_has_stale(&e->stale, true) &&
	    !netlink_install_has_stale(&e->stale, false))
		return;
	log_info("channel %.31s: SAs of an earlier qkdkeyd stand; they go once new ones are in use",
		 c->name);
	if (c->on_exhausted == QKD_EXHAUSTED_BLOCK)
		e->stale_out_at = now_ms() + c->rollover_ms;
	else if (c->hard_ms)
		e->stale_out_at = now_ms() + c->rollover_ms + c->hard_ms;
	set_timer(e);
}

static int add(struct netlink_table *t, const struct qkd_channel *r)
{
	struct entry *e;
	int err = qkd_record_check_channel_add(r);

	if (err)
		return err;
	if (find(t, r->id))
		return -EEXIST;
	if (t->count >= QKD_MAX_CHANNELS)
		return -ENOSPC;
	e = make(t, r);
	if (!e)
		return -ENOMEM;
	err = netlink_install_open(t->kernel, r, &e->stale);
	if (err) {
		release(e);
		return err;
	}
	insert(t, e);
	take_over(e);
	emit(e, QKD_EVENT_ADDED, QKD_EPOCH_NONE, 0, 0);
	return 0;
}

static bool stands(uint8_t state)
{
	return state != QKD_SA_NONE && state != QKD_SA_QUEUED;
}

/* Outbound first. What cannot be removed stays, with the channel. */
static int remove_all(struct entry *e)
{
	struct netlink_kernel *k = e->table->kernel;
	uint32_t i;
	int err = 0;

	for (i = 0; i < e->epochs.count && !err; i++) {
		if (!stands(e->slot[i].out))
			continue;
		err = netlink_install_remove_out(k, &e->config, e->slot[i].sa);
		if (!err)
			e->slot[i].out = QKD_SA_NONE;
	}
	for (i = 0; i < e->epochs.count && !err; i++) {
		if (!stands(e->slot[i].in))
			continue;
		err = netlink_install_remove_in(k, &e->config, e->slot[i].sa);
		if (!err)
			e->slot[i].in = QKD_SA_NONE;
	}
	return err ? err : netlink_install_close(k, &e->config, &e->stale);
}

static int delete (struct netlink_table *t, const struct qkd_channel *r)
{
	struct entry *e = find(t, r->id);
	int err;

	if (!e)
		return -ENOENT;
	err = remove_all(e);
	if (err) {
		log_err("channel %.31s: its SAs cannot be removed: %s", e->config.name,
			strerror(-err));
		return err == -ENOENT ? -EIO : err;
	}
	emit(e, QKD_EVENT_DELETED, QKD_EPOCH_NONE, 0, 0);
	release(e);
	return 0;
}

/* -------- epochs -------- */

static int spent_status(int err)
{
	switch (err) {
	case -EEXIST:
	case -ENODEV:
	case -ENOMEM:
		return err;
	default:
		return -EIO;
	}
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* As kmod/rollover.c: both ends have the key ID, so both draw the same from it. */
static uint32_t jitter_of(const struct qkd_key *key)
{
	return le32(key->key_id) ^ le32(key->key_id + 12);
}

static int install(struct entry *e, const struct qkd_key *key, bool queue)
{
	struct netlink_sa *sa = calloc(1, sizeof(*sa));
	int err = -ENOMEM;

	if (!sa)
		return err;
	if (queue)
		err = netlink_install_queue(key, sa);
	else
		err = netlink_install_put(e->table->kernel, &e->config, &e->stale, key, sa);
	if (err) {
		netlink_sa_free(sa);
		return err;
	}
	qkd_epochs_put(&e->epochs, key->epoch, jitter_of(key), sa);
	return 0;
}

static int put_key(struct entry *e, const struct qkd_key *key)
{
	int err = qkd_record_check_key(key);
	bool queue;

	if (!err)
		err = qkd_record_check_salt(key, e->config.cipher);
	if (!err)
		err = qkd_epochs_may_put(&e->epochs, key->epoch);
	if (err)
		return err;
	queue = qkd_epochs_must_queue(&e->epochs, key->epoch);
	err = install(e, key, queue);
	if (err) {
		qkd_epochs_spend(&e->epochs, key->epoch);
		install_failed(e, key->epoch, err);
		return spent_status(err);
	}
	if (!queue)
		installed(e, key->epoch);
	run(e);
	return 0;
}

static int watermark(struct entry *e, const struct qkd_watermark *r)
{
	uint64_t before = e->epochs.peer_out;
	int err = qkd_record_check_watermark(r);

	if (!err)
		err = qkd_epochs_watermark(&e->epochs, now_ms(), r->first, r->last, r->peer_out,
					   r->flags & QKD_WATERMARK_NONE);
	if (err)
		return err;
	if (r->peer_out != QKD_EPOCH_NONE && r->peer_out != before)
		emit(e, QKD_EVENT_PEER_MOVED, r->peer_out, 0, 0);
	/* The peer encrypts with an epoch that this process installed. */
	if (r->peer_out != QKD_EPOCH_NONE && r->peer_out >= e->config.first_epoch &&
	    netlink_install_has_stale(&e->stale, false) && e->stale_in_at == NEVER)
		e->stale_in_at = now_ms() + e->config.grace_ms;
	run(e);
	return 0;
}

static int force(struct entry *e, struct qkd_rollover *r)
{
	uint64_t before = e->epochs.out;
	int err = qkd_record_check_rollover(r);

	if (!err)
		err = qkd_epochs_force(&e->epochs);
	if (err)
		return err;
	run(e);
	if (e->epochs.out == before)
		return -EAGAIN;
	r->epoch = e->epochs.out;
	return 0;
}

static int retire(struct entry *e, const struct qkd_retire *r)
{
	int err = qkd_record_check_retire(r);

	if (!err)
		err = qkd_epochs_retire(&e->epochs, now_ms(), r->epoch);
	if (!err)
		run(e);
	return err;
}

static int count(struct entry *e, struct qkd_counters *r)
{
	const struct qkd_epochs *epochs = &e->epochs;
	int err = qkd_record_check_counters(r);

	if (err)
		return err;
	*r = e->counters;
	r->out_epoch = epochs->out;
	r->in_first = QKD_EPOCH_NONE;
	r->in_last = QKD_EPOCH_NONE;
	qkd_epochs_inbound(epochs, (u64 *)&r->in_first, (u64 *)&r->in_last);
	r->peer_first = epochs->peer_first;
	r->peer_last = epochs->peer_last;
	r->ready = qkd_epochs_ready(epochs);
	r->queued = qkd_epochs_queued(epochs);
	return 0;
}

/* -------- commands -------- */

static int run_on_epochs(struct netlink_table *t, uint32_t cmd, void *record, uint32_t channel)
{
	struct entry *e = find(t, channel);

	if (!e)
		return -ENOENT;
	switch (cmd) {
	case QKD_CMD_KEY_PUT:
		return put_key(e, record);
	case QKD_CMD_WATERMARK:
		return watermark(e, record);
	case QKD_CMD_ROLLOVER:
		return force(e, record);
	case QKD_CMD_RETIRE:
		return retire(e, record);
	case QKD_CMD_COUNTERS:
		return count(e, record);
	default:
		return -ENOTTY;
	}
}

void netlink_table_run(struct netlink_table *t, uint32_t cmd, void *record)
{
	/* Every record begins with its status; the channel follows. */
	struct {
		int32_t status;
		uint32_t channel;
	} head;
	struct qkd_key *key = record;

	memcpy(&head, record, sizeof(head));
	if (cmd == QKD_CMD_CHANNEL_ADD)
		head.status = add(t, record);
	else if (cmd == QKD_CMD_CHANNEL_DELETE)
		head.status = delete (t, record);
	else
		head.status = run_on_epochs(t, cmd, record, head.channel);
	if (cmd == QKD_CMD_KEY_PUT)
		OPENSSL_cleanse(key->key_id, sizeof(*key) - offsetof(struct qkd_key, key_id));
	memcpy(record, &head.status, sizeof(head.status));
}

int netlink_table_channels(struct netlink_table *t, struct qkd_channel **channels, size_t *n)
{
	struct qkd_channel *list = calloc(t->count + 1, sizeof(*list)), *r = list;
	const struct entry *e;

	if (!list)
		return -ENOMEM;
	for (e = t->first; e; e = e->next, r++) {
		*r = e->config;
		r->state = e->epochs.state;
		r->first_epoch = e->epochs.next;
	}
	*channels = list;
	*n = t->count;
	return 0;
}

int netlink_table_epochs(struct netlink_table *t, uint32_t channel, struct qkd_epoch **epochs,
			 size_t *n)
{
	const struct entry *e = find(t, channel);
	struct qkd_epoch *list;
	uint32_t i;

	if (!e)
		return -ENOENT;
	list = calloc(e->epochs.count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (i = 0; i < e->epochs.count; i++) {
		const struct qkd_epoch_slot *s = &e->slot[i];

		list[i].channel = channel;
		list[i].epoch = s->epoch;
		list[i].in = s->in;
		list[i].out = s->out;
		netlink_install_report(t->kernel, &e->config, s->sa, &list[i]);
	}
	*epochs = list;
	*n = e->epochs.count;
	return 0;
}

/* -------- life -------- */

int netlink_table_create(struct loop *loop, struct netlink_kernel *kernel,
			 void (*event)(const struct qkd_event *event, void *arg), void *arg,
			 struct netlink_table **table)
{
	struct netlink_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->loop = loop;
	t->kernel = kernel;
	t->event = event;
	t->arg = arg;
	*table = t;
	return 0;
}

void netlink_table_destroy(struct netlink_table *t)
{
	while (t->first)
		release(t->first);
	free(t);
}
