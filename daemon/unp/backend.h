/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What installs SAs: /dev/qkd (unp/device.c), or netlink with the rollover in
 * user space (unp/netlink/). Both take the records of <linux/qkd.h> and answer
 * with their status, so that the channels above do not know which one works.
 */
#ifndef UNP_BACKEND_H
#define UNP_BACKEND_H

#include "loop/loop.h"
#include <linux/qkd.h>

struct backend;

/**
 * backend_done_fn - how a command ended
 * @err: 0: @record is filled in, see its status; else the command as a whole
 *       failed with this negative errno
 * @record: as written back; valid during the call
 */
typedef void (*backend_done_fn)(void *arg, int err, const void *record);

/** @count records, in order; valid during the call */
typedef void (*backend_list_fn)(void *arg, int err, const void *records, size_t count);

struct backend_events {
	void (*event)(const struct qkd_event *event, void *arg);
	/** the backend is lost (device error); @text for people */
	void (*failed)(int err, const char *text, void *arg);
	void *arg;
};

/** @error: gets a sentence: no module, no permission, io_uring off, ABI mismatch, ... */
int backend_open_device(struct loop *loop, const struct backend_events *events,
			struct backend **backend, char *error, size_t error_len);
int backend_open_netlink(struct loop *loop, const struct backend_events *events,
			 struct backend **backend, char *error, size_t error_len);

/** Leaves every SA in place. */
void backend_close(struct backend *backend);

/** "module" or "netlink" */
const char *backend_name(const struct backend *backend);
const struct qkd_hello *backend_hello(const struct backend *backend);

/**
 * backend_submit - one record with one command; commands take effect in order
 * @cmd: QKD_CMD_* but the LIST ones
 * @record: copied (a qkd_key straight into locked memory); its size is the command's
 *
 * Neighbours with the same command travel in one batch.
 */
int backend_submit(struct backend *backend, uint32_t cmd, const void *record, backend_done_fn done,
		   void *arg);

/** QKD_CMD_CHANNEL_LIST: all channels. */
int backend_list_channels(struct backend *backend, backend_list_fn done, void *arg);

/** QKD_CMD_EPOCH_LIST: all epochs of @channel. */
int backend_list_epochs(struct backend *backend, uint32_t channel, backend_list_fn done, void *arg);

#endif
