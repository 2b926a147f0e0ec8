/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names that outlive a power cut. */
#ifndef KM_SYNC_H
#define KM_SYNC_H

/**
 * km_sync_parent - makes the name of the new file or directory @path durable
 *
 * What a file holds is durable by fsync() of it, its name by that of the
 * directory that it is in. Return: 0 or negative errno.
 */
int km_sync_parent(const char *path);

#endif
