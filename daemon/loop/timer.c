// SPDX-License-Identifier: GPL-2.0-or-later
/* Timers: a binary heap that drives the ring's one wait timeout. */
#include "loop/internal.h"
#include <errno.h>
#include <stdlib.h>

static void place(struct timer_heap *heap, struct loop_timer *timer, size_t index)
{
	heap->slot[index] = timer;
	timer->heap_index = index;
}

static void sift_up(struct timer_heap *heap, struct loop_timer *timer)
{
	size_t index = timer->heap_index;

	while (index > 1 && heap->slot[index / 2]->at_ms > timer->at_ms) {
		place(heap, heap->slot[index / 2], index);
		index /= 2;
	}
	place(heap, timer, index);
}

static void sift_down(struct timer_heap *heap, struct loop_timer *timer)
{
	size_t index = timer->heap_index;

	while (2 * index <= heap->count) {
		size_t child = 2 * index;

		if (child < heap->count && heap->slot[child + 1]->at_ms < heap->slot[child]->at_ms)
			child++;
		if (heap->slot[child]->at_ms >= timer->at_ms)
			break;
		place(heap, heap->slot[child], index);
		index = child;
	}
	place(heap, timer, index);
}

static int make_room(struct timer_heap *heap)
{
	size_t capacity = heap->capacity ? 2 * heap->capacity : 64;
	struct loop_timer **slot;

	if (heap->count + 1 < heap->capacity)
		return 0;
	slot = reallocarray(heap->slot, capacity, sizeof(struct loop_timer *));
	if (!slot)
		return -ENOMEM;
	heap->slot = slot;
	heap->capacity = capacity;
	return 0;
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms)
{
	struct timer_heap *heap = &loop->timers;
	uint64_t now = loop_now_ms(loop);
	int rc;

	if (!timer->heap_index) {
		rc = make_room(heap);
		if (rc)
			return rc;
		place(heap, timer, ++heap->count);
	}
	timer->at_ms = delay_ms > UINT64_MAX - now ? UINT64_MAX : now + delay_ms;
	sift_up(heap, timer);
	sift_down(heap, timer);
	return 0;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	struct timer_heap *heap = &loop->timers;
	struct loop_timer *last;
	size_t index = timer->heap_index;

	if (!index)
		return;
	timer->heap_index = 0;
	last = heap->slot[heap->count--];
	if (last == timer)
		return;
	place(heap, last, index);
	sift_up(heap, last);
	sift_down(heap, last);
}

void loop_timers_fire(struct loop *loop)
{
	struct timer_heap *heap = &loop->timers;
	/* A timer that sets itself again with no delay must not starve the rest. */
	size_t budget = heap->count;

	while (budget-- && heap->count && !loop->stopped) {
		struct loop_timer *timer = heap->slot[1];

		if (timer->at_ms > loop->now_ms)
			break;
		loop_timer_cancel(loop, timer);
		timer->fire(timer->arg);
	}
}

uint64_t loop_timers_wait(const struct loop *loop, uint64_t now_ms)
{
	uint64_t at_ms;

	if (!loop->timers.count)
		return UINT64_MAX;
	at_ms = loop->timers.slot[1]->at_ms;
	return at_ms > now_ms ? at_ms - now_ms : 0;
}

void timer_heap_free(struct timer_heap *heap)
{
	for (size_t i = 1; i <= heap->count; i++)
		heap->slot[i]->heap_index = 0;
	free(heap->slot);
	heap->slot = NULL;
	heap->count = 0;
	heap->capacity = 0;
}
