/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Octets that wait to be sent: chunks that stay where they are, wiped when sent. */
#ifndef LOOP_OUT_QUEUE_H
#define LOOP_OUT_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct out_chunk;

struct out_queue {
	struct out_chunk *first;
	struct out_chunk *last;
	size_t octets;
};

/** Appends a copy. 0 or -ENOMEM (nothing is appended). */
int out_queue_add(struct out_queue *queue, const void *data, size_t len);

/** What to send next; its place is stable until out_queue_sent(). Returns its length. */
size_t out_queue_head(struct out_queue *queue, const void **data);

/** @len octets of the head are with the kernel. */
void out_queue_sent(struct out_queue *queue, size_t len);

void out_queue_clear(struct out_queue *queue);

#endif
