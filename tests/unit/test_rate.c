// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rate formula against values computed apart from it, and against the
 * distances published for the GYS experiment (122 km; parameters of Ma, Qi,
 * Zhao, Lo 2005: 0.21 dB/km, eta_Bob 0.045, Y0 1.7e-6, e_det 0.033, f 1.22).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../tools/qkdsim/rate.c"

static struct rate_link gys(double distance_km, double nu)
{
	return (struct rate_link){
		.distance_km = distance_km,
		.loss_db_per_km = 0.21,
		.efficiency = 0.045,
		.dark_count = 0.85e-6,
		.misalignment = 0.033,
		.pulse_rate_hz = 2e6,
		.mu = 0.48,
		.nu = nu,
		.f_ec = 1.22,
		.sifting = 0.5,
	};
}

static void assert_near(double value, double expected)
{
	if (fabs(value - expected) > 1e-6 * fabs(expected))
		fail_msg("%.12g, expected %.12g", value, expected);
}

static void test_gys(void **state)
{
	static const struct {
		double km, nu, rate, gain, qber, y1, e1;
	} table[] = {
		{0, 0, 2.55458808153e-3, 2.1370090585115e-2, 3.3037150053101e-2, 4.50017e-2,
		 3.3017641555763e-2},
		{50, 0, 2.22596117921e-4, 1.9249502059680e-3, 3.3412426252658e-2,
		 4.0123292216019e-3, 3.3197865119274e-2},
		{100, 0, 1.71844447639e-5, 1.7326018056930e-4, 3.7582126126104e-2,
		 3.5914770562593e-4, 3.5210511128329e-2},
		{140, 0, 2.46466707214e-7, 2.6499810703913e-5, 6.2958704568512e-2,
		 5.3366912967360e-5, 4.7876258637739e-2},
		{0, 0.05, 2.41424546639e-3, 2.1370090585115e-2, 3.3037150053101e-2,
		 4.4384833873112e-2, 3.5152868385428e-2},
		{100, 0.05, 1.60200452679e-5, 1.7326018056930e-4, 3.7582126126104e-2,
		 3.5399335146814e-4, 3.7492383221650e-2},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct rate_link link = gys(table[i].km, table[i].nu);
		struct rate_result result = rate_compute(&link, -1);

		assert_near(result.per_pulse, table[i].rate);
		assert_near(result.gain, table[i].gain);
		assert_near(result.qber, table[i].qber);
		assert_near(result.y1, table[i].y1);
		assert_near(result.e1, table[i].e1);
		assert_near(result.bits_per_s, table[i].rate * 2e6);
		assert_false(result.aborted);
	}
}

static double farthest(double nu)
{
	double low = 0;
	double high = 300;

	while (high - low > 1e-3) {
		struct rate_link link = gys((low + high) / 2, nu);

		if (rate_compute(&link, -1).per_pulse > 0)
			low = link.distance_km;
		else
			high = link.distance_km;
	}
	return low;
}

/* Published: 142 km with infinitely many decoy states, 140.5 km with two. */
static void test_cutoff_distance(void **state)
{
	assert_true(fabs(farthest(0) - 142.05) < 0.1);
	assert_true(fabs(farthest(0.05) - 140.55) < 0.2);
	assert_true(farthest(0.1) < farthest(0.05));
}

static void test_rate_falls_with_distance(void **state)
{
	double before = 1;

	for (double km = 0; km < 140; km += 5) {
		struct rate_link link = gys(km, 0.05);
		double rate = rate_compute(&link, -1).per_pulse;

		assert_true(rate > 0 && rate < before);
		before = rate;
	}
}

static void test_eavesdropper(void **state)
{
	struct rate_link link = gys(25, 0.05);
	struct rate_result quiet = rate_compute(&link, -1);
	struct rate_result same = rate_compute(&link, quiet.qber);
	struct rate_result some = rate_compute(&link, 0.05);
	struct rate_result edge = rate_compute(&link, 0.1099);
	struct rate_result much = rate_compute(&link, 0.1101);

	assert_near(same.per_pulse, quiet.per_pulse);
	assert_near(some.qber, 0.05);
	assert_true(some.per_pulse > 0 && some.per_pulse < quiet.per_pulse);
	assert_false(edge.aborted);
	assert_true(much.aborted);
	assert_true(much.per_pulse == 0 && much.bits_per_s == 0);
	assert_true(rate_compute(&link, 0.5).per_pulse == 0);
	/* No error at all is more than the detectors allow: what is reported stays true. */
	assert_true(rate_compute(&link, 0).qber >= 0);
	assert_true(rate_compute(&link, 0).per_pulse > quiet.per_pulse);
}

static void test_no_light(void **state)
{
	struct rate_link link = gys(5000, 0.05);
	struct rate_result dark = rate_compute(&link, -1);

	assert_true(dark.aborted);
	assert_near(dark.qber, 0.5);
	assert_true(dark.per_pulse == 0);
	link.dark_count = 0;
	assert_true(rate_compute(&link, -1).per_pulse >= 0);
	link.efficiency = 0;
	assert_true(rate_compute(&link, -1).per_pulse == 0);
	assert_true(rate_compute(&link, 0.05).per_pulse == 0);
}

static void test_check(void **state)
{
	struct rate_link link = rate_link_default;

	assert_null(rate_link_check(&link));
	assert_true(rate_compute(&link, -1).bits_per_s > 1000);
	link.nu = link.mu;
	assert_non_null(rate_link_check(&link));
	link = rate_link_default;
	link.distance_km = NAN;
	assert_non_null(rate_link_check(&link));
	link = rate_link_default;
	link.f_ec = 0.9;
	assert_non_null(rate_link_check(&link));
	link = rate_link_default;
	link.mu = 0;
	assert_non_null(rate_link_check(&link));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gys),
		cmocka_unit_test(test_cutoff_distance),
		cmocka_unit_test(test_rate_falls_with_distance),
		cmocka_unit_test(test_eavesdropper),
		cmocka_unit_test(test_no_light),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
