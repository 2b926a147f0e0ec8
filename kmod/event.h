/* SPDX-License-Identifier: GPL-2.0 */
/* Events on their way to the readers of /dev/qkd. */
#ifndef QKD_EVENT_H
#define QKD_EVENT_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include "qkd_uapi.h"

struct qkd_netns;

/**
 * struct qkd_event_queue - the events that one open file has not read yet; its
 *                          namespace's readers_lock guards them
 * @node: in qkd_netns.readers
 * @wait: readers and pollers
 * @ring: QKD_EVENT_QUEUE events, the oldest at @tail
 * @tail: counts events taken out
 * @head: counts events put in
 */
struct qkd_event_queue {
	struct list_head node;
	wait_queue_head_t wait;
	struct qkd_event *ring;
	u32 tail;
	u32 head;
};

/** Events that wait for one reader at most; a power of two. */
#define QKD_EVENT_QUEUE 1024

/** Files that may be open in one network namespace: each event goes to all. */
#define QKD_EVENT_READERS_MAX 64

/** Starts to collect. Return: 0, -ENOMEM, or -EMFILE: enough others do. */
int qkd_event_subscribe(struct qkd_netns *ns, struct qkd_event_queue *q);

/** Stops, and forgets what was not read. */
void qkd_event_unsubscribe(struct qkd_netns *ns, struct qkd_event_queue *q);

/** Takes the oldest event out. Return: whether there was one. */
bool qkd_event_take(struct qkd_netns *ns, struct qkd_event_queue *q, struct qkd_event *event);

/** Puts one back that was taken out last and did not get to its reader. */
void qkd_event_put_back(struct qkd_netns *ns, struct qkd_event_queue *q,
			const struct qkd_event *event);

/** Whether an event waits; no lock needed, the answer may be old. */
bool qkd_event_pending(const struct qkd_event_queue *q);

/**
 * qkd_event_emit - tell all readers of the namespace
 * @time_ns: CLOCK_REALTIME
 * @channel: qkd_channel.id
 * @epoch: or QKD_EPOCH_NONE
 * @value: depends on @type
 * @error: negative errno or 0
 *
 * A reader that is slow loses its oldest events, and is told how many.
 */
void qkd_event_emit(struct qkd_netns *ns, u64 time_ns, u32 channel, enum qkd_event_type type,
		    u64 epoch, u64 value, int error);

#endif
