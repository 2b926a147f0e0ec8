/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the devices are told to do wrong: answer late, answer errors. */
#ifndef QKDSIM_FAULTS_H
#define QKDSIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct faults - of both devices
 * @delay_ms: before each answer
 * @code: HTTP status to answer instead; 0: none
 * @left: how many more times; 0: until switched off
 * @injected: how many were answered so
 */
struct faults {
	unsigned int delay_ms;
	int code;
	unsigned int left;
	uint64_t injected;
};

/** The status to answer instead of the real answer, 0 for none; counts it. */
int faults_next(struct faults *faults);

#endif
