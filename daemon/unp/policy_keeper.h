/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the kernel's policies as the channels want them, while the daemon
 * runs: listens to the kernel's policy events and puts back what somebody else
 * takes out or changes, such as `ip xfrm policy flush`. Where it cannot listen
 * it looks every POLICY_KEEPER_MS.
 */
#ifndef UNP_POLICY_KEEPER_H
#define UNP_POLICY_KEEPER_H

#include "loop/loop.h"

#define POLICY_KEEPER_MS 5000

struct policy_keeper;

/** Begins to listen. NULL: no memory. */
struct policy_keeper *policy_keeper_create(struct loop *loop);
void policy_keeper_destroy(struct policy_keeper *keeper);

/**
 * policy_keeper_all_known - all channels of this node have said what they want
 *
 * From here on exceptions and fences that no channel wants are taken out: what
 * stands from before is closed now.
 */
void policy_keeper_all_known(struct policy_keeper *keeper);

#endif
