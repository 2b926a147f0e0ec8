// SPDX-License-Identifier: GPL-2.0-or-later
/* Two ends of a channel agree, and go on agreeing; see agree_world.h. */
#include "agree_world.h"
#include "unp/agree_internal.h"
#include "spi.h"

static enum world_kind kind(void **state)
{
	return *(const enum world_kind *)*state;
}

static enum channel_waits waits(const struct end *e)
{
	struct agree_status status;

	agree_status(e->agree, &status);
	return status.waits;
}

static const char *error(const struct end *e)
{
	struct agree_status status;

	agree_status(e->agree, &status);
	return status.error;
}

static struct world *running(uint64_t seed, enum world_kind kind)
{
	struct world *w = world_begin(seed, kind);

	world_start(&w->a);
	world_start(&w->b);
	world_run(w, 200);
	world_link(w, true);
	world_run(w, 3000);
	return w;
}

/* Nothing wrong: each key offered is used, no rollover is ever late. */
static void undisturbed(void **state)
{
	struct world *w = running(1, kind(state));
	unsigned int used = 0, i;

	world_run(w, 120000);
	assert_int_equal(w->a.exhausted + w->b.exhausted, 0);
	assert_in_range(w->a.activations, 121, 124);
	assert_in_range(w->b.activations, 121, 124);
	for (i = 0; i < w->keys; i++)
		used += w->a.used[i];
	assert_in_range(used - w->a.puts, 0, 1);
	assert_in_range(w->a.puts, w->b.puts - 1, w->b.puts);
	assert_int_equal(w->answers[KX_OK], w->b.puts);
	assert_int_equal(waits(&w->a), CHANNEL_WAITS_NOTHING);
	assert_int_equal(waits(&w->b), CHANNEL_WAITS_NOTHING);
	assert_string_equal(error(&w->a), "");
	world_end(w);
}

/* The clock of one end runs fast: the other follows, and nobody runs dry. */
static void clocks_drift(void **state)
{
	struct world *w;
	int i;

	for (i = 0; i < 2; i++) {
		w = world_begin(3, kind(state));
		(i ? &w->a : &w->b)->ppm = 2000;
		world_start(&w->a);
		world_start(&w->b);
		world_run(w, 200);
		world_link(w, true);
		world_run(w, 1500000); /* three whole periods apart by then */
		assert_int_equal(w->a.exhausted + w->b.exhausted, 0);
		assert_int_equal(w->answers[KX_BUSY], 0);
		assert_true(w->a.activations > 1490);
		world_converges(w);
		world_end(w);
	}
}

/* The link is gone for 30 s; the ready epochs are used up, then held. */
static void link_cut(void **state)
{
	struct world *w = running(5, kind(state));
	uint64_t out;

	world_link(w, false);
	world_run(w, 1000);
	assert_int_equal(waits(&w->a), CHANNEL_WAITS_KM_LINK);
	world_run(w, 29000);
	out = w->a.epochs.out;
	assert_int_equal(w->a.epochs.state, QKD_CHANNEL_OVERDUE);
	world_link(w, true);
	world_run(w, 2000);
	assert_true(w->a.epochs.out > out);
	world_converges(w);
	world_end(w);
}

static void fibre_cut(void **state)
{
	struct world *w = running(6, kind(state));

	w->key_every_ms = 0;
	w->keys = 0; /* none left in the pools */
	world_run(w, 30000);
	assert_int_equal(waits(&w->a), CHANNEL_WAITS_KEYS);
	assert_int_equal(w->a.epochs.state, QKD_CHANNEL_OVERDUE);
	assert_true(w->a.epochs.out != QKD_EPOCH_NONE);
	w->keys = 200;
	w->key_every_ms = 300;
	world_converges(w);
	world_end(w);
}

static void blocks_and_comes_back(void **state)
{
	struct world *w = world_begin(7, kind(state));

	w->config.epochs.on_exhausted = QKD_EXHAUSTED_BLOCK;
	world_start(&w->a);
	world_start(&w->b);
	world_run(w, 200);
	world_link(w, true);
	world_run(w, 3000);
	world_link(w, false);
	world_run(w, 30000);
	assert_int_equal(w->a.epochs.state, QKD_CHANNEL_BLOCKED);
	assert_int_equal(w->b.epochs.out, QKD_EPOCH_NONE);
	world_converges(w);
	world_end(w);
}

/* A daemon dies; traffic and rollover go on; the next one goes on from there. */
static void daemon_killed(void **state)
{
	struct world *w = running(8, kind(state));
	int i;

	for (i = 0; i < 2; i++) {
		struct end *e = i ? &w->a : &w->b;
		uint64_t out = e->epochs.out;

		world_kill(e);
		world_run(w, 1500);
		assert_true(e->epochs.out > out);
		world_converges(w);
	}
	world_end(w);
}

static void host_rebooted(void **state)
{
	struct world *w = running(9, kind(state));

	world_reboot(&w->b);
	world_run(w, 4000);
	world_converges(w);
	world_reboot(&w->a);
	world_run(w, 4000);
	world_converges(w);
	world_reboot(&w->a);
	world_reboot(&w->b);
	world_converges(w);
	world_end(w);
}

/* The store of one end is lost, with or without its kernel. */
static void store_lost(void **state)
{
	int i;

	for (i = 0; i < 4; i++) {
		struct world *w = running(10 + (uint64_t)i, kind(state));
		struct end *e = i & 1 ? &w->a : &w->b;

		world_run(w, 10000);
		world_lose_store(e);
		if (i & 2)
			world_reboot(e);
		world_run(w, 500);
		world_converges(w);
		world_end(w);
	}
}

static void other_parameters(void **state)
{
	struct world *w = world_begin(14, kind(state));

	w->digest_b = 1;
	world_start(&w->a);
	world_start(&w->b);
	world_run(w, 200);
	world_link(w, true);
	world_run(w, 5000);
	assert_int_equal(waits(&w->a), CHANNEL_WAITS_PEER);
	assert_int_equal(waits(&w->b), CHANNEL_WAITS_PEER);
	assert_non_null(strstr(error(&w->a), "other parameters"));
	assert_int_equal(w->offers, 0);
	assert_int_equal(w->a.puts + w->b.puts, 0);
	/* Put right at B: its daemon starts anew. */
	world_kill(&w->b);
	w->digest_b = 0;
	world_run(w, 500);
	world_converges(w);
	world_end(w);
}

static void both_are_initiators(void **state)
{
	struct world *w = world_begin(15, kind(state));

	w->b.initiator = true;
	world_start(&w->a);
	world_start(&w->b);
	world_run(w, 200);
	world_link(w, true);
	world_run(w, 5000);
	assert_int_equal(waits(&w->a), CHANNEL_WAITS_PEER);
	assert_int_equal(waits(&w->b), CHANNEL_WAITS_PEER);
	assert_non_null(strstr(error(&w->a), "the role initiator: one must be responder"));
	assert_string_equal(error(&w->a), error(&w->b));
	assert_int_equal(w->a.puts + w->b.puts, 0);
	assert_int_equal(w->offers, 0);
	world_end(w);
}

/* Nobody offers, and each says why. */
static void both_are_responders(void **state)
{
	struct world *w = world_begin(20, kind(state));

	w->a.initiator = false;
	world_start(&w->a);
	world_start(&w->b);
	world_run(w, 200);
	world_link(w, true);
	world_run(w, 5000);
	assert_int_equal(waits(&w->a), CHANNEL_WAITS_PEER);
	assert_int_equal(waits(&w->b), CHANNEL_WAITS_PEER);
	assert_non_null(strstr(error(&w->a), "the role responder: one must be initiator"));
	assert_string_equal(error(&w->a), error(&w->b));
	/* Put right at A: its daemon starts anew. */
	world_kill(&w->a);
	w->a.initiator = true;
	world_run(w, 500);
	world_converges(w);
	world_end(w);
}

/* -------- a peer that names epochs which cannot be -------- */

static void bogus_state(struct end *e, uint64_t settled, uint64_t epoch)
{
	struct kx_frame frame = {.type = KX_CHANNEL_STATE};

	memcpy(frame.state.channel, "office", 6);
	memcpy(frame.state.digest, e->agree->config.digest, sizeof(frame.state.digest));
	frame.state.role = e->initiator ? KX_RESPONDER : KX_INITIATOR;
	frame.state.settled = settled;
	frame.state.out = QKD_EPOCH_NONE;
	frame.state.count = epoch != QKD_EPOCH_NONE;
	frame.state.epoch[0] = epoch;
	assert_int_equal(agree_frame(e->agree, &frame), 0);
}

static void bogus_epochs(void **state)
{
	static const uint64_t far[] = {QKD_SPI_EPOCHS, QKD_SPI_EPOCHS + 1, QKD_EPOCH_NONE,
				       2 * AGREE_LEAP_MAX};
	struct world *w = running(21, kind(state));
	struct kx_frame frame = {.type = KX_EPOCH_OFFER, .offer = {.channel = "office"}};
	uint64_t next;
	unsigned int i;

	for (i = 0; i < 2 * sizeof(far) / sizeof(far[0]); i++) {
		struct end *e = i & 1 ? &w->a : &w->b;

		next = e->agree->next;
		bogus_state(e, far[i / 2], QKD_EPOCH_NONE);
		assert_int_equal(e->agree->next, next);
		assert_int_equal(waits(e), CHANNEL_WAITS_PEER);
		assert_non_null(strstr(error(e), "too far apart"));
		bogus_state(e, 0, far[i / 2] - 1);
		assert_int_equal(e->agree->next, next);
		assert_int_equal(agree_settled(e->agree) <= next, 1);
	}
	/* An offer, which is answered and taken no notice of. */
	next = w->b.agree->next;
	memcpy(frame.offer.digest, w->b.agree->config.digest, sizeof(frame.offer.digest));
	frame.offer.epoch = 2 * AGREE_LEAP_MAX;
	assert_int_equal(agree_frame(w->b.agree, &frame), 0);
	assert_int_equal(w->b.agree->next, next);
	assert_int_equal(w->answers[KX_FAILED], 1);
	/* The peer's true word puts all right. */
	world_run(w, 3000);
	assert_int_equal(waits(&w->a), CHANNEL_WAITS_NOTHING);
	assert_int_equal(waits(&w->b), CHANNEL_WAITS_NOTHING);
	world_converges(w);
	world_end(w);
}

/* An answer that says STALE, and names an epoch from nowhere. */
static void bogus_answer(void **state)
{
	struct world *w = running(22, kind(state));
	struct kx_frame frame = {.type = KX_EPOCH_ANSWER, .answer = {.channel = "office"}};
	struct agree_slot *slot = NULL;
	uint64_t next;
	uint32_t i;

	while (!slot) {
		world_run(w, 5);
		for (i = 0; i < w->a.agree->slots; i++)
			if (w->a.agree->slot[i].state == SLOT_SENT)
				slot = &w->a.agree->slot[i];
	}
	next = w->a.agree->next;
	frame.answer.epoch = slot->epoch;
	frame.answer.status = KX_STALE;
	frame.answer.next = QKD_SPI_EPOCHS;
	assert_int_equal(agree_frame(w->a.agree, &frame), 0);
	assert_int_equal(w->a.agree->next, next);
	assert_non_null(strstr(error(&w->a), "too far apart"));
	world_converges(w);
	world_end(w);
}

/* A lost store is far behind, and may leap; what is believed is measured by what was used. */
static void leaps_are_bounded(void **state)
{
	struct world *w = running(23, kind(state));
	uint64_t unused = w->b.agree->unused;

	bogus_state(&w->b, unused + AGREE_LEAP_MAX, QKD_EPOCH_NONE);
	assert_int_equal(w->b.agree->next, unused + AGREE_LEAP_MAX);
	bogus_state(&w->b, unused + AGREE_LEAP_MAX + 1, QKD_EPOCH_NONE);
	assert_int_equal(w->b.agree->next, unused + AGREE_LEAP_MAX);
	assert_non_null(strstr(error(&w->b), "too far apart"));
	world_kill(&w->b);
	world_end(w);
}

static void gone_at_the_peer(void **state)
{
	struct world *w = running(16, kind(state));
	struct kx_frame gone = {.type = KX_CHANNEL_GONE, .gone = {.channel = "office"}};
	unsigned int offers;

	/* B's daemon hears us, and says that it has no such channel. */
	op_send(&w->b, &gone);
	world_kill(&w->b);
	w->link = true;
	w->a.down_at = 0;
	world_run(w, 100);
	assert_int_equal(waits(&w->a), CHANNEL_WAITS_PEER);
	assert_non_null(strstr(error(&w->a), "no channel"));
	offers = w->offers;
	world_run(w, 5000);
	assert_int_equal(w->offers, offers);
	w->link = false;
	w->a.down_at = w->now;
	world_run(w, 100);
	world_converges(w);
	world_end(w);
}

/* The keys of the two pools differ, the kernel and the store fail now and then. */
static void things_fail(void **state)
{
	struct world *w = running(17, kind(state));

	w->key_every_ms = 50;
	w->missing = 5;
	w->failing = 7;
	w->storage = 11;
	world_run(w, 60000);
	assert_true(w->answers[KX_NOT_FOUND] > 0);
	assert_true(w->answers[KX_FAILED] > 0);
	assert_true(w->a.activations > 20);
	world_converges(w);
	world_end(w);
}

static void marks_simulated_keys(void **state)
{
	struct world *w = running(18, kind(state));

	/* Every other key of this world is simulated. */
	assert_true(agree_simulated(w->a.agree, false));
	world_kill(&w->a);
	w->keys = 0;
	world_start(&w->a);
	world_run(w, 200);
	assert_false(agree_simulated(w->a.agree, false));
	assert_true(agree_simulated(w->a.agree, true));
	world_end(w);
}

/* Frames that an honest peer does not send. */
static void strange_frames(void **state)
{
	struct world *w = running(19, kind(state));
	struct kx_frame frame = {.type = KX_EPOCH_ANSWER};
	struct qkd_epochs before = w->b.epochs;

	memcpy(frame.answer.channel, "office", 6);
	frame.answer.epoch = before.next;
	frame.answer.status = KX_OK;
	/* A responder offers nothing, so nobody answers it. */
	assert_int_equal(agree_frame(w->b.agree, &frame), -EPROTO);
	/* An initiator that is told of an epoch that it did not offer takes no notice. */
	frame.answer.epoch = 4000;
	assert_int_equal(agree_frame(w->a.agree, &frame), 0);
	frame.type = KX_PING;
	assert_int_equal(agree_frame(w->a.agree, &frame), -EPROTO);
	world_run(w, 1000);
	assert_int_equal(w->a.put_epoch[4000], 0);
	world_converges(w);
	world_end(w);
}

/* -------- many keys ahead, limits, jitter -------- */

static struct world *looking_far_ahead(void **state)
{
	struct world *w = world_begin(24, kind(state));

	w->config.wanted = 255;
	w->config.epochs.lookahead = 256;
	w->key_every_ms = 20;
	world_start(&w->a);
	world_start(&w->b);
	world_run(w, 200);
	world_link(w, true);
	world_run(w, 30000);
	return w;
}

/* The fibre is cut: what was agreed on before lasts for four minutes. */
static void far_ahead(void **state)
{
	struct world *w;

	w = looking_far_ahead(state);
	assert_in_range(qkd_epochs_ahead(&w->a.epochs), 250, 256);
	assert_in_range(qkd_epochs_ahead(&w->b.epochs), 250, 256);
	w->key_every_ms = 0;
	w->keys = 0;
	world_run(w, 240000);
	assert_int_equal(w->a.exhausted + w->b.exhausted, 0);
	assert_in_range(w->a.activations, 269, 273);
	assert_in_range(w->b.activations, 269, 273);
	w->keys = 400;
	world_converges(w);
	world_end(w);
}

/* All that is left behind by a reboot of either end goes, and new ones come. */
static void far_ahead_and_rebooted(void **state)
{
	struct world *w;
	int i;

	for (i = 0; i < 2; i++) {
		w = looking_far_ahead(state);
		world_reboot(i ? &w->a : &w->b);
		world_run(w, 2000);
		world_converges(w);
		world_end(w);
	}
}

/* The clock alone would roll them over once an hour. */
static struct world *slow_clock(void **state)
{
	struct world *w = world_begin(25, kind(state));

	w->config.epochs.rollover_ms = 3600000;
	w->key_every_ms = 20;
	world_start(&w->a);
	world_start(&w->b);
	world_run(w, 200);
	world_link(w, true);
	world_run(w, 5000);
	return w;
}

/* One end sends much, the other little: it follows, or the first one would run dry. */
static void one_end_has_a_limit(void **state)
{
	unsigned int i, n;

	for (i = 0; i < 2; i++) {
		struct world *w = slow_clock(state);
		struct end *e = i ? &w->a : &w->b;

		for (n = 0; n < 100; n++) {
			qkd_epochs_limit(&e->epochs, kernel_ms(e));
			world_run(w, 600);
		}
		assert_in_range(e->activations, 101, 102);
		assert_in_range(e->peer->activations, 100, 103);
		assert_int_equal(w->a.exhausted + w->b.exhausted, 0);
		world_end(w);
	}
}

/* Both reach it at about the same time: no end runs away from the other. */
static void both_ends_have_a_limit(void **state)
{
	struct world *w = slow_clock(state);
	unsigned int n;

	for (n = 0; n < 200; n++) {
		uint64_t out = w->b.epochs.out;

		qkd_epochs_limit(&w->a.epochs, kernel_ms(&w->a));
		world_run(w, draw(w, 60));
		if (w->b.epochs.out == out) /* with a new key it would count anew */
			qkd_epochs_limit(&w->b.epochs, kernel_ms(&w->b));
		world_run(w, 900);
	}
	/* A command takes up to 20 ms here, so now and then both switch and follow: a double step.
	 */
	assert_in_range(w->a.activations, 200, 350);
	assert_in_range(w->a.activations + 1, w->b.activations, w->b.activations + 2);
	assert_int_equal(w->a.exhausted + w->b.exhausted, 0);
	world_end(w);
}

static void switches_come_early_at_random(void **state)
{
	static const uint32_t jitter[] = {50, 300, 500};
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct world *w = world_begin(26 + i, kind(state));

		w->config.epochs.jitter_ms = jitter[i];
		world_start(&w->a);
		world_start(&w->b);
		world_run(w, 200);
		world_link(w, true);
		world_run(w, 120000);
		assert_int_equal(w->a.exhausted + w->b.exhausted, 0);
		assert_in_range(w->a.activations, 119, 119 + 121 * jitter[i] / 1000 * 2);
		assert_in_range(w->a.activations + 1, w->b.activations, w->b.activations + 2);
		world_end(w);
	}
}

/* More stand than a state can name: of the rest it says nothing, so none of them is given up. */
static void state_is_full(void **state)
{
	struct world *w = running(29, kind(state));
	struct agree *a = w->a.agree;
	struct kx_frame *frame = calloc(1, sizeof(*frame));
	struct kx_header header;
	const struct job *job;
	char why[160];
	uint32_t i, count = KX_EPOCHS_MAX + 88;

	assert_non_null(frame);
	drop_all(&w->b.frames);
	w->b.frames.first = NULL;
	a->own = reallocarray(a->own, count, sizeof(*a->own));
	assert_non_null(a->own);
	for (i = 0; i < count; i++)
		a->own[i] = (struct agree_epoch){.epoch = 1000 + i, .in = QKD_SA_ACTIVE};
	a->own_count = count;
	agree_used(a, 1000 + count);
	a->dirty = true;
	agree_tick(a);
	for (job = w->b.frames.first; job && job->next; job = job->next)
		;
	assert_non_null(job);
	assert_int_equal(kx_header_decode(job->octets, &header), 0);
	assert_int_equal(
		kx_frame_decode(&header, job->octets + KX_HEADER_BYTES, frame, why, sizeof(why)),
		0);
	assert_int_equal(frame->type, KX_CHANNEL_STATE);
	assert_int_equal(frame->state.count, KX_EPOCHS_MAX);
	assert_int_equal(frame->state.epoch[0], 1000);
	assert_int_equal(frame->state.settled, 1000 + KX_EPOCHS_MAX);
	free(frame);
	world_end(w);
}

/* An epoch in the queue is not said to stand, and the peer does not give it up. */
static void queued_is_not_standing(void **state)
{
	struct world *w;
	uint64_t first = 0, last = 0;
	const struct agree *b;

	w = running(30, WORLD_QUEUE);
	b = w->b.agree;
	assert_true(qkd_epochs_queued(&w->a.epochs) > 0);
	world_run(w, 100);
	assert_true(qkd_epochs_inbound(&w->a.epochs, &first, &last));
	assert_true(b->peer.count > 0 && b->peer.count <= 4);
	assert_true(b->peer.epoch[b->peer.count - 1] <= last);
	assert_int_equal(b->peer.settled, last + 1);
	world_end(w);
}

/*
 * An epoch right behind the one with its association number would wait for that one, and
 * that one for it: after three that came to nothing the next one is left out.
 */
static void right_behind_its_number(void **state)
{
	struct world *w = running(31, WORLD_QUEUE);
	struct agree *a = w->a.agree;
	uint64_t last;

	while (agree_slots_busy(a))
		world_run(w, 1);
	last = w->a.epochs.slot[w->a.epochs.count - 1].epoch;
	assert_true(a->next == last + 1);
	a->next = last + 4;
	world_run(w, 5000);
	assert_true(a->next > last + 5);
	assert_int_equal(w->a.key_of[last + 4], 0);
	assert_int_not_equal(w->a.key_of[last + 5], 0);
	assert_int_equal(w->answers[KX_BUSY], 0);
	world_converges(w);
	world_end(w);
}

/* -------- events that nobody reads in time -------- */

/* What the daemon believes of its epochs is what the kernel has. */
static void picture_is_right(const struct end *e)
{
	const struct agree *a = e->agree;
	uint32_t i;

	assert_int_equal(a->own_count, e->epochs.count);
	assert_true(a->out == e->epochs.out);
	for (i = 0; i < a->own_count; i++) {
		assert_true(a->own[i].epoch == e->epochs.slot[i].epoch);
		assert_int_equal(a->own[i].in, e->epochs.slot[i].in);
		assert_int_equal(a->own[i].out == QKD_SA_READY,
				 e->epochs.slot[i].out == QKD_SA_READY);
	}
}

static void events_are_lost(void **state)
{
	struct world *w = running(31, kind(state));
	uint64_t out = w->a.epochs.out;

	w->lossy = 1; /* all of them */
	while (w->a.epochs.out == out || w->b.epochs.out == out)
		world_run(w, 5);
	assert_true(w->a.agree->out < w->a.epochs.out || w->b.agree->out < w->b.epochs.out);
	assert_true(w->a.events_lost && w->b.events_lost);
	w->lossy = 0;
	/* The next one says that some were lost. */
	while (w->a.events_lost || w->b.events_lost)
		world_run(w, 5);
	world_run(w, 600); /* until nothing is on its way */
	picture_is_right(&w->a);
	picture_is_right(&w->b);
	world_converges(w);
	w->lossy = 3;
	world_run(w, 60000);
	world_converges(w);
	world_end(w);
}

/*
 * -------- at random --------
 *
 * AGREE_SEEDS=N runs more lives, AGREE_SEED=N that one alone; AGREE_SHOW=1 and
 * AGREE_TRACE=1 print what happened.
 */

static void trouble(struct world *w, struct end *fragile)
{
	struct end *e = draw(w, 2) ? &w->a : &w->b;

	switch (draw(w, 12)) {
	case 0:
	case 1:
		world_link(w, false);
		break;
	case 2:
		world_kill(e);
		break;
	case 3:
		world_reboot(e);
		break;
	case 4:
		w->key_every_ms = draw(w, 2) ? 0 : 100 + draw(w, 900);
		break;
	case 5:
		w->failing = draw(w, 2) ? 0 : 2 + draw(w, 10);
		break;
	case 6:
		w->missing = draw(w, 2) ? 0 : 2 + draw(w, 10);
		break;
	case 7:
		w->storage = draw(w, 2) ? 0 : 2 + draw(w, 10);
		break;
	case 9:
		w->lossy = draw(w, 2) ? 0 : 1 + draw(w, 5);
		break;
	case 8:
		if (!draw(w, 4))
			world_lose_store(fragile);
		break;
	default:
		break;
	}
}

static void one_random_life(uint64_t seed, enum world_kind kind)
{
	struct world *w = world_begin(seed, kind);
	/* If both lost their stores at once, nobody would know what was used. */
	struct end *fragile = seed % 3 ? &w->a : &w->b;
	int i;

	w->delay_ms = 1 + draw(w, 80);
	w->a.ppm = draw(w, 500);
	for (i = 0; i < 60; i++) {
		trouble(w, fragile);
		world_run(w, draw(w, 2500));
		if (draw(w, 3))
			world_start(&w->a);
		if (draw(w, 3))
			world_start(&w->b);
		if (draw(w, 3))
			world_link(w, true);
	}
	world_run(w, 1000);
	world_converges(w);
	world_end(w);
}

static void random_lives(void **state)
{
	const char *only = getenv("AGREE_SEED"), *more = getenv("AGREE_SEEDS");
	uint64_t seed, first = 1, last = more ? strtoull(more, NULL, 0) : 100;

	if (only)
		first = last = strtoull(only, NULL, 0);
	for (seed = first; seed <= last; seed++) {
		one_random_life(seed, kind(state));
		if (only || more)
			print_message("seed %llu\n", (unsigned long long)seed);
	}
}

/* clang-format off */
#define KIND(test, kind) {#test "_" #kind, test, NULL, NULL, (void *)&kind}
#define FAR_AHEAD(test)	 KIND(test, esp), KIND(test, queue) /* MACsec needs its queue */
#define ALL_KINDS(test)	 KIND(test, esp), KIND(test, macsec), KIND(test, queue)
/* clang-format on */

int main(void)
{
	static const enum world_kind esp = WORLD_ESP, macsec = WORLD_MACSEC, queue = WORLD_QUEUE;
	const struct CMUnitTest tests[] = {
		ALL_KINDS(undisturbed),
		ALL_KINDS(clocks_drift),
		ALL_KINDS(link_cut),
		ALL_KINDS(fibre_cut),
		ALL_KINDS(blocks_and_comes_back),
		ALL_KINDS(daemon_killed),
		ALL_KINDS(host_rebooted),
		ALL_KINDS(store_lost),
		ALL_KINDS(other_parameters),
		ALL_KINDS(both_are_initiators),
		ALL_KINDS(both_are_responders),
		ALL_KINDS(bogus_epochs),
		ALL_KINDS(bogus_answer),
		ALL_KINDS(leaps_are_bounded),
		ALL_KINDS(gone_at_the_peer),
		ALL_KINDS(things_fail),
		ALL_KINDS(marks_simulated_keys),
		ALL_KINDS(strange_frames),
		FAR_AHEAD(far_ahead),
		FAR_AHEAD(far_ahead_and_rebooted),
		ALL_KINDS(one_end_has_a_limit),
		ALL_KINDS(both_ends_have_a_limit),
		ALL_KINDS(switches_come_early_at_random),
		ALL_KINDS(state_is_full),
		KIND(queued_is_not_standing, queue),
		KIND(right_behind_its_number, queue),
		ALL_KINDS(events_are_lost),
		ALL_KINDS(random_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
