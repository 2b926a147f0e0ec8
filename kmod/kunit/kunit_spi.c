// SPDX-License-Identifier: GPL-2.0
/* SPIs in the kernel: those that the other end, or user space, computes too. */
#include <kunit/test.h>
#include "../spi.c"

static const u8 key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void known_answers(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, qkd_spi(key, QKD_DIRECTION_LOW_TO_HIGH, 0), 0xa30c0e2eU);
	KUNIT_EXPECT_EQ(test, qkd_spi(key, QKD_DIRECTION_HIGH_TO_LOW, 0), 0x5ca895abU);
	KUNIT_EXPECT_EQ(test, qkd_spi(key, QKD_DIRECTION_LOW_TO_HIGH, 1000000), 0x59ef8317U);
	KUNIT_EXPECT_EQ(test, qkd_spi(key, QKD_DIRECTION_HIGH_TO_LOW, 1000000), 0x36a3968cU);
}

static void stay_in_range(struct kunit *test)
{
	u64 epoch;

	for (epoch = 0; epoch < 4096; epoch++) {
		u32 spi = qkd_spi(key, QKD_DIRECTION_LOW_TO_HIGH, epoch);

		KUNIT_ASSERT_GE(test, spi, 256U);
		KUNIT_ASSERT_FALSE(test, spi >= 0xc0000000U && spi <= 0xcfffffffU);
		KUNIT_ASSERT_NE(test, spi, qkd_spi(key, QKD_DIRECTION_LOW_TO_HIGH, epoch + 1));
	}
}

static void end_with_the_epochs(struct kunit *test)
{
	KUNIT_EXPECT_NE(test, qkd_spi(key, QKD_DIRECTION_LOW_TO_HIGH, QKD_SPI_EPOCHS - 1), 0U);
	KUNIT_EXPECT_EQ(test, qkd_spi(key, QKD_DIRECTION_LOW_TO_HIGH, QKD_SPI_EPOCHS), 0U);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(known_answers),
	KUNIT_CASE(stay_in_range),
	KUNIT_CASE(end_with_the_epochs),
	{},
};

static struct kunit_suite suite = {.name = "qkd_spi", .test_cases = cases};

kunit_test_suite(suite);
