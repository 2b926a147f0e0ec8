// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backend over /dev/qkd, between a ring and a module of the test's own: the
 * ring is full at times, and keys must not stay in the buffer then.
 */
#include "loop/loop.h"
#include "unp/backend.h"
#include "unp/backend_ops.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct loop {
	int unused;
};

static struct loop loop;
static struct backend *backend;
static struct loop_op *cmd_op, *read_op; /* under way */
static struct loop_timer *timers[4];
static uint32_t cmd;
static uint8_t *buffer;
static struct qkd_event *events_to;
static int ring_full; /* so many operations find it so */
static int ring_error;
static char lost[256];
static unsigned int heard;

int open(const char *path, int flags, ...)
{
	return (int)syscall(SYS_openat, AT_FDCWD, strcmp(path, "/dev/qkd") ? path : "/dev/null",
			    flags, 0);
}

static int ring(void)
{
	if (ring_error)
		return ring_error;
	if (!ring_full)
		return 0;
	ring_full--;
	return -EAGAIN;
}

int loop_uring_cmd(struct loop *l, struct loop_op *op, int fd, uint32_t cmd_op_number,
		   const void *payload, unsigned int index)
{
	int err = ring();

	assert_false(op->busy);
	if (err)
		return err;
	op->busy = true;
	cmd_op = op;
	cmd = cmd_op_number;
	return 0;
}

int loop_read(struct loop *l, struct loop_op *op, int fd, void *buf, size_t len)
{
	int err = ring();

	if (err)
		return err;
	op->busy = true;
	read_op = op;
	events_to = buf;
	return 0;
}

void loop_op_cancel(struct loop *l, struct loop_op *op)
{
}

int loop_timer_set(struct loop *l, struct loop_timer *timer, uint64_t delay_ms)
{
	size_t i = 0;

	while (timers[i] && timers[i] != timer)
		assert_true(++i < 4);
	timers[i] = timer;
	return 0;
}

void loop_timer_cancel(struct loop *l, struct loop_timer *timer)
{
	size_t i;

	for (i = 0; i < 4; i++)
		if (timers[i] == timer)
			timers[i] = NULL;
}

int loop_register_buffer(struct loop *l, void *base, size_t len)
{
	buffer = base;
	return 0;
}

void loop_unregister_buffer(struct loop *l)
{
	buffer = NULL;
}

static void fire_timers(void)
{
	size_t i;

	for (i = 0; i < 4; i++) {
		struct loop_timer *timer = timers[i];

		timers[i] = NULL;
		if (timer)
			timer->fire(timer->arg);
	}
}

static void complete(struct loop_op **op, int result)
{
	struct loop_op *done = *op;

	assert_non_null(done);
	*op = NULL;
	done->busy = false;
	done->done(done, result);
}

/* -------- who uses it -------- */

static void on_event(const struct qkd_event *event, void *arg)
{
	heard++;
}

static void on_failed(int err, const char *text, void *arg)
{
	snprintf(lost, sizeof(lost), "%s", text);
}

static int setup(void **state)
{
	struct backend_events e = {.event = on_event, .failed = on_failed};
	char error[256] = "";

	ring_full = ring_error = 0;
	lost[0] = '\0';
	heard = 0;
	if (backend_open_device(&loop, &e, &backend, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(cmd, QKD_CMD_HELLO);
	return 0;
}

static void answer_hello(void)
{
	struct qkd_hello hello = {.abi = QKD_ABI_VERSION, .max_batch = 8, .max_lookahead = 8};

	memcpy(buffer, &hello, sizeof(hello));
	complete(&cmd_op, 1);
}

static int teardown(void **state)
{
	backend_close(backend);
	if (cmd_op)
		complete(&cmd_op, -ECANCELED);
	if (read_op)
		complete(&read_op, -ECANCELED);
	assert_null(buffer); /* it let go of all */
	memset(timers, 0, sizeof(timers));
	return 0;
}

static int answered;

static void on_answer(void *arg, int err, const void *record)
{
	answered = err ? err : 1;
}

static int put_key(void)
{
	struct qkd_key key = {.channel = 3, .epoch = 5};

	memset(&key.in, 0x5a, sizeof(key.in));
	memset(&key.out, 0x5a, sizeof(key.out));
	answered = 0;
	return backend_submit(backend, QKD_CMD_KEY_PUT, &key, on_answer, NULL);
}

static size_t key_octets(void)
{
	size_t n = 0, i;

	for (i = 0; i < sizeof(struct qkd_key); i++)
		n += buffer[i] == 0x5a;
	return n;
}

/* -------- tests -------- */

static void a_full_ring_does_not_lose_the_device(void **state)
{
	ring_full = 1;
	answer_hello();
	assert_null(read_op);
	assert_string_equal(lost, "");
	ring_full = 1; /* and again */
	fire_timers();
	assert_null(read_op);
	fire_timers();
	assert_non_null(read_op);
	memset(events_to, 0, sizeof(*events_to));
	complete(&read_op, sizeof(struct qkd_event));
	assert_int_equal(heard, 1);
	assert_non_null(read_op);
	assert_string_equal(lost, "");
}

static void it_may_be_closed_while_the_ring_is_full(void **state)
{
	ring_full = 1;
	answer_hello();
	assert_null(read_op);
}

static void no_key_waits_in_the_buffer(void **state)
{
	answer_hello();
	ring_full = 1;
	assert_int_equal(put_key(), 0);
	assert_null(cmd_op);
	assert_int_equal(key_octets(), 0);
	fire_timers();
	assert_int_equal(cmd, QKD_CMD_KEY_PUT);
	assert_true(key_octets() >= 2 * 32);
	complete(&cmd_op, 1);
	assert_int_equal(answered, 1);
	assert_int_equal(key_octets(), 0);
}

static void nor_does_one_that_never_left(void **state)
{
	answer_hello();
	ring_error = -EBADF;
	assert_int_equal(put_key(), 0);
	assert_int_equal(answered, -EBADF);
	assert_non_null(strstr(lost, "cannot start a command"));
	assert_int_equal(key_octets(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_ring_does_not_lose_the_device),
		TEST(it_may_be_closed_while_the_ring_is_full),
		TEST(no_key_waits_in_the_buffer),
		TEST(nor_does_one_that_never_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
