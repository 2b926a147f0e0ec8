// SPDX-License-Identifier: GPL-2.0-or-later
/* Signals as completions: a signalfd, waited for on the ring. */
#include "loop/internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signal_source {
	struct loop *loop;
	struct loop_op op;
	struct loop_retry retry;
	int fd;
	void (*fire)(int signo, void *arg);
	void *arg;
	struct signal_source *next;
};

/*
 * Polled by the ring but read here: older kernels read a signalfd in a helper
 * thread of io_uring, which does not see signals that were sent to our thread.
 */
static int wait_next(void *arg)
{
	struct signal_source *source = arg;

	return loop_poll(source->loop, &source->op, source->fd, POLLIN);
}

static void signal_came(struct loop_op *op, int result)
{
	struct signal_source *source = op->arg;
	struct signalfd_siginfo info;

	if (result == -ECANCELED)
		return;
	while (read(source->fd, &info, sizeof(info)) == sizeof(info))
		source->fire((int)info.ssi_signo, source->arg);
	loop_start_surely(source->loop, &source->retry);
}

int loop_signals(struct loop *loop, const int *signals, size_t count,
		 void (*fire)(int signo, void *arg), void *arg)
{
	struct signal_source *source;
	sigset_t set;
	int rc;

	sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		if (sigaddset(&set, signals[i]))
			return -EINVAL;
	source = calloc(1, sizeof(*source));
	if (!source)
		return -ENOMEM;
	rc = -pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc)
		goto free_source;
	source->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (source->fd < 0) {
		rc = -errno;
		goto free_source;
	}
	source->loop = loop;
	source->fire = fire;
	source->arg = arg;
	source->op.done = signal_came;
	source->op.arg = source;
	source->retry.start = wait_next;
	source->retry.arg = source;
	rc = wait_next(source);
	if (rc)
		goto close_fd;
	source->next = loop->signals;
	loop->signals = source;
	return 0;
close_fd:
	close(source->fd);
free_source:
	free(source);
	return rc;
}

void signal_sources_free(struct loop *loop)
{
	while (loop->signals) {
		struct signal_source *source = loop->signals;

		loop->signals = source->next;
		close(source->fd);
		free(source);
	}
}
