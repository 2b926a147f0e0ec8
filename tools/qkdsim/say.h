/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the simulator says to people: every line says that it is simulated. */
#ifndef QKDSIM_SAY_H
#define QKDSIM_SAY_H

#include <stdio.h>

/** One line on standard error. */
#define say(format, ...) fprintf(stderr, "qkdsim (simulated): " format "\n", ##__VA_ARGS__)

#endif
