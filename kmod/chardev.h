/* SPDX-License-Identifier: GPL-2.0 */
/* The character device /dev/qkd. */
#ifndef QKD_CHARDEV_H
#define QKD_CHARDEV_H

#include "event.h"

struct qkd_netns;

/**
 * struct qkd_file - one open file
 * @ns: the network namespace in which it was opened; held by the file
 * @greeted: QKD_CMD_HELLO went well
 * @events: what it has not read yet
 */
struct qkd_file {
	struct qkd_netns *ns;
	bool greeted;
	struct qkd_event_queue events;
};

/** Whether the caller may command @ns: CAP_NET_ADMIN in its user namespace. */
bool qkd_chardev_allowed(const struct qkd_netns *ns);

/** Makes the device. Return: 0 or negative errno. */
int qkd_chardev_init(void);

/** Removes it; no file is open any more. */
void qkd_chardev_exit(void);

#endif
