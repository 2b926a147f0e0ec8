/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that wait for /dev/qkd, in order. Key records wait in locked
 * memory, and are wiped when they leave.
 */
#ifndef UNP_DEVICE_QUEUE_H
#define UNP_DEVICE_QUEUE_H

#include "unp/backend.h"

/**
 * struct device_entry - one command
 * @cmd: QKD_CMD_*
 * @record: backend_record_size(@cmd) octets, owned
 * @done: for all but the LIST commands
 * @list_done: for the LIST commands
 */
struct device_entry {
	struct device_entry *next;
	uint32_t cmd;
	void *record;
	backend_done_fn done;
	backend_list_fn list_done;
	void *arg;
};

struct device_queue {
	struct device_entry *first;
	struct device_entry **last; /* where the next one is linked */
};

void device_queue_init(struct device_queue *queue);

/** Copies @record. Return: the entry, to set its callback; NULL: no memory. */
struct device_entry *device_queue_add(struct device_queue *queue, uint32_t cmd, const void *record);

/** Takes up to @max neighbours of one command off, oldest first. Return: how many. */
size_t device_queue_take(struct device_queue *queue, size_t max, struct device_entry **run);

/** Wipes and frees one entry that was taken off. */
void device_entry_free(struct device_entry *entry);

/** Whether a command only reads a list. */
bool device_cmd_lists(uint32_t cmd);

#endif
