// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations on the ring, one completion each. */
#include "loop/internal.h"
#include <errno.h>
#include <poll.h>
#include <string.h>

#ifndef IORING_URING_CMD_FIXED
#define IORING_URING_CMD_FIXED (1U << 0)
#endif

struct io_uring_sqe *loop_sqe(struct loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	if (sqe)
		return sqe;
	if (io_uring_submit(&loop->ring) < 0)
		return NULL;
	return io_uring_get_sqe(&loop->ring);
}

static int op_start(struct loop *loop, struct loop_op *op, struct io_uring_sqe **sqe)
{
	if (op->busy)
		return -EBUSY;
	if (loop->ending)
		return -ECANCELED;
	*sqe = loop_sqe(loop);
	return *sqe ? 0 : -EAGAIN;
}

static void op_commit(struct loop *loop, struct loop_op *op, struct io_uring_sqe *sqe)
{
	io_uring_sqe_set_data(sqe, op);
	op->busy = true;
	loop->in_flight++;
}

int loop_read(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len)
{
	struct io_uring_sqe *sqe;
	int rc;

	if (len > INT32_MAX)
		len = INT32_MAX;
	rc = op_start(loop, op, &sqe);
	if (rc)
		return rc;
	/* Offset -1: where the file stands, as read(2). */
	io_uring_prep_read(sqe, fd, buf, (unsigned int)len, (uint64_t)-1);
	op_commit(loop, op, sqe);
	return 0;
}

int loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len)
{
	struct io_uring_sqe *sqe;
	int rc;

	if (len > INT32_MAX)
		len = INT32_MAX;
	rc = op_start(loop, op, &sqe);
	if (rc)
		return rc;
	io_uring_prep_write(sqe, fd, buf, (unsigned int)len, (uint64_t)-1);
	op_commit(loop, op, sqe);
	return 0;
}

int loop_recv(struct loop *loop, struct loop_op *op, int fd, void *buf, size_t len)
{
	struct io_uring_sqe *sqe;
	int rc = op_start(loop, op, &sqe);

	if (rc)
		return rc;
	io_uring_prep_recv(sqe, fd, buf, len, 0);
	op_commit(loop, op, sqe);
	return 0;
}

int loop_send(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len)
{
	struct io_uring_sqe *sqe;
	int rc = op_start(loop, op, &sqe);

	if (rc)
		return rc;
	io_uring_prep_send(sqe, fd, buf, len, MSG_NOSIGNAL);
	op_commit(loop, op, sqe);
	return 0;
}

int loop_accept(struct loop *loop, struct loop_op *op, int fd)
{
	struct io_uring_sqe *sqe;
	int rc = op_start(loop, op, &sqe);

	if (rc)
		return rc;
	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	op_commit(loop, op, sqe);
	return 0;
}

int loop_connect(struct loop *loop, struct loop_op *op, int fd, const struct sockaddr *addr,
		 socklen_t len)
{
	struct io_uring_sqe *sqe;
	int rc = op_start(loop, op, &sqe);

	if (rc)
		return rc;
	io_uring_prep_connect(sqe, fd, addr, len);
	op_commit(loop, op, sqe);
	return 0;
}

int loop_poll(struct loop *loop, struct loop_op *op, int fd, unsigned int events)
{
	struct io_uring_sqe *sqe;
	int rc = op_start(loop, op, &sqe);

	if (rc)
		return rc;
	io_uring_prep_poll_add(sqe, fd, events);
	op_commit(loop, op, sqe);
	return 0;
}

/* -------- what must not be lost when the ring is full -------- */

void loop_start_surely(struct loop *loop, struct loop_retry *retry)
{
	if (retry->queued || retry->start(retry->arg) != -EAGAIN)
		return;
	retry->queued = true;
	retry->next = loop->retries;
	loop->retries = retry;
}

void loop_cancel_settle(struct loop_op *op)
{
	if (!op->lost_link)
		return;
	*op->lost_link = op->lost_next;
	if (op->lost_next)
		op->lost_next->lost_link = op->lost_link;
	op->lost_link = NULL;
}

bool loop_retry_all(struct loop *loop)
{
	struct loop_retry *retry = loop->retries;
	struct loop_op *op, *next;

	loop->retries = NULL;
	while (retry) {
		struct loop_retry *following = retry->next;

		retry->queued = false;
		loop_start_surely(loop, retry);
		retry = following;
	}
	for (op = loop->lost_cancels; op; op = next) {
		next = op->lost_next;
		loop_op_cancel(loop, op);
	}
	return loop->retries || loop->lost_cancels;
}

void loop_op_cancel(struct loop *loop, struct loop_op *op)
{
	struct io_uring_sqe *sqe;

	if (!op->busy)
		return;
	sqe = loop_sqe(loop);
	if (sqe) {
		io_uring_prep_cancel(sqe, op, 0);
		io_uring_sqe_set_data(sqe, NULL);
		loop_cancel_settle(op);
	} else if (!op->lost_link) {
		op->lost_next = loop->lost_cancels;
		op->lost_link = &loop->lost_cancels;
		if (op->lost_next)
			op->lost_next->lost_link = &op->lost_next;
		loop->lost_cancels = op;
	}
}

/* Turns @op's completion, if it waits in the ring, into one that says nothing. */
static bool swallow(struct loop *loop, const struct loop_op *op)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	io_uring_for_each_cqe(&loop->ring, head, cqe)
	{
		if (io_uring_cqe_get_data(cqe) == op) {
			cqe->user_data = 0;
			return true;
		}
	}
	return false;
}

void loop_op_forget(struct loop *loop, struct loop_op *op)
{
	unsigned int ready;

	if (!op->busy)
		return;
	loop_op_cancel(loop, op);
	while (!swallow(loop, op)) {
		if (op->lost_link) {
			poll(NULL, 0, 1);
			loop_op_cancel(loop, op);
			continue;
		}
		ready = io_uring_cq_ready(&loop->ring);
		if (io_uring_submit_and_wait(&loop->ring, ready + 1) == -EBADF)
			break;
	}
	loop_cancel_settle(op);
	op->busy = false;
	loop->in_flight--;
}

int loop_uring_cmd(struct loop *loop, struct loop_op *op, int fd, uint32_t cmd_op,
		   const void *payload, unsigned int buf_index)
{
	struct io_uring_sqe *sqe;
	int rc = op_start(loop, op, &sqe);

	if (rc)
		return rc;
	/* liburing 2.3 has no helper for this operation. */
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = cmd_op;
	sqe->rw_flags = IORING_URING_CMD_FIXED;
	sqe->buf_index = (uint16_t)buf_index;
	memcpy(sqe->cmd, payload, 16);
	op_commit(loop, op, sqe);
	return 0;
}

int loop_register_buffer(struct loop *loop, void *base, size_t len)
{
	struct iovec iov = {.iov_base = base, .iov_len = len};
	int rc;

	if (loop->buffer_registered)
		return -EBUSY;
	rc = io_uring_register_buffers(&loop->ring, &iov, 1);
	if (rc)
		return rc;
	loop->buffer_registered = true;
	return 0;
}

void loop_unregister_buffer(struct loop *loop)
{
	if (!loop->buffer_registered)
		return;
	io_uring_unregister_buffers(&loop->ring);
	loop->buffer_registered = false;
}
