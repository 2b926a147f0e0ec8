// SPDX-License-Identifier: GPL-2.0
/* A test that fails, in a module of its own: to see that failures are seen. */
#include <kunit/test.h>
#include <linux/module.h>

static void fails(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, false);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(fails),
	{},
};

static struct kunit_suite suite = {.name = "qkd_fails", .test_cases = cases};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit test of qkd that fails");
