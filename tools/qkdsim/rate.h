/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The secret key rate of a QKD link: decoy-state BB84, asymptotic (infinitely
 * long key), after the published analyses of Gottesman, Lo, Luetkenhaus and
 * Preskill (2004) and of Ma, Qi, Zhao and Lo (2005). Pure arithmetic.
 *
 *	R >= q { -Q_mu f H2(E_mu) + Q_1 [1 - H2(e_1)] }
 *
 * Q_mu, E_mu: gain and error rate of the signal states; Q_1, e_1: gain and error
 * rate of single photons, bounded by a vacuum and a weak decoy state.
 */
#ifndef QKDSIM_RATE_H
#define QKDSIM_RATE_H

#include <stdbool.h>

/** Above this quantum bit error rate BB84 gives no secret key: generation stops. */
#define RATE_QBER_ABORT 0.11

/**
 * struct rate_link - what determines the rate
 * @distance_km: length of the fibre
 * @loss_db_per_km: of the fibre
 * @efficiency: of the receiver's optics and detectors together, 0..1
 * @dark_count: probability of a dark count per gate and detector; there are two
 * @misalignment: probability that a photon hits the wrong detector, 0..0.5
 * @pulse_rate_hz: signal pulses per second
 * @mu: mean photon number of the signal states
 * @nu: of the weak decoy state, below @mu; 0: infinitely many decoy states
 * @f_ec: inefficiency of the error correction, 1 (Shannon's limit) or more
 * @sifting: q, share of the pulses that sifting leaves: 1/2 for standard BB84
 */
struct rate_link {
	double distance_km;
	double loss_db_per_km;
	double efficiency;
	double dark_count;
	double misalignment;
	double pulse_rate_hz;
	double mu;
	double nu;
	double f_ec;
	double sifting;
};

/**
 * struct rate_result
 * @gain: Q_mu, detections per pulse
 * @qber: E_mu
 * @y1: yield of single photons
 * @e1: their error rate
 * @per_pulse: R, never negative; 0 if @aborted
 * @bits_per_s: R times the pulse rate
 * @aborted: @qber is above RATE_QBER_ABORT
 */
struct rate_result {
	double gain;
	double qber;
	double y1;
	double e1;
	double per_pulse;
	double bits_per_s;
	bool aborted;
};

/** A link of 50 km with InGaAs detectors. */
extern const struct rate_link rate_link_default;

/** NULL, or the name of the first parameter that makes no sense. */
const char *rate_link_check(const struct rate_link *link);

/**
 * rate_compute
 * @qber: error rate to assume, as an eavesdropper causes it, or negative:
 *        what the link has by itself
 */
struct rate_result rate_compute(const struct rate_link *link, double qber);

#endif
