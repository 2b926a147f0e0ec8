/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: one thread, one io_uring. Sockets, timers, files, signals
 * and /dev/qkd are all completions on that ring. Only the files of this folder
 * know liburing.
 *
 * Everything here is called from the loop's thread, but for loop_post().
 * Functions return 0 or a negative errno unless they say otherwise.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct loop;

/** Makes a loop. -ENOSYS or -EPERM: io_uring is off (kernel.io_uring_disabled). */
int loop_create(struct loop **loop);

/** A sentence for people on why loop_create() returned @err, and the way out. */
const char *loop_create_error(int err);

/**
 * loop_destroy - cancels what is under way, waits for it, frees the loop
 *
 * Operations end by their done() and streams by their closed(), with
 * -ECANCELED, from within this call; timers and posts that wait are dropped.
 */
void loop_destroy(struct loop *loop);

/** Runs until loop_stop(). Return: the code given there, or a negative errno. */
int loop_run(struct loop *loop);

/** Makes loop_run() return @code after the current callback. */
void loop_stop(struct loop *loop, int code);

/** CLOCK_BOOTTIME in milliseconds, read once per wake-up of the loop. */
uint64_t loop_now_ms(struct loop *loop);

/**
 * struct loop_timer - a one-shot timer; embed it, zero it, set @fire and @arg
 * @fire: called once at expiry; may set the timer again
 */
struct loop_timer {
	void (*fire)(void *arg);
	void *arg;
	uint64_t at_ms;
	size_t heap_index; /* 1-based; 0: not set */
};

/** (Re)arms @timer @delay_ms from now. Return: 0 or -ENOMEM. */
int loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);
static inline bool loop_timer_pending(const struct loop_timer *timer)
{
	return timer->heap_index != 0;
}

/**
 * struct loop_op - one operation on the ring; embed it, zero it, set @done
 * @done: called once with the completion's result (>= 0 or negative errno);
 *        -ECANCELED after loop_op_cancel(). The op may be used again in it
 * @busy: under way: the op and its buffers must stay where they are
 * @lost_next, @lost_link: the loop's own: a cancellation that is still to be asked for
 */
struct loop_op {
	void (*done)(struct loop_op *op, int result);
	void *arg;
	bool busy;
	struct loop_op *lost_next;
	struct loop_op **lost_link;
};

/* Each starts one operation: 0, -EBUSY (@op is under way) or -EAGAIN (ring full). */
int loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len);
int loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len);
int loop_recv(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len);
int loop_send(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len);
int loop_accept(struct loop *loop, struct loop_op *op, int fd);
int loop_connect(struct loop *loop, struct loop_op *op, int fd, const struct sockaddr *addr,
		 socklen_t len);
int loop_poll(struct loop *loop, struct loop_op *op, int fd, unsigned int events);

/** Asks for cancellation, until the ring has room for it; @op's done still comes, soon. */
void loop_op_cancel(struct loop *loop, struct loop_op *op);

/**
 * loop_op_forget - cancels @op and waits until the kernel has let go of it
 *
 * Its done is not called; after this the op and its buffers may be freed. For
 * an owner that goes away. Blocks until the operation is over.
 */
void loop_op_forget(struct loop *loop, struct loop_op *op);

/**
 * loop_uring_cmd - IORING_OP_URING_CMD on @fd with IORING_URING_CMD_FIXED
 * @cmd_op: the driver's command number
 * @payload: 16 octets, copied into the SQE
 * @buf_index: of loop_register_buffer()
 */
int loop_uring_cmd(struct loop *loop, struct loop_op *op, int fd, uint32_t cmd_op,
		   const void *payload, unsigned int buf_index);

/** Registers the ring's only fixed buffer, index 0. -EBUSY: there is one. */
int loop_register_buffer(struct loop *loop, void *base, size_t len);

/** Ends that: no command that names the buffer may be under way. It may be freed then. */
void loop_unregister_buffer(struct loop *loop);

/** Calls @fire in the loop when one of @signals arrives; blocks them. */
int loop_signals(struct loop *loop, const int *signals, size_t count,
		 void (*fire)(int signo, void *arg), void *arg);

/**
 * loop_post - run @fire(arg) in the loop's thread, soon
 *
 * The only function that any thread may call. Calls come in order.
 * Return: 0 or -ENOMEM.
 */
int loop_post(struct loop *loop, void (*fire)(void *arg), void *arg);

#endif
