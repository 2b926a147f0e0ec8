// SPDX-License-Identifier: GPL-2.0-or-later
/* The SPI permutation: a bijection that keeps out of the excluded ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The whole file, so that single rounds can be reached. */
#include "../../kmod/spi.c"

static const u8 key_a[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const u8 key_b[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16};

static u32 invert(const struct qkd_spi_keys *keys, u32 x)
{
	u32 left = x >> 16, right = x & 0xffff;
	int i;

	for (i = QKD_SPI_ROUNDS - 1; i >= 0; i--) {
		u32 before = right ^ (mix(keys->round[i] + left) & 0xffff);

		right = left;
		left = before;
	}
	return left << 16 | right;
}

/* A function with an inverse on 2^32 values is a permutation of them. */
static void network_has_an_inverse(void **state)
{
	struct qkd_spi_keys keys;
	u64 x;

	qkd_spi_schedule(&keys, key_a, QKD_DIRECTION_HIGH_TO_LOW);
	for (x = 0; x < 0x100000000ULL; x += 4093)
		assert_int_equal(invert(&keys, permute(&keys, (u32)x)), (u32)x);
}

static int compare(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static void spis_never_repeat_and_are_allowed(void **state)
{
	const u32 n = 1 << 20;
	u32 *spi = calloc(n, sizeof(*spi));
	u32 i;

	assert_non_null(spi);
	for (i = 0; i < n; i++) {
		/* the first half million, and the last */
		u64 epoch = i < n / 2 ? i : QKD_SPI_EPOCHS - 1 - (i - n / 2);

		spi[i] = qkd_spi(key_a, QKD_DIRECTION_LOW_TO_HIGH, epoch);
		assert_true(spi[i] >= 256);
		assert_false(spi[i] >= 0xc0000000U && spi[i] <= 0xcfffffffU);
	}
	qsort(spi, n, sizeof(*spi), compare);
	for (i = 1; i < n; i++)
		assert_int_not_equal(spi[i - 1], spi[i]);
	free(spi);
}

/* Low bits index the kernel's hash: no chain may get much more than its share. */
static void spis_spread_over_the_hash(void **state)
{
	u32 bucket[1024] = {0};
	u32 i, longest = 0;

	for (i = 0; i < 1024 * 64; i++)
		bucket[qkd_spi(key_b, QKD_DIRECTION_LOW_TO_HIGH, i) % 1024]++;
	for (i = 0; i < 1024; i++)
		longest = bucket[i] > longest ? bucket[i] : longest;
	assert_true(longest < 128);
}

static u32 differing(const u8 a[16], enum qkd_direction da, const u8 b[16], enum qkd_direction db)
{
	u32 i, n = 0;

	for (i = 0; i < 1000; i++)
		n += qkd_spi(a, da, i) != qkd_spi(b, db, i);
	return n;
}

static void key_and_direction_matter(void **state)
{
	u8 low_bit[16];

	memcpy(low_bit, key_a, sizeof(low_bit));
	low_bit[0] ^= 1;
	assert_true(differing(key_a, 0, key_b, 0) > 990);
	assert_true(differing(key_a, 0, low_bit, 0) > 990);
	assert_true(differing(key_a, 0, key_a, 1) > 990);
}

/* Both ends compute these: a change here breaks every running channel. */
static void known_values(void **state)
{
	assert_int_equal(qkd_spi(key_a, QKD_DIRECTION_LOW_TO_HIGH, 0), 0xa30c0e2e);
	assert_int_equal(qkd_spi(key_a, QKD_DIRECTION_HIGH_TO_LOW, 0), 0x5ca895ab);
	assert_int_equal(qkd_spi(key_b, QKD_DIRECTION_LOW_TO_HIGH, 1000000), 0xbe3d4203);
	assert_int_equal(qkd_spi(key_b, QKD_DIRECTION_HIGH_TO_LOW, QKD_SPI_EPOCHS - 1), 0x133342c3);
}

static void beyond_the_last_epoch_is_no_spi(void **state)
{
	assert_int_equal(qkd_spi(key_a, QKD_DIRECTION_LOW_TO_HIGH, QKD_SPI_EPOCHS), 0);
	assert_int_equal(qkd_spi(key_a, QKD_DIRECTION_LOW_TO_HIGH, ~0ULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(network_has_an_inverse),
		cmocka_unit_test(spis_never_repeat_and_are_allowed),
		cmocka_unit_test(spis_spread_over_the_hash),
		cmocka_unit_test(key_and_direction_matter),
		cmocka_unit_test(known_values),
		cmocka_unit_test(beyond_the_last_epoch_is_no_spi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
