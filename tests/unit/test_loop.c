// SPDX-License-Identifier: GPL-2.0-or-later
/* The loop: timers, posts, operations, cancelling, signals, winding down. */
#include "loop/internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;

static int set_up(void **state)
{
	return loop_create(&loop);
}

static int tear_down(void **state)
{
	loop_destroy(loop);
	loop = NULL;
	return 0;
}

static void stop(void *arg)
{
	loop_stop(loop, (int)(intptr_t)arg);
}

static void test_stop_code(void **state)
{
	assert_int_equal(loop_post(loop, stop, (void *)7), 0);
	assert_int_equal(loop_run(loop), 7);
	assert_int_equal(loop_post(loop, stop, (void *)-3), 0);
	assert_int_equal(loop_run(loop), -3);
}

/* -------- timers -------- */

struct numbered {
	struct loop_timer timer;
	int fired;
};

static struct numbered numbered[1000];
static uint64_t last_at_ms;
static int left_to_fire;

static void note(void *arg)
{
	struct numbered *one = arg;

	one->fired++;
	assert_true(one->timer.at_ms >= last_at_ms);
	assert_true(one->timer.at_ms <= loop_now_ms(loop));
	last_at_ms = one->timer.at_ms;
	if (!--left_to_fire)
		loop_stop(loop, 0);
}

static void test_timers_in_order(void **state)
{
	last_at_ms = 0;
	left_to_fire = 0;
	memset(numbered, 0, sizeof(numbered));
	for (uint64_t i = 0; i < 1000; i++) {
		/* 389 and 1000 have no common factor: every delay. */
		numbered[i].timer.fire = note;
		numbered[i].timer.arg = &numbered[i];
		assert_int_equal(loop_timer_set(loop, &numbered[i].timer, i * 389 % 1000 / 20), 0);
		assert_true(loop_timer_pending(&numbered[i].timer));
	}
	for (int i = 0; i < 1000; i += 3)
		loop_timer_cancel(loop, &numbered[i].timer);
	/* Set again: moved, not doubled. */
	for (uint64_t i = 1; i < 1000; i += 3)
		assert_int_equal(loop_timer_set(loop, &numbered[i].timer, i * 7 % 50), 0);
	for (int i = 0; i < 1000; i++)
		left_to_fire += i % 3 != 0;
	assert_int_equal(loop_run(loop), 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(numbered[i].fired, i % 3 != 0);
		assert_false(loop_timer_pending(&numbered[i].timer));
	}
}

static struct loop_timer again;
static int again_count;

static void set_again(void *arg)
{
	again_count++;
	loop_timer_set(loop, &again, 0);
}

static void test_timer_that_sets_itself_starves_nobody(void **state)
{
	struct loop_timer last = {.fire = stop};

	again = (struct loop_timer){.fire = set_again};
	again_count = 0;
	loop_timer_set(loop, &again, 0);
	loop_timer_set(loop, &last, 20);
	assert_int_equal(loop_run(loop), 0);
	assert_true(again_count > 1);
	loop_timer_cancel(loop, &again);
	loop_timer_cancel(loop, &again);
}

static void test_timer_never(void **state)
{
	struct loop_timer never = {.fire = stop, .arg = (void *)1};
	struct loop_timer soon = {.fire = stop, .arg = (void *)2};

	loop_timer_set(loop, &never, UINT64_MAX);
	loop_timer_set(loop, &soon, 1);
	assert_int_equal(loop_run(loop), 2);
	loop_timer_cancel(loop, &never);
}

/* -------- posts -------- */

#define POSTS 20000

static int next_post[2];
static int posts_left;

struct post {
	int thread;
	int number;
};

static void take_post(void *arg)
{
	struct post *post = arg;

	assert_int_equal(post->number, next_post[post->thread]);
	next_post[post->thread]++;
	free(post);
	if (!--posts_left)
		loop_stop(loop, 0);
}

static void *post_many(void *arg)
{
	for (int i = 0; i < POSTS; i++) {
		struct post *post = malloc(sizeof(*post));

		post->thread = (int)(intptr_t)arg;
		post->number = i;
		if (loop_post(loop, take_post, post))
			abort();
	}
	return NULL;
}

static void test_posts_of_two_threads_in_order(void **state)
{
	pthread_t thread[2];

	posts_left = 2 * POSTS;
	next_post[0] = next_post[1] = 0;
	for (intptr_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, post_many, (void *)i), 0);
	assert_int_equal(loop_run(loop), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(next_post[0], POSTS);
	assert_int_equal(next_post[1], POSTS);
}

static int ran;

static void count_run(void *arg)
{
	ran++;
}

static void test_stop_keeps_later_posts(void **state)
{
	ran = 0;
	loop_post(loop, stop, NULL);
	loop_post(loop, count_run, NULL);
	loop_post(loop, stop, (void *)1);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(ran, 0);
	assert_int_equal(loop_run(loop), 1);
	assert_int_equal(ran, 1);
}

static void test_posts_after_the_end_are_dropped(void **state)
{
	ran = 0;
	loop_post(loop, count_run, NULL);
	loop_destroy(loop);
	assert_int_equal(ran, 0);
	assert_int_equal(loop_create(&loop), 0);
}

/* -------- operations -------- */

static int result;

static void stop_with_result(struct loop_op *op, int res)
{
	assert_false(op->busy);
	result = res;
	loop_stop(loop, 0);
}

static void test_read_write(void **state)
{
	struct loop_op reading = {.done = stop_with_result};
	struct loop_op writing = {.done = stop_with_result};
	char buf[16] = "";
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_write(loop, &writing, fds[1], "hello", 5), 0);
	assert_int_equal(loop_write(loop, &writing, fds[1], "hello", 5), -EBUSY);
	loop_run(loop);
	assert_int_equal(result, 5);
	assert_int_equal(loop_read(loop, &reading, fds[0], buf, sizeof(buf)), 0);
	assert_true(reading.busy);
	loop_run(loop);
	assert_int_equal(result, 5);
	assert_string_equal(buf, "hello");
	assert_int_equal(loop_read(loop, &reading, -1, buf, sizeof(buf)), 0);
	loop_run(loop);
	assert_int_equal(result, -EBADF);
	close(fds[0]);
	close(fds[1]);
}

static void test_poll_and_cancel(void **state)
{
	struct loop_op op = {.done = stop_with_result};
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_poll(loop, &op, fds[0], POLLIN), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_run(loop);
	assert_int_equal(result, POLLIN);
	char drop[4];
	assert_int_equal(read(fds[0], drop, sizeof(drop)), 1);
	assert_int_equal(loop_read(loop, &op, fds[0], drop, sizeof(drop)), 0);
	loop_op_cancel(loop, &op);
	loop_run(loop);
	assert_int_equal(result, -ECANCELED);
	loop_op_cancel(loop, &op); /* not under way: nothing */
	close(fds[0]);
	close(fds[1]);
}

static void never_done(struct loop_op *op, int res)
{
	fail_msg("a forgotten operation was reported");
}

static void test_forget_frees_at_once(void **state)
{
	struct loop_op *op = calloc(1, sizeof(*op));
	struct loop_op other = {.done = stop_with_result};
	char *buf = malloc(16);
	char byte;
	int fds[2];
	int more[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pipe(more), 0);
	op->done = never_done;
	assert_int_equal(loop_read(loop, op, fds[0], buf, 16), 0);
	assert_int_equal(loop_read(loop, &other, more[0], &byte, 1), 0);
	assert_int_equal(write(more[1], "y", 1), 1);
	loop_op_forget(loop, op);
	assert_false(op->busy);
	free(op);
	free(buf);
	/* What else had completed meanwhile is not lost. */
	loop_run(loop);
	assert_int_equal(result, 1);
	assert_int_equal(byte, 'y');
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(more[i]);
	}
}

static int ended_with;

static void note_end(struct loop_op *op, int res)
{
	ended_with = res;
}

static void test_destroy_cancels(void **state)
{
	struct loop_op op = {.done = note_end};
	char buf[4];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_read(loop, &op, fds[0], buf, sizeof(buf)), 0);
	ended_with = 0;
	loop_destroy(loop);
	assert_int_equal(ended_with, -ECANCELED);
	assert_false(op.busy);
	assert_int_equal(loop_create(&loop), 0);
	close(fds[0]);
	close(fds[1]);
}

/* More operations than the ring has places. */
static int many_left;

static void one_of_many(struct loop_op *op, int res)
{
	assert_int_equal(res, 1);
	if (!--many_left)
		loop_stop(loop, 0);
}

static void test_more_operations_than_places(void **state)
{
	static struct loop_op ops[2000];
	static char bytes[2000];
	static char out[2000];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	memset(ops, 0, sizeof(ops));
	many_left = 2000;
	for (int i = 0; i < 2000; i++) {
		ops[i].done = one_of_many;
		assert_int_equal(loop_recv(loop, &ops[i], fds[0], &bytes[i], 1), 0);
	}
	assert_int_equal(write(fds[1], out, sizeof(out)), sizeof(out));
	assert_int_equal(loop_run(loop), 0);
	close(fds[0]);
	close(fds[1]);
}

/* -------- a ring that stays full for a while -------- */

/*
 * Instead of liburing's, for all of this program: a kernel that is short of
 * memory takes no submissions (-EAGAIN), but completions go on.
 */
static bool submit_fails;

int io_uring_submit(struct io_uring *ring)
{
	int (*real)(struct io_uring *) = dlsym(RTLD_NEXT, "io_uring_submit");

	return submit_fails ? -EAGAIN : real(ring);
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
				     unsigned int wait_nr, struct __kernel_timespec *ts,
				     sigset_t *mask)
{
	int (*real)(struct io_uring *, struct io_uring_cqe **, unsigned int,
		    struct __kernel_timespec *, sigset_t *) =
		dlsym(RTLD_NEXT, "io_uring_submit_and_wait_timeout");

	return submit_fails ? io_uring_wait_cqe_timeout(ring, cqe, ts)
			    : real(ring, cqe, wait_nr, ts, mask);
}

static struct loop_op fillers[1024];
static int quiet[2];
static int fillers_left;

static void filler_done(struct loop_op *op, int res)
{
	fillers_left--;
}

static void fill_ring(void)
{
	int i;

	submit_fails = true;
	assert_int_equal(pipe(quiet), 0);
	memset(fillers, 0, sizeof(fillers));
	for (i = 0; i < 1024; i++) {
		fillers[i].done = filler_done;
		if (loop_poll(loop, &fillers[i], quiet[0], POLLIN) == -EAGAIN)
			break;
	}
	assert_in_range(i, 1, 1023);
	fillers_left = i;
}

static void empty_ring(void)
{
	submit_fails = false;
	close(quiet[1]); /* POLLHUP */
	while (fillers_left) {
		struct loop_timer soon = {.fire = stop};

		assert_int_equal(loop_timer_set(loop, &soon, 5), 0);
		loop_run(loop);
	}
	close(quiet[0]);
}

/** What stands in the ring is with the kernel before it is filled. */
static void run_a_moment(void)
{
	struct loop_timer soon = {.fire = stop};

	assert_int_equal(loop_timer_set(loop, &soon, 20), 0);
	loop_run(loop);
}

static bool mail_was_lost;

static void look_at_mail(void *arg)
{
	mail_was_lost = !loop->mail_op.busy;
	loop_stop(loop, 0);
}

/** Where the next letter could not be waited for, it comes all the same. */
static void test_mail_survives_a_full_ring(void **state)
{
	run_a_moment();
	fill_ring();
	assert_int_equal(loop_post(loop, look_at_mail, NULL), 0);
	loop_run(loop);
	assert_true(mail_was_lost);
	run_a_moment(); /* tried again, in vain */
	assert_false(loop->mail_op.busy);
	empty_ring();
	assert_true(loop->mail_op.busy);
	assert_int_equal(loop_post(loop, stop, (void *)5), 0);
	assert_int_equal(loop_run(loop), 5);
}

static int usr1_seen;

static void count_signal(int signo, void *arg)
{
	usr1_seen++;
	loop_stop(loop, 0);
}

static void test_signals_survive_a_full_ring(void **state)
{
	int set[] = {SIGUSR1};

	usr1_seen = 0;
	assert_int_equal(loop_signals(loop, set, 1, count_signal, NULL), 0);
	run_a_moment();
	fill_ring();
	raise(SIGUSR1);
	loop_run(loop);
	assert_int_equal(usr1_seen, 1);
	empty_ring();
	raise(SIGUSR1);
	loop_run(loop);
	assert_int_equal(usr1_seen, 2);
}

static void test_cancel_survives_a_full_ring(void **state)
{
	struct loop_op *ops[3];
	int fds[3][2];

	for (int i = 0; i < 3; i++) {
		assert_int_equal(pipe(fds[i]), 0);
		ops[i] = calloc(1, sizeof(*ops[i]));
		ops[i]->done = stop_with_result;
		assert_int_equal(loop_poll(loop, ops[i], fds[i][0], POLLIN), 0);
	}
	run_a_moment();
	fill_ring();
	for (int i = 0; i < 3; i++)
		loop_op_cancel(loop, ops[i]);
	loop_op_cancel(loop, ops[2]); /* twice is once */
	/* One of them ends by itself, and is gone. */
	assert_int_equal(write(fds[1][1], "x", 1), 1);
	loop_run(loop);
	assert_int_equal(result, POLLIN);
	assert_false(ops[1]->busy);
	free(ops[1]);
	run_a_moment();
	assert_true(ops[0]->busy && ops[2]->busy);
	result = 0;
	empty_ring();
	while (ops[0]->busy || ops[2]->busy)
		run_a_moment();
	assert_int_equal(result, -ECANCELED);
	free(ops[0]);
	free(ops[2]);
	for (int i = 0; i < 3; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

static void test_register_again(void **state)
{
	char *pages[2];

	loop_unregister_buffer(loop); /* there is none: nothing */
	for (int i = 0; i < 2; i++) {
		pages[i] = aligned_alloc(4096, 4096);
		assert_int_equal(loop_register_buffer(loop, pages[i], 4096), 0);
		loop_unregister_buffer(loop);
		free(pages[i]);
	}
}

static void test_register_one_buffer(void **state)
{
	char *page = aligned_alloc(4096, 4096);

	assert_int_equal(loop_register_buffer(loop, page, 4096), 0);
	assert_int_equal(loop_register_buffer(loop, page, 4096), -EBUSY);
	loop_unregister_buffer(loop);
	loop_unregister_buffer(loop); /* there is none: nothing happens */
	assert_int_equal(loop_register_buffer(loop, page, 4096), 0);
	loop_destroy(loop);
	free(page);
	assert_int_equal(loop_create(&loop), 0);
}

/* A file that knows no commands: the kernel says so, through the ring. */
static void test_uring_cmd_is_submitted(void **state)
{
	struct loop_op op = {.done = stop_with_result};
	uint8_t payload[16] = {0};
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(loop_uring_cmd(loop, &op, fds[0], 1, payload, 0), 0);
	loop_run(loop);
	assert_true(result == -EOPNOTSUPP || result == -EFAULT);
	close(fds[0]);
	close(fds[1]);
}

/* -------- signals -------- */

static int signals_seen;

static void on_signal(int signo, void *arg)
{
	signals_seen |= 1 << signo;
	if (signals_seen == (1 << SIGUSR1 | 1 << SIGUSR2))
		loop_stop(loop, 0);
}

static void test_signals(void **state)
{
	int set[] = {SIGUSR1, SIGUSR2};

	signals_seen = 0;
	assert_int_equal(loop_signals(loop, set, 2, on_signal, NULL), 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	loop_run(loop);
	assert_int_equal(signals_seen, 1 << SIGUSR1 | 1 << SIGUSR2);
}

/* -------- names -------- */

static void resolved(void *arg, const struct address_list *list, const char *reason)
{
	assert_non_null(list);
	assert_true(list->count > 0);
	loop_stop(loop, 0);
}

static void test_resolve(void **state)
{
	struct address_list list;
	struct resolve_job *job;
	char text[80];

	assert_int_equal(resolve_numeric("192.0.2.1", 443, &list), 0);
	address_format((struct sockaddr *)&list.entry[0].addr, text, sizeof(text));
	assert_string_equal(text, "192.0.2.1:443");
	assert_int_equal(resolve_numeric("2001:db8::1", 7443, &list), 0);
	address_format((struct sockaddr *)&list.entry[0].addr, text, sizeof(text));
	assert_string_equal(text, "[2001:db8::1]:7443");
	assert_int_equal(resolve_numeric("localhost", 443, &list), -EINVAL);
	assert_int_equal(resolve_start(loop, "localhost", 443, resolved, NULL, &job), 0);
	loop_run(loop);
}

static void test_resolve_cancelled(void **state)
{
	struct resolve_job *job;

	assert_int_equal(resolve_start(loop, "localhost", 443, resolved, NULL, &job), 0);
	resolve_cancel(job);
	struct loop_timer soon = {.fire = stop, .arg = (void *)1};
	loop_timer_set(loop, &soon, 50);
	assert_int_equal(loop_run(loop), 1);
}

static void test_error_sentences(void **state)
{
	assert_non_null(strstr(loop_create_error(-ENOSYS), "6.1"));
	assert_non_null(strstr(loop_create_error(-EPERM), "io_uring"));
	assert_non_null(strstr(loop_create_error(-ENOMEM), "LimitMEMLOCK"));
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_stop_code),
		LOOP_TEST(test_timers_in_order),
		LOOP_TEST(test_timer_that_sets_itself_starves_nobody),
		LOOP_TEST(test_timer_never),
		LOOP_TEST(test_posts_of_two_threads_in_order),
		LOOP_TEST(test_stop_keeps_later_posts),
		LOOP_TEST(test_posts_after_the_end_are_dropped),
		LOOP_TEST(test_read_write),
		LOOP_TEST(test_poll_and_cancel),
		LOOP_TEST(test_forget_frees_at_once),
		LOOP_TEST(test_destroy_cancels),
		LOOP_TEST(test_more_operations_than_places),
		LOOP_TEST(test_mail_survives_a_full_ring),
		LOOP_TEST(test_signals_survive_a_full_ring),
		LOOP_TEST(test_cancel_survives_a_full_ring),
		LOOP_TEST(test_register_one_buffer),
		LOOP_TEST(test_register_again),
		LOOP_TEST(test_uring_cmd_is_submitted),
		LOOP_TEST(test_signals),
		LOOP_TEST(test_resolve),
		LOOP_TEST(test_resolve_cancelled),
		LOOP_TEST(test_error_sentences),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
