/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this folder share and nobody else needs: the loop itself,
 * deferred tasks, guests (objects that end with the loop), name resolution.
 */
#ifndef LOOP_INTERNAL_H
#define LOOP_INTERNAL_H

#include "loop/loop.h"
#include <liburing.h>
#include <pthread.h>

#define LOOP_SCRATCH 16384 /* one TLS record's plaintext */

/**
 * struct loop_task - one call of @fire at the end of this turn of the loop
 *
 * Intrusive, so that deferring never fails.
 */
struct loop_task {
	void (*fire)(void *arg);
	void *arg;
	struct loop_task *next;
	bool queued;
};

void loop_defer(struct loop *loop, struct loop_task *task);
void loop_undefer(struct loop *loop, struct loop_task *task);

/**
 * struct loop_guest - what must not outlive the loop: streams, listeners
 * @end: asked by loop_destroy() to cancel its operations and to free itself
 */
struct loop_guest {
	void (*end)(void *arg);
	void *arg;
	struct loop_guest *next;
	struct loop_guest **link;
};

void loop_guest_add(struct loop *loop, struct loop_guest *guest);
void loop_guest_remove(struct loop_guest *guest);

/**
 * struct loop_retry - something that the loop itself waits on, and that could
 * not be started for want of room in the ring
 * @start: tries it again, every few milliseconds until it is no longer -EAGAIN
 *
 * Intrusive, so that keeping it in mind never fails. It lives as long as the loop.
 */
struct loop_retry {
	int (*start)(void *arg);
	void *arg;
	struct loop_retry *next;
	bool queued;
};

/** Starts it, now or as soon as the ring has room. */
void loop_start_surely(struct loop *loop, struct loop_retry *retry);

/** Tries what found no room, cancellations too. Return: whether something is left. */
bool loop_retry_all(struct loop *loop);

/** @op is over: nothing is left to cancel. */
void loop_cancel_settle(struct loop_op *op);

/* Binary heap of timers, the earliest in slot 1. */
struct timer_heap {
	struct loop_timer **slot;
	size_t count;
	size_t capacity;
};

void timer_heap_free(struct timer_heap *heap);

/** Fires what is due, at most once per timer that was set before the call. */
void loop_timers_fire(struct loop *loop);

/** Milliseconds until the first timer, UINT64_MAX if there is none. */
uint64_t loop_timers_wait(const struct loop *loop, uint64_t now_ms);

/*
 * The mailbox of loop_post(). It has its own reference count, so that a helper
 * thread which answers late meets a closed box and not freed memory.
 */
struct mailbox;

int mailbox_create(struct mailbox **box);
struct mailbox *mailbox_hold(struct mailbox *box);
void mailbox_put(struct mailbox *box);
/** Refuses further letters and drops those not delivered. */
void mailbox_close(struct mailbox *box);
/** 0, -ENOMEM, or -ECANCELED: the box is closed. From any thread. */
int mailbox_post(struct mailbox *box, void (*fire)(void *arg), void *arg);
int mailbox_fd(const struct mailbox *box);
/** Runs the letters in the order they came. */
void mailbox_deliver(struct mailbox *box, const bool *stopped);

struct signal_source;
void signal_sources_free(struct loop *loop);

struct loop {
	struct io_uring ring;
	bool running;
	bool stopped;
	bool ending;
	int code;
	uint64_t now_ms;
	unsigned int in_flight;
	struct timer_heap timers;
	struct loop_task *task_first;
	struct loop_task **task_last;
	struct loop_guest *guests;
	struct mailbox *mailbox;
	struct loop_op mail_op;
	uint64_t mail_value;
	struct loop_retry mail_retry;
	struct loop_retry *retries;
	struct loop_op *lost_cancels;
	struct signal_source *signals;
	bool buffer_registered;
	/* Plaintext of the TLS record at hand; wiped after each use. */
	uint8_t scratch[LOOP_SCRATCH];
};

/** A submission entry, making room if need be; NULL if the ring stays full. */
struct io_uring_sqe *loop_sqe(struct loop *loop);

uint64_t loop_clock_ms(void);

/* -------- names to addresses -------- */

#define RESOLVE_MAX 8

struct address {
	struct sockaddr_storage addr;
	socklen_t len;
};

struct address_list {
	size_t count;
	struct address entry[RESOLVE_MAX];
};

/** Parses an IP address. 0 or -EINVAL: it is none. */
int resolve_numeric(const char *host, uint16_t port, struct address_list *list);

struct resolve_job;

/**
 * resolve_start - asks the system's resolver in a helper thread
 * @done: called in the loop; @reason if @list is NULL. The job is gone after it
 */
int resolve_start(struct loop *loop, const char *host, uint16_t port,
		  void (*done)(void *arg, const struct address_list *list, const char *reason),
		  void *arg, struct resolve_job **job);

/** The answer is not wanted any more; @done will not be called. */
void resolve_cancel(struct resolve_job *job);

/** "192.0.2.1:7443" or "[2001:db8::1]:7443". */
void address_format(const struct sockaddr *addr, char *text, size_t len);

#endif
