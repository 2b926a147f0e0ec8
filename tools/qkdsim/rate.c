// SPDX-License-Identifier: GPL-2.0-or-later
#include "rate.h"
#include <math.h>
#include <stddef.h>

#define E0 0.5 /* a background count is right half of the time */

const struct rate_link rate_link_default = {
	.distance_km = 50,
	.loss_db_per_km = 0.2,
	.efficiency = 0.1,
	.dark_count = 1e-6,
	.misalignment = 0.01,
	.pulse_rate_hz = 1e8,
	.mu = 0.48,
	.nu = 0.05,
	.f_ec = 1.16,
	.sifting = 0.5,
};

static bool within(double value, double low, double high)
{
	return value >= low && value <= high; /* false for a NaN */
}

const char *rate_link_check(const struct rate_link *link)
{
	if (!within(link->distance_km, 0, 10000))
		return "distance (0 to 10000 km)";
	if (!within(link->loss_db_per_km, 0, 100))
		return "loss (0 to 100 dB/km)";
	if (!within(link->efficiency, 0, 1))
		return "efficiency (0 to 1)";
	if (!within(link->dark_count, 0, 0.5))
		return "dark-counts (0 to 0.5 per gate)";
	if (!within(link->misalignment, 0, 0.5))
		return "misalignment (0 to 0.5)";
	if (!within(link->pulse_rate_hz, 1, 1e12))
		return "pulse-rate (1 to 1e12 Hz)";
	if (!within(link->mu, 1e-6, 10))
		return "mu (above 0, to 10 photons)";
	if (!within(link->nu, 0, 10) || link->nu >= link->mu)
		return "nu (0 to below mu)";
	if (!within(link->f_ec, 1, 10))
		return "f-ec (1 to 10)";
	if (!within(link->sifting, 1e-6, 1))
		return "sifting (above 0, to 1)";
	return NULL;
}

/* Binary entropy of an error rate; at one half and above nothing is known. */
static double entropy(double p)
{
	if (p <= 0)
		return 0;
	if (p >= 0.5)
		return 1;
	return -p * log2(p) - (1 - p) * log2(1 - p);
}

/**
 * struct channel - the link as light sees it
 * @eta: transmittance from the sender to a count
 * @y0: background counts per gate, both detectors
 * @e_detector: error rate of photons that arrive
 */
struct channel {
	double eta;
	double y0;
	double e_detector;
};

/* Share of pulses of @photons on average that are counted, without background. */
static double clicks(const struct channel *channel, double photons)
{
	return -expm1(-channel->eta * photons);
}

static double gain(const struct channel *channel, double photons)
{
	return channel->y0 + clicks(channel, photons);
}

/* Errors per pulse: E times Q. */
static double errors(const struct channel *channel, double photons)
{
	return E0 * channel->y0 + channel->e_detector * clicks(channel, photons);
}

/* Who listens in disturbs single photons: choose their error so that E_mu is @qber. */
static double disturbed(const struct channel *channel, double mu, double qber)
{
	double seen = clicks(channel, mu);
	double error;

	if (seen <= 0)
		return E0;
	error = (qber * gain(channel, mu) - E0 * channel->y0) / seen;
	return error > 0 ? error : 0;
}

static void bound_single_photons(const struct channel *channel, const struct rate_link *link,
				 struct rate_result *result)
{
	double mu = link->mu;
	double nu = link->nu;

	if (nu > 0) {
		result->y1 = mu / (mu * nu - nu * nu) *
			     (gain(channel, nu) * exp(nu) -
			      gain(channel, mu) * exp(mu) * nu * nu / (mu * mu) -
			      (mu * mu - nu * nu) / (mu * mu) * channel->y0);
		result->e1 = (errors(channel, nu) * exp(nu) - E0 * channel->y0) / (result->y1 * nu);
	} else {
		result->y1 = channel->y0 + channel->eta;
		result->e1 = (E0 * channel->y0 + channel->e_detector * channel->eta) / result->y1;
	}
}

struct rate_result rate_compute(const struct rate_link *link, double qber)
{
	struct channel channel = {
		.eta = link->efficiency * pow(10, -link->loss_db_per_km * link->distance_km / 10),
		.y0 = 2 * link->dark_count,
		.e_detector = link->misalignment,
	};
	struct rate_result result = {0};
	double q1;
	double rate;

	if (qber >= 0)
		channel.e_detector = disturbed(&channel, link->mu, qber);
	result.gain = gain(&channel, link->mu);
	result.qber = result.gain > 0 ? errors(&channel, link->mu) / result.gain : E0;
	result.aborted = result.qber > RATE_QBER_ABORT;
	bound_single_photons(&channel, link, &result);
	if (result.aborted || !(result.y1 > 0))
		return result;
	q1 = result.y1 * link->mu * exp(-link->mu);
	rate = link->sifting *
	       (q1 * (1 - entropy(result.e1)) - result.gain * link->f_ec * entropy(result.qber));
	result.per_pulse = rate > 0 ? rate : 0;
	result.bits_per_s = result.per_pulse * link->pulse_rate_hz;
	return result;
}
