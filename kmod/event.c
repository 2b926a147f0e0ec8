// SPDX-License-Identifier: GPL-2.0
/* Events on their way to the readers of /dev/qkd; see event.h. */
#include <linux/poll.h>
#include <linux/slab.h>
#include "event.h"
#include "netns.h"

static struct qkd_event *slot(const struct qkd_event_queue *q, u32 n)
{
	return &q->ring[n % QKD_EVENT_QUEUE];
}

int qkd_event_subscribe(struct qkd_netns *ns, struct qkd_event_queue *q)
{
	bool room;

	q->ring = kvcalloc(QKD_EVENT_QUEUE, sizeof(*q->ring), GFP_KERNEL_ACCOUNT);
	if (!q->ring)
		return -ENOMEM;
	init_waitqueue_head(&q->wait);
	q->tail = 0;
	q->head = 0;
	spin_lock(&ns->readers_lock);
	room = ns->reader_count < QKD_EVENT_READERS_MAX;
	if (room) {
		list_add_tail(&q->node, &ns->readers);
		ns->reader_count++;
	}
	spin_unlock(&ns->readers_lock);
	if (room)
		return 0;
	kvfree(q->ring);
	return -EMFILE;
}

void qkd_event_unsubscribe(struct qkd_netns *ns, struct qkd_event_queue *q)
{
	spin_lock(&ns->readers_lock);
	list_del(&q->node);
	ns->reader_count--;
	spin_unlock(&ns->readers_lock);
	kvfree(q->ring);
}

bool qkd_event_pending(const struct qkd_event_queue *q)
{
	return READ_ONCE(q->head) != READ_ONCE(q->tail);
}

bool qkd_event_take(struct qkd_netns *ns, struct qkd_event_queue *q, struct qkd_event *event)
{
	bool any;

	spin_lock(&ns->readers_lock);
	any = q->head != q->tail;
	if (any) {
		*event = *slot(q, q->tail);
		WRITE_ONCE(q->tail, q->tail + 1);
	}
	spin_unlock(&ns->readers_lock);
	return any;
}

void qkd_event_put_back(struct qkd_netns *ns, struct qkd_event_queue *q,
			const struct qkd_event *event)
{
	spin_lock(&ns->readers_lock);
	if (q->head - q->tail < QKD_EVENT_QUEUE) {
		WRITE_ONCE(q->tail, q->tail - 1);
		*slot(q, q->tail) = *event;
	} else {
		slot(q, q->tail)->lost += event->lost + 1; /* others came meanwhile */
	}
	spin_unlock(&ns->readers_lock);
}

/* The oldest goes: the next one that is read then says so at once. */
static void drop_oldest(struct qkd_event_queue *q)
{
	u32 lost = slot(q, q->tail)->lost + 1;

	WRITE_ONCE(q->tail, q->tail + 1);
	slot(q, q->tail)->lost += lost;
}

/* Return: whether an older event had to go. */
static bool append(struct qkd_event_queue *q, const struct qkd_event *event)
{
	bool full = q->head - q->tail == QKD_EVENT_QUEUE;

	if (full)
		drop_oldest(q);
	*slot(q, q->head) = *event;
	WRITE_ONCE(q->head, q->head + 1);
	if (wq_has_sleeper(&q->wait))
		wake_up_interruptible_poll(&q->wait, EPOLLIN | EPOLLRDNORM);
	return full;
}

void qkd_event_emit(struct qkd_netns *ns, u64 time_ns, u32 channel, enum qkd_event_type type,
		    u64 epoch, u64 value, int error)
{
	struct qkd_event event = {
		.time_ns = time_ns,
		.channel = channel,
		.type = type,
		.epoch = epoch,
		.value = value,
		.error = error,
	};
	struct qkd_event_queue *q;

	if (list_empty_careful(&ns->readers)) {
		atomic64_inc(&ns->events_lost);
		return;
	}
	spin_lock(&ns->readers_lock);
	list_for_each_entry(q, &ns->readers, node)
		if (append(q, &event))
			atomic64_inc(&ns->events_lost);
	spin_unlock(&ns->readers_lock);
}
