// SPDX-License-Identifier: GPL-2.0
/* The life of a channel's epochs in the kernel: one rollover, one that runs dry. */
#include <kunit/test.h>
#include "../epochs.c"

static const struct qkd_epochs_config block = {
	.lookahead = 2,
	.rollover_ms = 1000,
	.grace_ms = 300,
	.on_exhausted = QKD_EXHAUSTED_BLOCK,
};

/* Empty, ready to take epoch 5. */
static struct qkd_epochs *begin(struct kunit *test, const struct qkd_epochs_config *config)
{
	u32 capacity = qkd_epochs_capacity(config);
	struct qkd_epochs *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	struct qkd_epoch_slot *slot =
		kunit_kzalloc(test, array_size(capacity, sizeof(*slot)), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, e);
	KUNIT_ASSERT_NOT_NULL(test, slot);
	qkd_epochs_init(e, config, slot, capacity, 5);
	return e;
}

static void put(struct kunit *test, struct qkd_epochs *e, u64 epoch)
{
	KUNIT_ASSERT_EQ(test, qkd_epochs_may_put(e, epoch), 0);
	qkd_epochs_put(e, epoch, 0, NULL);
}

/* Does all that is due. Return: the steps, in order, two octal digits each. */
static u64 run(struct qkd_epochs *e, u64 now)
{
	struct qkd_action a;
	u64 steps = 0;

	while (qkd_epochs_next(e, now, &a)) {
		steps = steps << 6 | a.type;
		qkd_epochs_done(e, now, &a, 0);
	}
	return steps;
}

#define STEPS_1(a)    ((u64)QKD_ACTION_##a)
#define STEPS_2(a, b) (STEPS_1(a) << 6 | STEPS_1(b))

static void rolls_over(struct kunit *test)
{
	struct qkd_epochs *e = begin(test, &block);

	put(test, e, 5);
	put(test, e, 7);
	KUNIT_EXPECT_EQ(test, run(e, 100), 0ULL);
	KUNIT_EXPECT_EQ(test, qkd_epochs_force(e), -EAGAIN);
	KUNIT_EXPECT_EQ(test, qkd_epochs_watermark(e, 100, 5, 7, 5, false), 0);
	KUNIT_EXPECT_EQ(test, run(e, 100), STEPS_1(ACTIVATE));
	KUNIT_EXPECT_EQ(test, e->out, 5ULL);
	KUNIT_EXPECT_EQ(test, qkd_epochs_deadline(e), 1100ULL);
	KUNIT_EXPECT_EQ(test, run(e, 1099), 0ULL);
	KUNIT_EXPECT_EQ(test, run(e, 1100), STEPS_1(ACTIVATE));
	KUNIT_EXPECT_EQ(test, e->out, 7ULL);
	KUNIT_EXPECT_EQ(test, run(e, 1400), STEPS_1(REMOVE_OUT));
	KUNIT_EXPECT_EQ(test, qkd_epochs_watermark(e, 1400, 7, 7, 7, false), 0);
	KUNIT_EXPECT_EQ(test, run(e, 1700), STEPS_2(REMOVE_IN, FORGET));
	KUNIT_EXPECT_EQ(test, e->count, 1U);
}

static void blocks_without_a_key(struct kunit *test)
{
	struct qkd_epochs *e = begin(test, &block);

	put(test, e, 5);
	KUNIT_EXPECT_EQ(test, qkd_epochs_watermark(e, 0, 5, 5, 5, false), 0);
	KUNIT_EXPECT_EQ(test, run(e, 0), STEPS_1(ACTIVATE));
	KUNIT_EXPECT_EQ(test, run(e, 1000), STEPS_2(EXHAUSTED, BLOCK));
	KUNIT_EXPECT_EQ(test, e->state, QKD_CHANNEL_BLOCKED);
	KUNIT_EXPECT_EQ(test, qkd_epochs_deadline(e), ~0ULL);
}

static void takes_no_epoch_twice(struct kunit *test)
{
	struct qkd_epochs *e = begin(test, &block);

	KUNIT_EXPECT_EQ(test, qkd_epochs_may_put(e, 4), -ESTALE);
	put(test, e, 5);
	KUNIT_EXPECT_EQ(test, qkd_epochs_may_put(e, 5), -ESTALE);
	qkd_epochs_spend(e, 8);
	KUNIT_EXPECT_EQ(test, qkd_epochs_may_put(e, 8), -ESTALE);
	put(test, e, 9);
	KUNIT_EXPECT_EQ(test, qkd_epochs_may_put(e, 10), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, qkd_epochs_may_put(e, QKD_EPOCH_NONE), -ERANGE);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(rolls_over),
	KUNIT_CASE(blocks_without_a_key),
	KUNIT_CASE(takes_no_epoch_twice),
	{},
};

static struct kunit_suite suite = {.name = "qkd_epochs", .test_cases = cases};

kunit_test_suite(suite);
