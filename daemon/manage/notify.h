/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells systemd how we are: the datagram protocol of sd_notify(3), spoken by
 * hand, since libsystemd would bring seven more libraries into a key daemon.
 */
#ifndef MANAGE_NOTIFY_H
#define MANAGE_NOTIFY_H

#include <stdint.h>

/**
 * notify_send - sends a message such as "READY=1\nSTATUS=..."
 *
 * To the socket that NOTIFY_SOCKET names: a path, or with '@' an abstract
 * name. Without NOTIFY_SOCKET it does nothing.
 * Return: 0 or a negative errno.
 */
int notify_send(const char *message);

/** "STATUS=" with @text, cut at 200 octets and at the first line end. */
int notify_status(const char *text);

/**
 * notify_watchdog_ms - how often "WATCHDOG=1" must be sent: half of WATCHDOG_USEC
 * Return: 0 if no watchdog is set, or it is another process's (WATCHDOG_PID).
 */
uint32_t notify_watchdog_ms(void);

#endif
