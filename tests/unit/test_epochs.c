// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a channel's epochs, step by step, and two ends under random load. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "epochs.h"
#include "spi.h"

#define NONE QKD_EPOCH_NONE

/* One end: its epochs, a clock, and a trace of what it was told to do. */
struct end {
	struct qkd_epochs e;
	struct qkd_epoch_slot *slot;
	u64 now;
	u64 fail_activate; /* this epoch cannot be activated */
	u64 fail_remove;   /* the outbound SA of this one cannot be removed */
	char trace[512];
};

static const struct qkd_epochs_config esp = {
	.lookahead = 3,
	.rollover_ms = 1000,
	.grace_ms = 300,
	.hard_ms = 2000,
	.on_exhausted = QKD_EXHAUSTED_HOLD,
};

static void begin(struct end *t, const struct qkd_epochs_config *config, u64 first)
{
	u32 capacity = qkd_epochs_capacity(config);

	memset(t, 0, sizeof(*t));
	t->slot = calloc(capacity, sizeof(*t->slot));
	assert_non_null(t->slot);
	t->now = 5000;
	t->fail_activate = NONE;
	t->fail_remove = NONE;
	qkd_epochs_init(&t->e, config, t->slot, capacity, first);
}

static void end(struct end *t)
{
	free(t->slot);
}

/* Does all that is due; the trace names it: +1 activate, i1 o1 removed, f1, X, B1. */
static const char *run(struct end *t)
{
	static const char *const name[] = {
		[QKD_ACTION_ACTIVATE] = "+",   [QKD_ACTION_REMOVE_IN] = "i",
		[QKD_ACTION_REMOVE_OUT] = "o", [QKD_ACTION_FORGET] = "f",
		[QKD_ACTION_EXHAUSTED] = "X",  [QKD_ACTION_BLOCK] = "B",
		[QKD_ACTION_INSTALL] = "q",
	};
	struct qkd_action a;
	size_t len = 0;

	t->trace[0] = '\0';
	while (qkd_epochs_next(&t->e, t->now, &a)) {
		bool fails = a.type == QKD_ACTION_ACTIVATE ? a.epoch == t->fail_activate
			     : a.type == QKD_ACTION_REMOVE_OUT || a.type == QKD_ACTION_BLOCK
				     ? a.epoch == t->fail_remove
				     : false;
		int n;

		if (a.type == QKD_ACTION_EXHAUSTED) {
			assert_null(a.slot);
			n = snprintf(t->trace + len, sizeof(t->trace) - len, "%sX", len ? " " : "");
		} else {
			assert_non_null(a.slot);
			assert_int_equal(a.slot->epoch, a.epoch);
			n = snprintf(t->trace + len, sizeof(t->trace) - len, "%s%s%llu%s",
				     len ? " " : "", name[a.type], (unsigned long long)a.epoch,
				     fails ? "!" : "");
		}
		len += (size_t)n;
		assert_true(len < sizeof(t->trace));
		qkd_epochs_done(&t->e, t->now, &a, fails ? -EEXIST : 0);
	}
	/* Nothing is left for now, so the deadline is ahead. */
	assert_true(qkd_epochs_deadline(&t->e) > t->now);
	return t->trace;
}

static void put(struct end *t, u64 epoch)
{
	assert_int_equal(qkd_epochs_may_put(&t->e, epoch), 0);
	qkd_epochs_put(&t->e, epoch, (u32)epoch * 2654435761U, NULL);
}

static void put_all(struct end *t, u64 first, u64 last)
{
	for (; first <= last; first++)
		put(t, first);
}

static void watermark(struct end *t, u64 first, u64 last, u64 peer_out)
{
	assert_int_equal(qkd_epochs_watermark(&t->e, t->now, first, last, peer_out, false), 0);
}

static const char *after(struct end *t, u64 ms)
{
	t->now += ms;
	return run(t);
}

static void outbound_waits_for_the_peer(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put(&t, 0);
	assert_string_equal(run(&t), "");
	assert_int_equal(t.e.state, QKD_CHANNEL_IDLE);
	assert_int_equal(qkd_epochs_deadline(&t.e), ~0ULL);
	watermark(&t, 1, 2, NONE);
	assert_string_equal(after(&t, 300), "o0 i0 f0"); /* dropped by the peer */
	put_all(&t, 1, 2);
	assert_string_equal(run(&t), "+1");
	assert_int_equal(t.e.state, QKD_CHANNEL_ACTIVE);
	assert_int_equal(t.e.out, 1);
	end(&t);
}

static void rolls_over_on_time_and_cleans_up(void **state)
{
	struct end t;

	begin(&t, &esp, 7);
	put_all(&t, 7, 9);
	watermark(&t, 7, 9, 7);
	assert_string_equal(run(&t), "+7");
	assert_int_equal(qkd_epochs_deadline(&t.e), t.now + 1000);
	assert_string_equal(after(&t, 999), "");
	assert_string_equal(after(&t, 1), "+8");
	assert_int_equal(qkd_epochs_deadline(&t.e), t.now + 300);
	assert_string_equal(after(&t, 300), "o7");
	watermark(&t, 7, 9, 8);
	assert_string_equal(after(&t, 299), "");
	assert_string_equal(after(&t, 1), "i7 f7");
	end(&t);
}

/* 20 ms late: the next is early by as much. Half a period late: it is not. */
static void keeps_the_pace(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, NONE);
	run(&t);
	assert_string_equal(after(&t, 1020), "+1");
	assert_int_equal(t.e.due, t.now + 980);
	assert_string_equal(after(&t, 1600), "+2 o0");
	assert_int_equal(t.e.due, t.now + 1000);
	end(&t);
}

static void hold_keeps_the_key_then_blocks(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put(&t, 0);
	watermark(&t, 0, 0, NONE);
	assert_string_equal(run(&t), "+0");
	assert_string_equal(after(&t, 1000), "X");
	assert_int_equal(t.e.state, QKD_CHANNEL_OVERDUE);
	assert_int_equal(t.e.out, 0);
	assert_string_equal(after(&t, 1999), "");
	assert_string_equal(after(&t, 1), "B0");
	assert_int_equal(t.e.state, QKD_CHANNEL_BLOCKED);
	assert_int_equal(t.e.out, NONE);
	/* A later key ends it at once, an earlier one cannot be put. */
	assert_int_equal(qkd_epochs_may_put(&t.e, 0), -ESTALE);
	put(&t, 1);
	assert_string_equal(run(&t), "");
	watermark(&t, 0, 1, NONE);
	assert_string_equal(run(&t), "+1");
	assert_int_equal(t.e.state, QKD_CHANNEL_ACTIVE);
	end(&t);
}

static void hold_ends_when_a_key_comes(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put(&t, 0);
	watermark(&t, 0, 5, NONE);
	run(&t);
	assert_string_equal(after(&t, 1500), "X");
	put(&t, 1);
	assert_int_equal(qkd_epochs_deadline(&t.e), 0);
	assert_string_equal(run(&t), "+1");
	assert_int_equal(t.e.due, t.now + 1000);
	end(&t);
}

static void hold_without_a_limit_never_blocks(void **state)
{
	struct qkd_epochs_config config = esp;
	struct end t;

	config.hard_ms = 0;
	begin(&t, &config, 0);
	put(&t, 0);
	watermark(&t, 0, 0, NONE);
	run(&t);
	assert_string_equal(after(&t, 1000), "X");
	assert_int_equal(qkd_epochs_deadline(&t.e), ~0ULL);
	assert_string_equal(after(&t, 1000000000), "");
	assert_int_equal(t.e.out, 0);
	end(&t);
}

static void block_stops_at_once(void **state)
{
	struct qkd_epochs_config config = esp;
	struct end t;

	config.on_exhausted = QKD_EXHAUSTED_BLOCK;
	begin(&t, &config, 0);
	put(&t, 0);
	watermark(&t, 0, 0, NONE);
	run(&t);
	assert_string_equal(after(&t, 1000), "X B0");
	assert_int_equal(t.e.out, NONE);
	/* The inbound SA stays for the peer. */
	assert_int_equal(t.slot[0].in, QKD_SA_ACTIVE);
	end(&t);
}

/* Old SAs in a long grace time must not carry the traffic on. */
static void block_takes_older_ones_down_first(void **state)
{
	struct qkd_epochs_config config = esp;
	struct end t;

	config.on_exhausted = QKD_EXHAUSTED_BLOCK;
	config.grace_ms = 2500;
	begin(&t, &config, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, NONE);
	assert_string_equal(run(&t), "+0");
	assert_string_equal(after(&t, 1000), "+1");
	assert_string_equal(after(&t, 1000), "+2");
	assert_int_equal(t.slot[0].out, QKD_SA_GRACE);
	assert_string_equal(after(&t, 1000), "X o0 o1 B2");
	assert_int_equal(t.e.out, NONE);
	end(&t);
}

static void the_hard_limit_takes_older_ones_down_first(void **state)
{
	struct qkd_epochs_config config = esp;
	struct end t;

	config.grace_ms = 2500;
	config.hard_ms = 500;
	begin(&t, &config, 0);
	put_all(&t, 0, 1);
	watermark(&t, 0, 1, NONE);
	assert_string_equal(run(&t), "+0");
	assert_string_equal(after(&t, 1000), "+1");
	assert_string_equal(after(&t, 1000), "X");
	assert_int_equal(t.slot[0].out, QKD_SA_GRACE);
	assert_string_equal(after(&t, 500), "o0 B1");
	end(&t);
}

/* As long as the SA in use stands, the channel does not say that it blocks. */
static void a_block_that_fails_is_tried_again(void **state)
{
	struct qkd_epochs_config config = esp;
	struct end t;

	config.on_exhausted = QKD_EXHAUSTED_BLOCK;
	config.grace_ms = 60000;
	begin(&t, &config, 0);
	put_all(&t, 0, 1);
	watermark(&t, 0, 1, NONE);
	run(&t);
	assert_string_equal(after(&t, 1000), "+1");
	t.fail_remove = 1;
	assert_string_equal(after(&t, 1000), "X o0 B1!");
	assert_int_equal(t.e.state, QKD_CHANNEL_OVERDUE);
	assert_int_equal(t.e.out, 1);
	assert_int_equal(qkd_epochs_deadline(&t.e), t.now + QKD_EPOCHS_RETRY_MS);
	assert_string_equal(after(&t, QKD_EPOCHS_RETRY_MS), "B1!");
	t.fail_remove = NONE;
	assert_string_equal(after(&t, QKD_EPOCHS_RETRY_MS), "B1");
	assert_int_equal(t.e.state, QKD_CHANNEL_BLOCKED);
	end(&t);
}

/* An old SA that will not go keeps neither the block nor its slot from being told. */
static void a_removal_that_fails_is_tried_again(void **state)
{
	struct qkd_epochs_config config = esp;
	struct end t;

	config.on_exhausted = QKD_EXHAUSTED_BLOCK;
	begin(&t, &config, 0);
	put_all(&t, 0, 1);
	watermark(&t, 0, 1, 1);
	run(&t);
	assert_string_equal(after(&t, 1000), "+1 i0");
	t.fail_remove = 0;
	assert_string_equal(after(&t, 300), "o0!");
	assert_int_equal(t.slot[0].out, QKD_SA_GRACE);
	assert_string_equal(after(&t, 700), "X B1");
	assert_string_equal(after(&t, 300), "o0!");
	t.fail_remove = NONE;
	assert_string_equal(after(&t, QKD_EPOCHS_RETRY_MS), "o0 f0");
	end(&t);
}

static void watermark_bounds_the_switch(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 0, NONE);
	assert_string_equal(run(&t), "+0");
	assert_string_equal(after(&t, 1000), "X");
	watermark(&t, 0, 1, NONE);
	assert_string_equal(run(&t), "+1");
	assert_int_equal(qkd_epochs_watermark(&t.e, t.now, 3, 2, NONE, false), -EINVAL);
	assert_int_equal(qkd_epochs_watermark(&t.e, t.now, 0, NONE, NONE, false), -EINVAL);
	assert_int_equal(t.e.peer_last, 1);
	end(&t);
}

/* The peer rebooted: it holds only later epochs. */
static void moves_when_the_peer_lost_the_key_in_use(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, 0);
	assert_string_equal(run(&t), "+0");
	assert_int_equal(qkd_epochs_watermark(&t.e, t.now, 0, 0, NONE, true), 0);
	assert_string_equal(run(&t), "");
	assert_int_equal(t.e.out, 0);
	watermark(&t, 5, 5, NONE);
	assert_string_equal(run(&t), "o1 o2"); /* never to be used any more */
	assert_string_equal(after(&t, 10), "");
	put(&t, 5);
	assert_string_equal(run(&t), "+5");
	assert_string_equal(after(&t, 300), "o0 i1 f1 i2 f2");
	end(&t);
}

static void forced_switch(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	assert_int_equal(qkd_epochs_force(&t.e), -EAGAIN);
	put_all(&t, 0, 1);
	watermark(&t, 0, 0, NONE);
	run(&t);
	assert_int_equal(qkd_epochs_force(&t.e), -EAGAIN);
	watermark(&t, 0, 1, NONE);
	assert_string_equal(run(&t), "");
	assert_int_equal(qkd_epochs_force(&t.e), 0);
	assert_string_equal(run(&t), "+1");
	assert_int_equal(t.e.due, t.now + 1000);
	assert_false(t.e.forced);
	end(&t);
}

static void failed_activation_tries_the_next(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, NONE);
	t.fail_activate = 0;
	assert_string_equal(run(&t), "+0! +1 o0");
	assert_int_equal(t.e.out, 1);
	/* Inbound of 0 stands: the peer may use it. */
	assert_int_equal(t.slot[0].in, QKD_SA_ACTIVE);
	end(&t);
}

static void forced_switch_that_fails_is_not_repeated(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 1);
	watermark(&t, 0, 1, NONE);
	run(&t);
	t.fail_activate = 1;
	assert_int_equal(qkd_epochs_force(&t.e), 0);
	assert_string_equal(run(&t), "+1! o1");
	assert_false(t.e.forced);
	put(&t, 2);
	watermark(&t, 0, 2, NONE);
	assert_string_equal(run(&t), "");
	end(&t);
}

static void retire(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, NONE);
	run(&t);
	assert_int_equal(qkd_epochs_retire(&t.e, t.now, 9), -ENOENT);
	assert_int_equal(qkd_epochs_retire(&t.e, t.now, 0), -EBUSY);
	assert_int_equal(qkd_epochs_retire(&t.e, t.now, 1), 0);
	assert_string_equal(run(&t), "o1 i1 f1");
	assert_int_equal(qkd_epochs_may_put(&t.e, 1), -ESTALE);
	assert_int_equal(qkd_epochs_retire(&t.e, t.now, 1), -ENOENT);
	assert_string_equal(after(&t, 1000), "+2");
	/* One in grace goes at once. */
	assert_int_equal(qkd_epochs_retire(&t.e, t.now, 0), 0);
	assert_string_equal(run(&t), "o0 i0 f0");
	end(&t);
}

static struct qkd_epoch_slot *lost(struct end *t, u32 i, bool in, bool out, bool matters)
{
	assert_int_equal(qkd_epochs_lost(&t->e, t->now, &t->slot[i], in, out), matters);
	return &t->slot[i];
}

/* Somebody flushed all SAs: the peer is told of none, both begin anew. */
static void all_sas_are_lost(void **state)
{
	u64 first, last;
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, 0);
	assert_string_equal(run(&t), "+0");
	assert_string_equal(after(&t, 1000), "+1");
	lost(&t, 0, true, true, true);
	lost(&t, 1, true, true, true);
	lost(&t, 2, true, false, true);
	assert_int_equal(t.e.state, QKD_CHANNEL_IDLE);
	assert_int_equal(t.e.out, NONE);
	assert_false(qkd_epochs_inbound(&t.e, &first, &last));
	lost(&t, 1, true, true, false); /* told once */
	assert_string_equal(run(&t), "o0 i0 f0 o1 i1 f1 o2 i2 f2");
	assert_int_equal(qkd_epochs_may_put(&t.e, 2), -ESTALE);
	put_all(&t, 3, 4);
	watermark(&t, 3, 4, 1);
	assert_string_equal(run(&t), "+3");
	assert_int_equal(t.e.state, QKD_CHANNEL_ACTIVE);
	assert_string_equal(after(&t, 300), "");
	end(&t);
}

static void one_sa_is_lost(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, 0);
	assert_string_equal(run(&t), "+0");
	/* Inbound of the epoch in use: this end goes on with it. */
	assert_int_equal(lost(&t, 0, true, false, true)->out, QKD_SA_ACTIVE);
	assert_string_equal(run(&t), "i0");
	/* Outbound in use: the next one takes over, none of the past. */
	lost(&t, 0, false, true, true);
	assert_string_equal(run(&t), "+1 o0 f0");
	/* What is in its grace time goes anyway. */
	assert_string_equal(after(&t, 1000), "+2");
	lost(&t, 0, false, true, false);
	assert_string_equal(after(&t, 300), "o1");
	end(&t);
}

static void what_may_be_put(void **state)
{
	struct end t;

	begin(&t, &esp, 10);
	assert_int_equal(qkd_epochs_may_put(&t.e, 9), -ESTALE);
	assert_int_equal(qkd_epochs_may_put(&t.e, QKD_SPI_EPOCHS), -ERANGE);
	assert_int_equal(qkd_epochs_may_put(&t.e, NONE), -ERANGE);
	assert_int_equal(qkd_epochs_may_put(&t.e, QKD_SPI_EPOCHS - 1), 0);
	put(&t, 10);
	qkd_epochs_spend(&t.e, 11);
	assert_int_equal(qkd_epochs_may_put(&t.e, 11), -ESTALE);
	put(&t, 20);
	assert_int_equal(qkd_epochs_may_put(&t.e, 15), -ESTALE);
	put(&t, 21);
	assert_int_equal(qkd_epochs_may_put(&t.e, 22), -ENOBUFS);
	assert_int_equal(qkd_epochs_ready(&t.e), 3);
	watermark(&t, 10, 10, NONE);
	run(&t);
	assert_int_equal(qkd_epochs_may_put(&t.e, 22), 0);
	end(&t);
}

/* Of a lookahead of 3. One that is used at each switch is no news. */
static void low_is_less_than_half(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	for (u64 epoch = 0; epoch < 3; epoch++)
		put(&t, epoch);
	watermark(&t, 0, 2, NONE);
	run(&t);
	assert_int_equal(qkd_epochs_ahead(&t.e), 2);
	assert_false(qkd_epochs_is_low(&t.e, qkd_epochs_ahead(&t.e)));
	after(&t, 1000);
	assert_int_equal(qkd_epochs_ahead(&t.e), 1);
	assert_true(qkd_epochs_is_low(&t.e, qkd_epochs_ahead(&t.e)));
	end(&t);
}

/* A peer that never moves cannot make this end pile up inbound SAs. */
static void a_silent_peer_fills_the_slots_at_most(void **state)
{
	struct end t;
	u64 epoch;

	begin(&t, &esp, 0);
	for (epoch = 0; !qkd_epochs_may_put(&t.e, epoch); epoch++) {
		assert_true(epoch < t.e.capacity);
		put(&t, epoch);
		watermark(&t, 0, epoch, NONE);
		after(&t, 1000);
		assert_int_equal(t.e.out, epoch);
	}
	assert_int_equal(epoch, t.e.capacity);
	assert_int_equal(qkd_epochs_may_put(&t.e, epoch), -ENOBUFS);
	watermark(&t, 0, epoch - 1, epoch - 1);
	after(&t, 300);
	assert_int_equal(qkd_epochs_may_put(&t.e, epoch), 0);
	end(&t);
}

static const struct qkd_epochs_config macsec = {
	.lookahead = 6,
	.rollover_ms = 1000,
	.grace_ms = 300,
	.hard_ms = 2000,
	.on_exhausted = QKD_EXHAUSTED_HOLD,
	.an_count = 4,
};

static void epochs_queue_for_their_number(void **state)
{
	struct end t;

	begin(&t, &macsec, 0);
	put_all(&t, 0, 3);
	watermark(&t, 0, 3, NONE);
	assert_string_equal(run(&t), "+0");
	assert_true(qkd_epochs_must_queue(&t.e, 4));
	put_all(&t, 4, 6);
	assert_int_equal(qkd_epochs_queued(&t.e), 3);
	assert_int_equal(qkd_epochs_may_put(&t.e, 7), -ENOBUFS); /* lookahead */
	assert_string_equal(run(&t), "");
	assert_string_equal(after(&t, 1000), "+1");
	watermark(&t, 0, 3, 1);
	assert_string_equal(after(&t, 300), "o0 i0 f0 q4");
	assert_int_equal(qkd_epochs_queued(&t.e), 2);
	assert_int_equal(qkd_epochs_ready(&t.e), 3);
	end(&t);
}

static void the_queue_is_left_in_order(void **state)
{
	struct end t;

	begin(&t, &macsec, 0);
	put_all(&t, 0, 3);
	watermark(&t, 0, 3, NONE);
	run(&t);
	put_all(&t, 4, 5);
	assert_int_equal(qkd_epochs_retire(&t.e, t.now, 1), 0);
	assert_string_equal(run(&t), "o1 i1 f1"); /* 5 has its number, 4 not */
	assert_true(qkd_epochs_must_queue(&t.e, 9));
	assert_int_equal(qkd_epochs_retire(&t.e, t.now, 4), 0);
	assert_string_equal(run(&t), "q5 f4");
	end(&t);
}

static void what_can_never_have_its_number_is_given_up(void **state)
{
	struct end t;

	begin(&t, &macsec, 0);
	put(&t, 0);
	assert_int_equal(qkd_epochs_may_put(&t.e, 4), -ENOBUFS);
	put(&t, 1);
	put(&t, 4);
	watermark(&t, 0, 1, NONE);
	assert_string_equal(run(&t), "+0");
	assert_int_equal(qkd_epochs_retire(&t.e, t.now, 1), 0);
	assert_string_equal(run(&t), "o1 i1 f1 f4");
	put(&t, 5);
	watermark(&t, 0, 5, 0);
	assert_string_equal(after(&t, 1000), "+5");
	end(&t);
}

static void a_failed_epoch_does_not_keep_the_queue(void **state)
{
	struct end t;

	begin(&t, &macsec, 0);
	put_all(&t, 0, 1);
	put_all(&t, 4, 5);
	t.fail_activate = 1;
	watermark(&t, 0, 1, NONE);
	assert_string_equal(run(&t), "+0");
	assert_string_equal(after(&t, 1000), "+1! X o1 f4 f5");
	put(&t, 6);
	watermark(&t, 0, 6, NONE);
	assert_string_equal(run(&t), "+6");
	end(&t);
}

/* The peer can still move on from what has the number, to what stands here. */
static void an_end_that_is_blocked_keeps_its_queue(void **state)
{
	struct qkd_epochs_config block = macsec;
	struct end t;

	block.on_exhausted = QKD_EXHAUSTED_BLOCK;
	block.hard_ms = 0;
	begin(&t, &block, 0);
	put_all(&t, 0, 1);
	put(&t, 4);
	watermark(&t, 0, 1, 0);
	assert_string_equal(run(&t), "+0");
	assert_string_equal(after(&t, 1000), "+1");
	assert_string_equal(after(&t, 1000), "X o0 B1");
	watermark(&t, 1, 4, 1);
	assert_string_equal(after(&t, 300), "i0 f0 q4 +4");
	end(&t);
}

static void what_is_blocked_is_forgotten(void **state)
{
	struct qkd_epochs_config config = macsec;
	struct end t;

	config.on_exhausted = QKD_EXHAUSTED_BLOCK;
	begin(&t, &config, 0);
	put(&t, 0);
	watermark(&t, 0, 0, 1);
	assert_string_equal(run(&t), "+0");
	assert_string_equal(after(&t, 300), "i0");
	assert_string_equal(after(&t, 700), "X B0 f0");
	assert_int_equal(t.e.count, 0);
	end(&t);
}

static void nothing_older_is_found_when_the_one_in_use_is_lost(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 1);
	watermark(&t, 0, 1, NONE);
	run(&t);
	assert_string_equal(after(&t, 1000), "+1");
	assert_true(qkd_epochs_lost(&t.e, t.now, &t.slot[1], false, true));
	assert_string_equal(run(&t), "o0 o1");
	end(&t);
}

static void passed_epochs_leave_the_queue(void **state)
{
	struct end t;

	begin(&t, &macsec, 0);
	put_all(&t, 0, 5);
	assert_int_equal(qkd_epochs_queued(&t.e), 2);
	watermark(&t, 6, 7, 6);
	assert_string_equal(run(&t), "o0 o1 o2 o3 f4 f5");
	end(&t);
}

static void a_failed_installation_is_forgotten(void **state)
{
	struct qkd_action a;
	struct end t;

	begin(&t, &macsec, 0);
	put_all(&t, 0, 4);
	watermark(&t, 1, 3, 1);
	t.now += 300;
	while (qkd_epochs_next(&t.e, t.now, &a) && a.type != QKD_ACTION_INSTALL)
		qkd_epochs_done(&t.e, t.now, &a, 0);
	assert_int_equal(a.epoch, 4);
	qkd_epochs_done(&t.e, t.now, &a, -EIO);
	assert_string_equal(run(&t), "f4");
	end(&t);
}

static void a_soft_limit_makes_it_due(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, NONE);
	run(&t);
	t.now += 500;
	assert_false(qkd_epochs_limit(&t.e, t.now));
	assert_string_equal(run(&t), "+1");
	assert_int_equal(t.e.due, t.now + 1000);
	assert_true(qkd_epochs_limit(&t.e, t.now)); /* too soon: waits, once */
	assert_false(qkd_epochs_limit(&t.e, t.now));
	assert_string_equal(after(&t, QKD_LIMIT_INTERVAL_MS - 1), "");
	assert_string_equal(after(&t, 1), "+2");
	assert_false(qkd_epochs_limit(&t.e, t.now + 100));
	assert_string_equal(after(&t, 100), "X");
	end(&t);
}

static void only_removals_wait_for_each_other(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, NONE);
	run(&t);
	assert_int_equal(qkd_epochs_wake(&t.e, 16), t.e.due);
	t.now += 1000;
	run(&t);
	assert_int_equal(qkd_epochs_deadline(&t.e), t.now + esp.grace_ms);
	assert_int_equal(qkd_epochs_wake(&t.e, 1), t.now + esp.grace_ms);
	assert_int_equal(qkd_epochs_wake(&t.e, 16), (t.now + esp.grace_ms + 15) / 16 * 16);
	t.e.due = t.now + esp.grace_ms + 1; /* a switch waits for no removal */
	assert_int_equal(qkd_epochs_wake(&t.e, 64), t.e.due);
	end(&t);
}

static u64 standby(const struct end *t)
{
	const struct qkd_epoch_slot *s = qkd_epochs_standby(&t->e);

	return s ? s->epoch : NONE;
}

static void the_standby_is_what_a_soft_limit_takes(void **state)
{
	struct qkd_action action = {.type = QKD_ACTION_ACTIVATE, .epoch = 1};
	struct end t;

	begin(&t, &esp, 0);
	assert_int_equal(standby(&t), NONE);
	put_all(&t, 0, 2);
	watermark(&t, 0, 1, NONE);
	assert_int_equal(standby(&t), NONE); /* the first needs no limit */
	run(&t);
	assert_int_equal(standby(&t), 1);
	t.now += 500;
	assert_false(qkd_epochs_limit(&t.e, t.now));
	assert_int_equal(standby(&t), NONE); /* it is under way */
	qkd_epochs_done(&t.e, t.now, &action, 0);
	assert_int_equal(t.e.out, 1);
	assert_int_equal(t.e.due, t.now + 1000);
	assert_int_equal(standby(&t), NONE); /* the peer has no other */
	watermark(&t, 0, 2, NONE);
	assert_int_equal(standby(&t), 2);
	assert_int_equal(qkd_epochs_force(&t.e), 0);
	assert_int_equal(standby(&t), NONE);
	assert_string_equal(run(&t), "+2");
	end(&t);
}

static void a_hard_limit_blocks_until_a_key_comes(void **state)
{
	struct end t;

	begin(&t, &esp, 0);
	put_all(&t, 0, 1);
	watermark(&t, 0, 2, NONE);
	run(&t);
	assert_string_equal(after(&t, 1000), "+1");
	qkd_epochs_expired(&t.e);
	t.fail_remove = 1;
	assert_string_equal(run(&t), "o0 B1!");
	assert_int_equal(t.e.state, QKD_CHANNEL_OVERDUE);
	t.fail_remove = NONE;
	assert_string_equal(after(&t, QKD_EPOCHS_RETRY_MS), "B1");
	assert_int_equal(t.e.state, QKD_CHANNEL_BLOCKED);
	qkd_epochs_expired(&t.e);
	put(&t, 2);
	assert_string_equal(run(&t), "+2");
	put(&t, 3);
	watermark(&t, 0, 3, NONE);
	qkd_epochs_expired(&t.e);
	assert_string_equal(run(&t), "+3");
	end(&t);
}

static void jitter_only_hastens(void **state)
{
	struct qkd_epochs_config config = esp;
	u64 least = ~0ULL, most = 0;
	u64 epoch, limit;
	struct end t;

	config.jitter_ms = 500;
	begin(&t, &config, 0);
	for (epoch = 0; epoch < 200; epoch++) {
		u64 before = t.now;

		put(&t, epoch);
		watermark(&t, 0, epoch, epoch);
		t.now = epoch ? t.e.due : t.now;
		run(&t);
		assert_int_equal(t.e.out, epoch);
		before = t.e.due - before;
		least = epoch && before < least ? before : least;
		most = before > most ? before : most;
		limit = qkd_epochs_soft(&t.e, epoch, 1ULL << 40);
		assert_true(limit <= 1ULL << 40 && limit >= 1ULL << 39);
	}
	assert_true(least >= 500 && most <= 2000 && least < most);
	end(&t);
}

static void inbound_range_leaves_out_what_goes(void **state)
{
	struct end t;
	u64 first = 0, last = 0;

	begin(&t, &esp, 0);
	assert_false(qkd_epochs_inbound(&t.e, &first, &last));
	put_all(&t, 0, 2);
	watermark(&t, 0, 2, 1);
	assert_true(qkd_epochs_inbound(&t.e, &first, &last));
	assert_int_equal(first, 1);
	assert_int_equal(last, 2);
	end(&t);
}

/*
 * Two ends and an unreliable exchange between them, for many random runs: a
 * packet sent at any time meets a receiver that has its key, outbound only
 * grows, and no association number is held twice.
 */
struct link {
	struct end a, b;
	u64 next;
	unsigned int seed;
};

static u32 draw(struct link *l, u32 n)
{
	l->seed = l->seed * 1103515245 + 12345;
	return (l->seed >> 16) % n;
}

static void report(struct end *from, struct end *to)
{
	u64 first = 0, last = 0;
	bool any = qkd_epochs_inbound(&from->e, &first, &last);

	assert_int_equal(qkd_epochs_watermark(&to->e, to->now, first, last, from->e.out, !any), 0);
}

static const struct qkd_epoch_slot *slot_of(const struct end *t, u64 epoch)
{
	u32 i;

	for (i = 0; i < t->e.count; i++)
		if (t->e.slot[i].epoch == epoch)
			return &t->e.slot[i];
	return NULL;
}

static void packet_meets_its_key(const struct end *from, const struct end *to)
{
	const struct qkd_epoch_slot *s;

	if (from->e.out == NONE)
		return;
	s = slot_of(to, from->e.out);
	assert_non_null(s);
	assert_true(s->in == QKD_SA_ACTIVE || s->in == QKD_SA_GRACE);
}

static void slots_are_sane(const struct end *t)
{
	u32 i, j;

	assert_true(t->e.count <= t->e.capacity);
	assert_true(qkd_epochs_ahead(&t->e) <= t->e.config.lookahead);
	for (i = 1; i < t->e.count; i++)
		assert_true(t->e.slot[i - 1].epoch < t->e.slot[i].epoch);
	for (i = 0; i < t->e.count; i++) /* one that is gone is forgotten */
		assert_true(t->e.slot[i].in || t->e.slot[i].out);
	for (i = 0; t->e.config.an_count && i < t->e.count; i++)
		for (j = i + 1; j < t->e.count; j++)
			assert_true(t->e.slot[j].in == QKD_SA_QUEUED ||
				    t->e.slot[i].epoch % 4 != t->e.slot[j].epoch % 4);
}

static void offer(struct link *l)
{
	if (qkd_epochs_may_put(&l->a.e, l->next) || qkd_epochs_may_put(&l->b.e, l->next))
		return;
	put(&l->a, l->next);
	put(&l->b, l->next);
	l->next += 1 + (draw(l, 10) == 0);
}

static void step(struct link *l)
{
	u64 out_a = l->a.e.out, out_b = l->b.e.out;
	u32 ms = draw(l, 120);

	if (draw(l, 3))
		offer(l);
	if (draw(l, 3))
		report(&l->a, &l->b);
	if (draw(l, 3))
		report(&l->b, &l->a);
	if (!draw(l, 20))
		qkd_epochs_force(&l->a.e);
	after(&l->a, ms);
	after(&l->b, ms);
	packet_meets_its_key(&l->a, &l->b);
	packet_meets_its_key(&l->b, &l->a);
	slots_are_sane(&l->a);
	slots_are_sane(&l->b);
	assert_true(out_a == NONE || l->a.e.out == NONE || l->a.e.out >= out_a);
	assert_true(out_b == NONE || l->b.e.out == NONE || l->b.e.out >= out_b);
}

static void two_ends(const struct qkd_epochs_config *config, unsigned int seed)
{
	struct link l = {.seed = seed};
	int i;

	begin(&l.a, config, 0);
	begin(&l.b, config, 0);
	for (i = 0; i < 2000; i++)
		step(&l);
	assert_true(l.a.e.out != NONE && l.a.e.out > 10);
	assert_true(l.b.e.out != NONE && l.b.e.out > 10);
	end(&l.a);
	end(&l.b);
}

static void random_ends_never_lose_a_packet(void **state)
{
	struct qkd_epochs_config short_queue = macsec;
	unsigned int seed;

	short_queue.lookahead = 2;
	for (seed = 1; seed <= 100; seed++) {
		two_ends(&esp, seed);
		two_ends(&macsec, seed);
		two_ends(&short_queue, seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outbound_waits_for_the_peer),
		cmocka_unit_test(rolls_over_on_time_and_cleans_up),
		cmocka_unit_test(keeps_the_pace),
		cmocka_unit_test(hold_keeps_the_key_then_blocks),
		cmocka_unit_test(hold_ends_when_a_key_comes),
		cmocka_unit_test(hold_without_a_limit_never_blocks),
		cmocka_unit_test(block_stops_at_once),
		cmocka_unit_test(block_takes_older_ones_down_first),
		cmocka_unit_test(the_hard_limit_takes_older_ones_down_first),
		cmocka_unit_test(a_block_that_fails_is_tried_again),
		cmocka_unit_test(a_removal_that_fails_is_tried_again),
		cmocka_unit_test(watermark_bounds_the_switch),
		cmocka_unit_test(moves_when_the_peer_lost_the_key_in_use),
		cmocka_unit_test(forced_switch),
		cmocka_unit_test(failed_activation_tries_the_next),
		cmocka_unit_test(forced_switch_that_fails_is_not_repeated),
		cmocka_unit_test(retire),
		cmocka_unit_test(all_sas_are_lost),
		cmocka_unit_test(one_sa_is_lost),
		cmocka_unit_test(what_may_be_put),
		cmocka_unit_test(low_is_less_than_half),
		cmocka_unit_test(a_silent_peer_fills_the_slots_at_most),
		cmocka_unit_test(epochs_queue_for_their_number),
		cmocka_unit_test(the_queue_is_left_in_order),
		cmocka_unit_test(what_can_never_have_its_number_is_given_up),
		cmocka_unit_test(a_failed_epoch_does_not_keep_the_queue),
		cmocka_unit_test(an_end_that_is_blocked_keeps_its_queue),
		cmocka_unit_test(what_is_blocked_is_forgotten),
		cmocka_unit_test(nothing_older_is_found_when_the_one_in_use_is_lost),
		cmocka_unit_test(passed_epochs_leave_the_queue),
		cmocka_unit_test(a_failed_installation_is_forgotten),
		cmocka_unit_test(a_soft_limit_makes_it_due),
		cmocka_unit_test(only_removals_wait_for_each_other),
		cmocka_unit_test(the_standby_is_what_a_soft_limit_takes),
		cmocka_unit_test(a_hard_limit_blocks_until_a_key_comes),
		cmocka_unit_test(jitter_only_hastens),
		cmocka_unit_test(inbound_range_leaves_out_what_goes),
		cmocka_unit_test(random_ends_never_lose_a_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
