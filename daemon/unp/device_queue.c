// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands that wait for /dev/qkd; see device_queue.h. */
#include "unp/device_queue.h"
#include "km/secret.h"
#include "unp/backend_ops.h"

#include <stdlib.h>
#include <string.h>

void device_queue_init(struct device_queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

bool device_cmd_lists(uint32_t cmd)
{
	return cmd == QKD_CMD_CHANNEL_LIST || cmd == QKD_CMD_EPOCH_LIST;
}

struct device_entry *device_queue_add(struct device_queue *queue, uint32_t cmd, const void *record)
{
	size_t size = backend_record_size(cmd);
	struct device_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->cmd = cmd;
	entry->record = cmd == QKD_CMD_KEY_PUT ? secret_alloc(size) : malloc(size);
	if (!entry->record) {
		free(entry);
		return NULL;
	}
	memcpy(entry->record, record, size);
	*queue->last = entry;
	queue->last = &entry->next;
	return entry;
}

size_t device_queue_take(struct device_queue *queue, size_t max, struct device_entry **run)
{
	struct device_entry *entry = queue->first;
	uint32_t cmd = entry ? entry->cmd : 0;
	size_t n = 0;

	*run = entry;
	while (n < max && entry && entry->cmd == cmd) {
		struct device_entry *next = entry->next;

		n++;
		/* A list fills the whole run: it goes alone. */
		if (n == max || !next || next->cmd != cmd || device_cmd_lists(cmd)) {
			entry->next = NULL;
			queue->first = next;
			break;
		}
		entry = next;
	}
	if (!queue->first)
		queue->last = &queue->first;
	return n;
}

void device_entry_free(struct device_entry *entry)
{
	if (entry->cmd == QKD_CMD_KEY_PUT)
		secret_free(entry->record);
	else
		free(entry->record);
	free(entry);
}
