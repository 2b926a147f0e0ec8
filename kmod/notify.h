/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What happens to SAs and devices outside the module: limits that are reached,
 * states that others delete, devices that go, a machine that wakes up.
 */
#ifndef QKD_NOTIFY_H
#define QKD_NOTIFY_H

/** Begins to listen. Return: 0 or negative errno. */
int qkd_notify_init(void);

/** Ends it; nothing is under way any more. */
void qkd_notify_exit(void);

#endif
