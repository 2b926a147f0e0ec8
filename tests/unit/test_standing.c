// SPDX-License-Identifier: GPL-2.0-or-later
/* One list of what stands for all that ask, from a backend made of a table. */
#include "unp/backend_ops.h"
#include "unp/standing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

static struct loop *loop;
static struct standing *standing;
static struct qkd_channel table[3];
static size_t rows;
static unsigned int lists;
static int refuse;   /* the question */
static int fail;     /* the answer */
static bool at_once; /* the answer comes before the question returns */
static backend_list_fn asked;
static void *asker;

static void answer(void)
{
	backend_list_fn done = asked;

	assert_non_null(done);
	asked = NULL;
	done(asker, fail, fail ? NULL : table, fail ? 0 : rows);
}

static int list_channels(struct backend *backend, backend_list_fn done, void *arg)
{
	if (refuse)
		return refuse;
	assert_null(asked);
	lists++;
	asked = done;
	asker = arg;
	if (at_once)
		answer();
	return 0;
}

static const struct backend_ops ops = {.name = "table", .list_channels = list_channels};
static struct backend backend = {.ops = &ops};

/* -------- who asks -------- */

struct one {
	uint32_t seen;
	unsigned int told;
	int err;
	size_t count;
	uint32_t first;
};

static void told(void *arg, int err, const void *records, size_t count)
{
	struct one *one = arg;

	one->told++;
	one->err = err;
	one->count = count;
	one->first = count ? ((const struct qkd_channel *)records)->id : 0;
}

static int ask(struct one *one)
{
	return standing_ask(standing, &backend, &one->seen, told, one);
}

static int setup(void **state)
{
	table[0].id = 5;
	table[1].id = 6;
	rows = 2;
	lists = 0;
	refuse = 0;
	fail = 0;
	at_once = false;
	asked = NULL;
	if (loop_create(&loop))
		return -1;
	standing = standing_create(loop);
	return standing ? 0 : -1;
}

static int teardown(void **state)
{
	standing_destroy(standing);
	if (asked)
		answer();
	loop_destroy(loop);
	return 0;
}

/* -------- tests -------- */

static void is_asked_once_for_all(void **state)
{
	struct one one[3] = {0};

	assert_int_equal(ask(&one[0]), 0);
	assert_int_equal(ask(&one[1]), 0);
	assert_int_equal(one[0].told, 0);
	answer();
	assert_int_equal(one[0].told, 1);
	assert_int_equal(one[0].count, 2);
	assert_int_equal(one[1].told, 1);
	assert_int_equal(one[1].first, 5);
	/* One that comes a little later is told at once. */
	assert_int_equal(ask(&one[2]), 0);
	assert_int_equal(one[2].told, 1);
	assert_int_equal(lists, 1);
}

static void a_second_look_is_a_new_one(void **state)
{
	struct one one = {0}, two = {0};

	ask(&one);
	answer();
	rows = 1;
	ask(&one);
	assert_int_equal(one.told, 1);
	answer();
	assert_int_equal(one.count, 1);
	/* The new list serves the others too. */
	ask(&two);
	assert_int_equal(two.told, 1);
	assert_int_equal(two.count, 1);
	assert_int_equal(lists, 2);
}

static void what_is_deleted_is_not_shown(void **state)
{
	struct one one[3] = {0};

	ask(&one[0]);
	answer();
	standing_forget(standing, 5);
	ask(&one[1]);
	assert_int_equal(one[1].told, 1);
	assert_int_equal(one[1].count, 2);
	assert_int_equal(one[1].first, 0); /* says nothing */
	/* Deleted behind a question under way: its answer serves nobody else. */
	ask(&one[0]);
	standing_forget(standing, 6);
	answer();
	ask(&one[2]);
	assert_int_equal(one[2].told, 0);
	assert_int_equal(lists, 3);
	answer();
	assert_int_equal(one[2].told, 1);
}

static void another_backend_is_asked_anew(void **state)
{
	struct one one = {0}, two = {0};

	ask(&one);
	answer();
	standing_drop(standing);
	ask(&two);
	assert_int_equal(two.told, 0);
	assert_int_equal(lists, 2);
}

static void failures_reach_everybody(void **state)
{
	struct one one = {0}, two = {0};

	refuse = -ENODEV;
	assert_int_equal(ask(&one), -ENODEV);
	refuse = 0;
	fail = -EIO;
	ask(&one);
	ask(&two);
	answer();
	assert_int_equal(one.told, 1);
	assert_int_equal(one.err, -EIO);
	assert_int_equal(two.err, -EIO);
	/* A failure is not kept; an answer may come before the question returns. */
	fail = 0;
	at_once = true;
	assert_int_equal(ask(&two), 0);
	assert_int_equal(two.told, 2);
	assert_int_equal(two.err, 0);
}

static void ends_while_it_is_asked(void **state)
{
	struct one one = {0};

	ask(&one);
	standing_destroy(standing);
	answer();
	assert_int_equal(one.told, 1);
	assert_int_equal(one.err, -ECANCELED);
	standing = standing_create(loop);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_asked_once_for_all),	    TEST(a_second_look_is_a_new_one),
		TEST(what_is_deleted_is_not_shown), TEST(another_backend_is_asked_anew),
		TEST(failures_reach_everybody),	    TEST(ends_while_it_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
