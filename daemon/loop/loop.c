// SPDX-License-Identifier: GPL-2.0-or-later
/* The loop itself: set up the ring, wait, hand out completions, wind down. */
#include "loop/internal.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SQ_ENTRIES 256
#define CQ_ENTRIES 16384
#define RETRY_MS   10 /* what found no room in the ring is tried again */

uint64_t loop_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t loop_now_ms(struct loop *loop)
{
	/* Before and between runs nothing refreshes the stored time. */
	return loop->running ? loop->now_ms : loop_clock_ms();
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	*loop->task_last = task;
	loop->task_last = &task->next;
}

void loop_undefer(struct loop *loop, struct loop_task *task)
{
	struct loop_task **link = &loop->task_first;

	if (!task->queued)
		return;
	while (*link != task)
		link = &(*link)->next;
	*link = task->next;
	if (!*link)
		loop->task_last = link;
	task->queued = false;
}

void loop_guest_add(struct loop *loop, struct loop_guest *guest)
{
	guest->next = loop->guests;
	guest->link = &loop->guests;
	if (guest->next)
		guest->next->link = &guest->next;
	loop->guests = guest;
}

void loop_guest_remove(struct loop_guest *guest)
{
	*guest->link = guest->next;
	if (guest->next)
		guest->next->link = guest->link;
}

/* Completions come only when the loop asks for them: no interrupts of its work. */
static int ring_create(struct io_uring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	int rc = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);

	if (rc == -EINVAL) {
		params = (struct io_uring_params){
			.flags = IORING_SETUP_CQSIZE,
			.cq_entries = CQ_ENTRIES,
		};
		rc = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
	}
	if (rc)
		return rc;
	/* Saves the lookup of the ring's file on every call; no harm if refused. */
	io_uring_register_ring_fd(ring);
	return 0;
}

static int io_uring_disabled(void)
{
	FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	int value = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

const char *loop_create_error(int err)
{
	int disabled = io_uring_disabled();

	if (err == -EPERM && disabled == 1)
		return "io_uring is kept from us: kernel.io_uring_disabled is 1, so only "
		       "CAP_SYS_ADMIN and "
		       "the group kernel.io_uring_group may use it; put the service's group there "
		       "(sysctl kernel.io_uring_group=GID)";
	if (err == -EPERM && disabled)
		return "io_uring is off: kernel.io_uring_disabled is 2; set it to 1 with "
		       "kernel.io_uring_group=GID of the service, or to 0 (sysctl -w "
		       "kernel.io_uring_disabled=0, and a file in /etc/sysctl.d)";
	if (err == -EPERM)
		return "io_uring is refused by a security policy (seccomp filter or security "
		       "module); "
		       "allow io_uring_setup, io_uring_enter and io_uring_register";
	if (err == -ENOSYS)
		return "no io_uring: the kernel lacks it (6.1 or newer is needed) or a seccomp "
		       "filter, "
		       "as containers have, hides it";
	if (err == -ENOMEM)
		return "no memory for the io_uring: raise LimitMEMLOCK= of the service";
	return strerror(-err);
}

static int listen_for_mail(void *arg)
{
	struct loop *loop = arg;

	return loop_read(loop, &loop->mail_op, mailbox_fd(loop->mailbox), &loop->mail_value,
			 sizeof(loop->mail_value));
}

static void mail_came(struct loop_op *op, int result)
{
	struct loop *loop = op->arg;

	if (result == -ECANCELED || loop->ending)
		return;
	/* Answers of the store come by mail: without it nothing ever would again. */
	loop_start_surely(loop, &loop->mail_retry);
	mailbox_deliver(loop->mailbox, &loop->stopped);
}

int loop_create(struct loop **loop)
{
	struct loop *made = calloc(1, sizeof(*made));
	int rc;

	if (!made)
		return -ENOMEM;
	made->task_last = &made->task_first;
	rc = ring_create(&made->ring);
	if (rc)
		goto free_loop;
	rc = mailbox_create(&made->mailbox);
	if (rc)
		goto exit_ring;
	made->mail_op.done = mail_came;
	made->mail_op.arg = made;
	made->mail_retry.start = listen_for_mail;
	made->mail_retry.arg = made;
	rc = listen_for_mail(made);
	if (rc)
		goto put_mailbox;
	*loop = made;
	return 0;
put_mailbox:
	mailbox_put(made->mailbox);
exit_ring:
	io_uring_queue_exit(&made->ring);
free_loop:
	free(made);
	return rc;
}

int loop_post(struct loop *loop, void (*fire)(void *arg), void *arg)
{
	return mailbox_post(loop->mailbox, fire, arg);
}

static void run_tasks(struct loop *loop)
{
	while (loop->task_first && !loop->stopped) {
		struct loop_task *task = loop->task_first;

		loop->task_first = task->next;
		if (!loop->task_first)
			loop->task_last = &loop->task_first;
		task->queued = false;
		task->fire(task->arg);
	}
}

static void complete(struct loop *loop, struct io_uring_cqe *cqe)
{
	struct loop_op *op = io_uring_cqe_get_data(cqe);
	int result = cqe->res;

	io_uring_cqe_seen(&loop->ring, cqe);
	if (!op)
		return;
	op->busy = false;
	loop_cancel_settle(op);
	loop->in_flight--;
	op->done(op, result);
}

/* Hands out what is in the ring now; what the callbacks add waits its turn. */
static void reap(struct loop *loop)
{
	unsigned int budget = io_uring_cq_ready(&loop->ring);
	struct io_uring_cqe *cqe;

	while (budget-- && !loop->stopped && !io_uring_peek_cqe(&loop->ring, &cqe))
		complete(loop, cqe);
}

static int wait_for_events(struct loop *loop, uint64_t wait_ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = (int64_t)(wait_ms / 1000),
		.tv_nsec = (int64_t)(wait_ms % 1000) * 1000000,
	};
	struct io_uring_cqe *cqe;
	int rc = io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1,
						  wait_ms == UINT64_MAX ? NULL : &ts, NULL);

	switch (rc) {
	case -ETIME:
	case -EINTR:
	case -EAGAIN:
	case -EBUSY: /* completions wait to be read first */
		return 0;
	default:
		return rc < 0 ? rc : 0;
	}
}

static uint64_t time_to_wait(struct loop *loop)
{
	uint64_t wait_ms = loop_timers_wait(loop, loop_clock_ms());

	return loop_retry_all(loop) && wait_ms > RETRY_MS ? RETRY_MS : wait_ms;
}

int loop_run(struct loop *loop)
{
	int rc = 0;

	loop->running = true;
	loop->stopped = false;
	loop->now_ms = loop_clock_ms();
	for (;;) {
		run_tasks(loop);
		if (loop->stopped)
			break;
		rc = wait_for_events(loop, time_to_wait(loop));
		if (rc)
			break;
		loop->now_ms = loop_clock_ms();
		reap(loop);
		if (!loop->stopped)
			loop_timers_fire(loop);
	}
	loop->running = false;
	return rc ? rc : loop->code;
}

void loop_stop(struct loop *loop, int code)
{
	/* While the loop is being destroyed there is nothing to stop. */
	loop->stopped = !loop->ending;
	loop->code = code;
}

static void cancel_all(struct loop *loop)
{
	struct io_uring_sqe *sqe = loop_sqe(loop);

	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
	io_uring_sqe_set_data(sqe, NULL);
}

static void end_guests(struct loop *loop)
{
	struct loop_guest *guest = loop->guests;

	while (guest) {
		struct loop_guest *next = guest->next;

		guest->end(guest->arg);
		guest = next;
	}
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	loop->stopped = false;
	loop->ending = true;
	end_guests(loop);
	while (loop->in_flight || loop->task_first) {
		cancel_all(loop);
		run_tasks(loop);
		/* An operation may start in io-wq just as we cancel: ask again. */
		if (loop->in_flight && wait_for_events(loop, 100))
			break;
		reap(loop);
	}
	signal_sources_free(loop);
	mailbox_close(loop->mailbox);
	mailbox_put(loop->mailbox);
	timer_heap_free(&loop->timers);
	io_uring_queue_exit(&loop->ring);
	OPENSSL_cleanse(loop, sizeof(*loop));
	free(loop);
}
