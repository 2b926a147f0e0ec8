// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/out_queue.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN 4096

struct out_chunk {
	struct out_chunk *next;
	size_t start;
	size_t end;
	size_t capacity;
	uint8_t data[];
};

static struct out_chunk *chunk_create(size_t len)
{
	size_t capacity = len > CHUNK_MIN ? len : CHUNK_MIN;
	struct out_chunk *chunk = malloc(sizeof(*chunk) + capacity);

	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->start = 0;
	chunk->end = 0;
	chunk->capacity = capacity;
	return chunk;
}

int out_queue_add(struct out_queue *queue, const void *data, size_t len)
{
	struct out_chunk *chunk = queue->last;

	if (!len)
		return 0;
	/* Behind what is being sent there may be room in the same chunk. */
	if (!chunk || chunk->capacity - chunk->end < len) {
		chunk = chunk_create(len);
		if (!chunk)
			return -ENOMEM;
		if (queue->last)
			queue->last->next = chunk;
		else
			queue->first = chunk;
		queue->last = chunk;
	}
	memcpy(chunk->data + chunk->end, data, len);
	chunk->end += len;
	queue->octets += len;
	return 0;
}

size_t out_queue_head(struct out_queue *queue, const void **data)
{
	struct out_chunk *chunk = queue->first;

	if (!chunk)
		return 0;
	*data = chunk->data + chunk->start;
	return chunk->end - chunk->start;
}

static void drop_first(struct out_queue *queue)
{
	struct out_chunk *chunk = queue->first;

	queue->octets -= chunk->end - chunk->start;
	queue->first = chunk->next;
	if (!queue->first)
		queue->last = NULL;
	OPENSSL_cleanse(chunk->data, chunk->end);
	free(chunk);
}

void out_queue_sent(struct out_queue *queue, size_t len)
{
	while (len && queue->first) {
		struct out_chunk *chunk = queue->first;
		size_t part = chunk->end - chunk->start;

		if (part > len)
			part = len;
		chunk->start += part;
		queue->octets -= part;
		len -= part;
		if (chunk->start == chunk->end)
			drop_first(queue);
	}
}

void out_queue_clear(struct out_queue *queue)
{
	while (queue->first)
		drop_first(queue);
}
