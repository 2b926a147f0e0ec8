// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both ends of a channel, as kmod/epochs.c runs them. The input says what happens
 * in which order: keys, reports that are late, lost or overtake one another, time,
 * forced switches, retired epochs, SAs that somebody removes or that fail to come or
 * go. A model beside each end holds it to the rules of epochs.h and of design: each
 * step is judged by what the end was told, not by what it remembers.
 *
 * In the end the two are treated well for a while, and must both be rolling over.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "epochs.h"
#include "spi.h"

#define require(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define NEVER	  (~0ULL)
#define MAIL	  8
#define MAX_SLOTS 64
#define EPOCHS	  4096

enum model_out {
	OUT_NONE,
	OUT_QUEUED,
	OUT_READY,
	OUT_ACTIVE,
	OUT_OLD
};

/* What stands of one epoch, and from when on it may go. */
struct model_sa {
	uint64_t epoch;
	bool in;
	bool in_lost;
	enum model_out out;
	uint64_t in_free;
	uint64_t out_free;
};

struct report {
	bool sent;
	bool none;
	uint64_t first;
	uint64_t last;
	uint64_t out;
};

/*
 * One end. @put and @used: the highest epoch that ever was. @excused: epochs that were
 * taken from it or never came, so that its peer may speak to deaf ears until it is told.
 */
struct end {
	struct qkd_epochs e;
	struct qkd_epoch_slot slot[MAX_SLOTS];
	struct model_sa *sa[MAX_SLOTS];
	uint32_t count;
	uint64_t put;
	uint64_t used;
	bool excused[EPOCHS];
	bool expired;
	bool limited;
	uint64_t switched;
	struct report told;
	struct report mail[MAIL];
};

static struct end ends[2];
static uint64_t now;

struct input {
	const uint8_t *data;
	size_t left;
};

static uint8_t octet(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* --- the model --------------------------------------------------------------- */

static struct model_sa *sa_of(const struct end *x, uint64_t epoch)
{
	uint32_t i;

	for (i = 0; i < x->count; i++)
		if (x->sa[i]->epoch == epoch)
			return x->sa[i];
	return NULL;
}

static struct model_sa *in_use(const struct end *x)
{
	uint32_t i;

	for (i = 0; i < x->count; i++)
		if (x->sa[i]->out == OUT_ACTIVE)
			return x->sa[i];
	return NULL;
}

static bool at_peer(const struct end *x, uint64_t epoch)
{
	return x->told.sent && !x->told.none && epoch >= x->told.first && epoch <= x->told.last;
}

/* What the peer's report frees: its word holds for epochs that come later too. */
static void apply_report(struct end *x)
{
	uint64_t end = now + x->e.config.grace_ms;
	uint32_t i;

	for (i = 0; i < x->count && x->told.sent && !x->told.none; i++)
		if (x->sa[i]->out == OUT_READY && x->sa[i]->epoch < x->told.first) {
			x->sa[i]->in_free = earlier(x->sa[i]->in_free, end);
			x->sa[i]->out_free = 0;
		}
}

static void model_add(struct end *x, uint64_t epoch, bool queue)
{
	struct model_sa *sa = calloc(1, sizeof(*sa));

	require(sa && x->count < MAX_SLOTS);
	*sa = (struct model_sa){epoch, !queue, false, queue ? OUT_QUEUED : OUT_READY, NEVER, NEVER};
	x->sa[x->count++] = sa;
}

static void model_forget(struct end *x, struct model_sa *sa)
{
	uint32_t i = 0;

	require(!sa->in && (sa->out == OUT_NONE || sa->out == OUT_QUEUED));
	if (sa->out == OUT_QUEUED)
		x->excused[sa->epoch % EPOCHS] = true;
	while (x->sa[i] != sa)
		i++;
	memmove(&x->sa[i], &x->sa[i + 1], (x->count - i - 1) * sizeof(*x->sa));
	x->count--;
	free(sa);
}

/* --- what an end does ---------------------------------------------------------- */

static bool is_due(const struct qkd_epochs *e)
{
	return e->state != QKD_CHANNEL_ACTIVE || now >= e->due || e->forced;
}

/* Only forward, only to what the peer said it holds, and not before it is time. */
static void check_activate(struct end *x, struct model_sa *sa)
{
	bool peer_lost = x->e.out != QKD_EPOCH_NONE && x->e.out < x->told.first;

	require(sa && sa->out == OUT_READY && !sa->in_lost);
	require(at_peer(x, sa->epoch));
	require(x->used == NEVER || sa->epoch > x->used);
	require(is_due(&x->e) || peer_lost);
	if (x->limited && x->e.state == QKD_CHANNEL_ACTIVE && !x->e.forced && !peer_lost)
		require(now >= x->switched + QKD_LIMIT_INTERVAL_MS);
}

static void activated(struct end *x, struct model_sa *sa)
{
	struct model_sa *old = in_use(x);
	uint32_t i;

	if (old) {
		old->out = OUT_OLD;
		old->out_free = now + x->e.config.grace_ms;
	}
	sa->out = OUT_ACTIVE;
	x->used = sa->epoch;
	x->switched = now;
	x->limited = false;
	x->expired = false;
	for (i = 0; i < x->count; i++)
		if (x->sa[i]->out == OUT_READY && x->sa[i]->epoch < sa->epoch)
			x->sa[i]->out_free = 0;
}

/* When nothing may be sent any more; older SAs then go before their time. */
static bool must_block(const struct end *x)
{
	const struct qkd_epochs *e = &x->e;

	if (x->expired)
		return true;
	if (e->state != QKD_CHANNEL_OVERDUE)
		return false;
	if (e->config.on_exhausted == QKD_EXHAUSTED_BLOCK)
		return now >= e->due;
	return e->config.hard_ms && now >= e->due + e->config.hard_ms;
}

/* Nothing that ever was in use stands any more, but for what could not be removed. */
static void check_block(const struct end *x, const struct model_sa *sa)
{
	uint32_t i;

	require(must_block(x) && sa && sa->out == OUT_ACTIVE);
	for (i = 0; i < x->e.count; i++)
		require(sa_of(x, x->e.slot[i].epoch)->out != OUT_OLD || x->e.slot[i].stuck);
}

static void do_activate(struct end *x, struct model_sa *sa, int err)
{
	check_activate(x, sa);
	if (err)
		sa->out_free = 0;
	else
		activated(x, sa);
}

static void do_remove(struct end *x, struct model_sa *sa, bool out, int err)
{
	require(sa);
	if (out) {
		require(sa->out == OUT_READY || sa->out == OUT_OLD);
		require(now >= sa->out_free || must_block(x));
		sa->out = err ? sa->out : OUT_NONE;
	} else {
		require(sa->in && now >= sa->in_free);
		sa->in = err;
	}
}

/* The number of a queued epoch is free: nothing else that stands has it. */
static void do_install(struct end *x, struct model_sa *sa, int err)
{
	uint32_t i;

	require(sa && sa->out == OUT_QUEUED);
	for (i = 0; i < x->count; i++)
		require((!x->sa[i]->in && x->sa[i]->out <= OUT_QUEUED) ||
			x->sa[i]->epoch % 4 != sa->epoch % 4);
	x->excused[sa->epoch % EPOCHS] |= err != 0;
	sa->in = !err;
	sa->out = err ? OUT_NONE : OUT_READY;
}

static void carry_out(struct end *x, const struct qkd_action *a, int err)
{
	struct model_sa *sa = sa_of(x, a->epoch);

	require(a->type == QKD_ACTION_EXHAUSTED || a->slot->epoch == a->epoch);
	switch (a->type) {
	case QKD_ACTION_ACTIVATE:
		do_activate(x, sa, err);
		break;
	case QKD_ACTION_INSTALL:
		do_install(x, sa, err);
		break;
	case QKD_ACTION_REMOVE_IN:
	case QKD_ACTION_REMOVE_OUT:
		do_remove(x, sa, a->type == QKD_ACTION_REMOVE_OUT, err);
		break;
	case QKD_ACTION_FORGET:
		require(sa && a->slot->sa == sa);
		model_forget(x, sa);
		break;
	case QKD_ACTION_EXHAUSTED:
		require(x->e.state == QKD_CHANNEL_ACTIVE && now >= x->e.due);
		break;
	case QKD_ACTION_BLOCK:
		check_block(x, sa);
		sa->out = err ? OUT_ACTIVE : OUT_NONE;
		x->expired &= err != 0;
		break;
	}
}

static void check_slots(const struct end *x)
{
	const struct qkd_epochs *e = &x->e;
	const struct model_sa *active = in_use(x);
	uint32_t i;

	require(e->count == x->count && e->count <= e->capacity);
	require(qkd_epochs_ahead(e) <= e->config.lookahead);
	for (i = 0; i < e->count; i++) {
		require(e->slot[i].sa == x->sa[i] && e->slot[i].epoch == x->sa[i]->epoch);
		require(e->slot[i].epoch < e->next);
		require(!i || e->slot[i].epoch > e->slot[i - 1].epoch);
		require((e->slot[i].out == QKD_SA_QUEUED) == (x->sa[i]->out == OUT_QUEUED));
		require((e->slot[i].in == QKD_SA_QUEUED) == (x->sa[i]->out == OUT_QUEUED));
		require((e->slot[i].in != QKD_SA_NONE && e->slot[i].in != QKD_SA_QUEUED) ==
			x->sa[i]->in);
		require((e->slot[i].out != QKD_SA_NONE) == (x->sa[i]->out != OUT_NONE));
		require((e->slot[i].out == QKD_SA_ACTIVE) == (x->sa[i] == active));
	}
	require(e->out == (active ? active->epoch : QKD_EPOCH_NONE));
	require((e->state == QKD_CHANNEL_ACTIVE || e->state == QKD_CHANNEL_OVERDUE) == !!active);
}

/* It uses what it can: when nothing is due, that is nothing. */
static void check_no_wait(const struct end *x)
{
	bool peer_lost = x->told.sent && !x->told.none && x->e.out < x->told.first;
	uint32_t i;

	if (!is_due(&x->e) && !peer_lost)
		return;
	for (i = 0; i < x->e.count; i++)
		require(x->e.slot[i].out != QKD_SA_READY || !at_peer(x, x->e.slot[i].epoch));
}

/* Two epochs that stand never share an association number. */
static void check_numbers(const struct qkd_epochs *e)
{
	uint32_t i, seen = 0;

	for (i = 0; e->config.an_count && i < e->count && e->slot[i].out != QKD_SA_QUEUED; i++) {
		uint32_t bit = 1U << (e->slot[i].epoch % e->config.an_count);

		require(!(seen & bit));
		seen |= bit;
	}
}

/* Nothing to do before the deadline; and when it comes, there is, or it moves on. */
static void check_deadline(const struct end *x)
{
	struct qkd_epoch_slot slot[MAX_SLOTS];
	struct qkd_epochs copy = x->e;
	struct qkd_action a;
	uint64_t when = qkd_epochs_deadline(&x->e);

	require(when > now);
	memcpy(slot, x->slot, copy.count * sizeof(*slot));
	copy.slot = slot;
	require(!qkd_epochs_next(&copy, when - 1, &a));
	if (when != NEVER)
		require(qkd_epochs_next(&copy, when, &a) || qkd_epochs_deadline(&copy) > when);
}

/* Does what is due; @fail has one bit per step, used over and over. */
static void run(struct end *x, uint8_t fail)
{
	struct qkd_action a;
	uint32_t steps = 0;

	apply_report(x);
	while (qkd_epochs_next(&x->e, now, &a)) {
		int err = fail >> steps % 8 & 1 ? -EIO : 0;

		require(steps++ <= 8 * x->e.capacity + 8);
		carry_out(x, &a, a.type == QKD_ACTION_FORGET ? 0 : err);
		qkd_epochs_done(&x->e, now, &a, err);
		apply_report(x);
	}
	check_slots(x);
	check_no_wait(x);
	check_numbers(&x->e);
	check_deadline(x);
}

/* An end sends under no key that its peer has taken down of its own accord. */
static void check_heard(const struct end *x, const struct end *peer)
{
	const struct model_sa *active = in_use(x), *theirs;

	if (!active || peer->excused[active->epoch % EPOCHS])
		return;
	theirs = sa_of(peer, active->epoch);
	require(theirs && theirs->in);
}

/* --- what happens to an end ---------------------------------------------------- */

/* Return: whether it was put. */
static bool put(struct end *x, uint64_t epoch)
{
	int err = qkd_epochs_may_put(&x->e, epoch);
	bool queue = qkd_epochs_must_queue(&x->e, epoch);

	require((err == -ERANGE) == (epoch >= QKD_SPI_EPOCHS));
	require(err == -ERANGE || (err == -ESTALE) == (epoch < x->e.next));
	if (err)
		return false;
	require(x->put == NEVER || epoch > x->put);
	x->put = epoch;
	model_add(x, epoch, queue);
	qkd_epochs_put(&x->e, epoch, (uint32_t)(epoch * 2654435761U), x->sa[x->count - 1]);
	return true;
}

static void spend(struct end *x, uint64_t epoch)
{
	uint64_t before = x->e.next;

	qkd_epochs_spend(&x->e, epoch);
	require(x->e.next > epoch && x->e.next >= before);
	x->put = x->e.next - 1;
}

static void retire(struct end *x, uint64_t epoch)
{
	struct model_sa *sa = sa_of(x, epoch);
	int err = qkd_epochs_retire(&x->e, now, epoch);

	require((err == -ENOENT) == !sa);
	require(!sa || (err == -EBUSY) == (sa->out == OUT_ACTIVE));
	if (err)
		return;
	x->excused[epoch % EPOCHS] = true;
	sa->in_free = 0;
	sa->out_free = 0;
}

/*
 * Both KMs put the same epoch; what only one end took is taken back at once.
 * Return: whether both took it.
 */
static bool put_both(uint8_t how)
{
	uint64_t next = ends[ends[1].e.next > ends[0].e.next].e.next + how % 3;
	bool a = !(how & 0x80) && put(&ends[0], next);
	bool b = !(how & 0x40) && put(&ends[1], next);

	if (a != b)
		retire(&ends[a ? 0 : 1], next);
	return a && b;
}

/* What the peer does not hold, and will not: the KM takes it back. */
static void retire_lonely(struct end *x, const struct end *peer)
{
	uint32_t i;

	for (i = 0; i < x->count; i++) {
		const struct model_sa *theirs = sa_of(peer, x->sa[i]->epoch);

		if (!theirs || theirs->in_lost ||
		    (!theirs->in && theirs->out != OUT_ACTIVE && theirs->out != OUT_QUEUED))
			retire(x, x->sa[i]->epoch);
	}
}

/* Without the SA in use, older ones would be found by packets. */
static void free_outbound(struct end *x)
{
	uint32_t i;

	x->expired = false;
	for (i = 0; i < x->count; i++) {
		if (x->sa[i]->out == OUT_ACTIVE)
			x->sa[i]->out = OUT_OLD;
		if (x->sa[i]->out == OUT_OLD)
			x->sa[i]->out_free = 0;
	}
}

/*
 * What would not go into use here, and is not in use there, is of no use: unless the KMs
 * retire it at both ends, it keeps its number for as long as there is no later epoch.
 */
static void retire_failed(struct end *x, struct end *peer)
{
	uint32_t i;

	for (i = 0; i < x->count; i++) {
		const struct model_sa *sa = x->sa[i], *theirs = sa_of(peer, sa->epoch);

		if (!sa->in || sa->out != OUT_NONE || (x->used != NEVER && sa->epoch <= x->used))
			continue;
		if (!theirs || theirs->out == OUT_ACTIVE || theirs->out == OUT_OLD)
			continue;
		retire(peer, sa->epoch);
		retire(x, sa->epoch);
	}
}

static void lose(struct end *x, uint8_t which)
{
	struct qkd_epoch_slot *s;
	struct model_sa *sa;
	uint8_t before;
	bool out;

	if (!x->e.count)
		return;
	s = &x->e.slot[which % x->e.count];
	sa = s->sa;
	before = s->in;
	out = which & 0x80 && (sa->out == OUT_ACTIVE || sa->out == OUT_OLD);
	qkd_epochs_lost(&x->e, now, s, which & 0x40, out);
	if (which & 0x40 && sa->in && before == QKD_SA_ACTIVE) {
		x->excused[sa->epoch % EPOCHS] = true;
		sa->in_lost = true;
		sa->in_free = 0;
		sa->out_free = sa->out == OUT_READY ? 0 : sa->out_free;
	}
	if (out && sa->out == OUT_ACTIVE)
		free_outbound(x);
}

/* The owner had the next SA at hand, and is with it already. */
static void switch_by_itself(struct end *x)
{
	const struct qkd_epoch_slot *s = qkd_epochs_standby(&x->e);
	struct qkd_action a = {.type = QKD_ACTION_ACTIVATE};

	if (!s || now < x->switched + QKD_LIMIT_INTERVAL_MS)
		return;
	a.epoch = s->epoch;
	require(!qkd_epochs_limit(&x->e, now));
	x->limited = true;
	do_activate(x, sa_of(x, a.epoch), 0);
	qkd_epochs_done(&x->e, now, &a, 0);
}

/* So much was sent that the key is to be changed, or must not be used any more. */
static void reach_limit(struct end *x, uint8_t how)
{
	if (how & 2) {
		switch_by_itself(x);
	} else if (how & 1) {
		qkd_epochs_expired(&x->e);
		x->expired |= in_use(x) != NULL;
	} else {
		qkd_epochs_limit(&x->e, now);
		x->limited |= x->e.state == QKD_CHANNEL_ACTIVE;
	}
}

static struct report report_of(const struct end *x)
{
	struct report r = {.sent = true, .out = x->e.out};

	r.none = !qkd_epochs_inbound(&x->e, &r.first, &r.last);
	return r;
}

static void deliver(struct end *x, struct report r)
{
	uint32_t i;

	if (!r.sent)
		return;
	require(!qkd_epochs_watermark(&x->e, now, r.first, r.last, r.out, r.none));
	x->told = r;
	for (i = 0; i < x->count && r.out != QKD_EPOCH_NONE; i++)
		if (x->sa[i]->epoch < r.out)
			x->sa[i]->in_free = earlier(x->sa[i]->in_free, now + x->e.config.grace_ms);
}

static void force(struct end *x)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < x->count; i++)
		any |= x->e.slot[i].out == QKD_SA_READY && at_peer(x, x->sa[i]->epoch);
	require(qkd_epochs_force(&x->e) == (any ? 0 : -EAGAIN));
}

static void refuse(struct end *x, uint8_t a)
{
	struct qkd_epochs before = x->e;

	require(qkd_epochs_watermark(&x->e, now, a + 1, a, a, false) == -EINVAL);
	require(qkd_epochs_watermark(&x->e, now, a, QKD_EPOCH_NONE, a, false) == -EINVAL);
	require(x->e.peer_first == before.peer_first && x->e.peer_last == before.peer_last);
	require(x->e.peer_out == before.peer_out && x->e.next == before.next);
}

static void step(struct input *in)
{
	uint8_t op = octet(in), a = octet(in), fail = op & 0x40 ? octet(in) : 0;
	struct end *x = &ends[op >> 7], *peer = &ends[!(op >> 7)];

	switch (op & 15) {
	case 0:
	case 1:
	case 2:
		put_both(a);
		break;
	case 3: /* a report is written ... */
	case 4:
		x->mail[a % MAIL] = report_of(x);
		break;
	case 5: /* ... and read, once, often, or never */
	case 6:
		deliver(x, peer->mail[a % MAIL]);
		break;
	case 7:
		deliver(x, report_of(peer));
		break;
	case 8:
		force(x);
		break;
	case 9:
		retire_lonely(x, peer);
		break;
	case 10:
		lose(x, a);
		break;
	case 11:
		reach_limit(x, a);
		break;
	case 12:
		spend(x, x->e.next + a % 4);
		break;
	case 13:
		refuse(x, a);
		break;
	default:
		now += (uint64_t)(a % 16 + 1) << (a / 16);
	}
	run(x, fail);
	if (!(op & 0x20))
		run(peer, fail);
	check_heard(x, peer);
	check_heard(peer, x);
}

/* --- a channel ----------------------------------------------------------------- */

static struct qkd_epochs_config configuration(struct input *in)
{
	uint8_t a = octet(in), b = octet(in), c = octet(in);
	bool macsec = a & 1;
	struct qkd_epochs_config config = {
		.lookahead = macsec ? 1 + (a >> 1) % 5 : 1 + (a >> 1) % 9,
		.rollover_ms = 100U << b % 8,
		.on_exhausted = c & 1 ? QKD_EXHAUSTED_BLOCK : QKD_EXHAUSTED_HOLD,
		.an_count = macsec ? 4 : 0,
	};

	config.jitter_ms = config.rollover_ms / 6 * ((c >> 3) % 4);
	config.grace_ms = macsec ? 99 + b / 8 % 2 : 100U << b / 8 % 4;
	if (config.grace_ms >= config.rollover_ms && macsec)
		config.grace_ms = config.rollover_ms - 1;
	if (!(c & 1))
		config.hard_ms = (c >> 1) % 4 * 300U;
	return config;
}

static void begin(struct end *x, const struct qkd_epochs_config *config, uint64_t first)
{
	uint32_t capacity = qkd_epochs_capacity(config);

	require(capacity <= MAX_SLOTS);
	memset(x, 0, sizeof(*x));
	x->put = NEVER;
	x->used = NEVER;
	qkd_epochs_init(&x->e, config, x->slot, capacity, first);
}

static void finish(struct end *x)
{
	while (x->count)
		free(x->sa[--x->count]);
}

/* Everything arrives, nothing fails. */
static void good_times(uint32_t rounds)
{
	while (rounds--) {
		int i;

		if (!put_both(0)) /* its number may never be free */
			put_both(1);
		for (i = 0; i < 2; i++)
			retire_lonely(&ends[i], &ends[!i]);
		retire_failed(&ends[0], &ends[1]);
		retire_failed(&ends[1], &ends[0]);
		run(&ends[0], 0);
		run(&ends[1], 0);
		deliver(&ends[0], report_of(&ends[1]));
		run(&ends[0], 0);
		deliver(&ends[1], report_of(&ends[0]));
		run(&ends[1], 0);
		now += ends[0].e.config.rollover_ms / 4 + 1;
		check_heard(&ends[0], &ends[1]);
		check_heard(&ends[1], &ends[0]);
	}
}

/* Whatever happened: it comes back, and goes on. */
static void check_recovery(void)
{
	uint64_t grace = ends[0].e.config.grace_ms + QKD_EPOCHS_RETRY_MS;
	uint32_t rounds = 32 + (uint32_t)(8 * grace / ends[0].e.config.rollover_ms);
	uint64_t a, b;

	good_times(rounds);
	a = ends[0].used;
	b = ends[1].used;
	require(a != NEVER && b != NEVER);
	good_times(rounds);
	require(ends[0].used > a && ends[1].used > b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct qkd_epochs_config config = configuration(&in);
	uint64_t first = octet(&in);

	now = 1000;
	begin(&ends[0], &config, first);
	begin(&ends[1], &config, first);
	while (in.left)
		step(&in);
	check_recovery();
	finish(&ends[0]);
	finish(&ends[1]);
	return 0;
}
