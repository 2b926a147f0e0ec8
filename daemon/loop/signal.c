// SPDX-License-Identifier: GPL-2.0-or-later
/* Signals as completions: signalfd, read through the ring. */
#include "loop/internal.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct signal_source {
	struct loop *loop;
	struct loop_op op;
	struct signalfd_siginfo info;
	int fd;
	void (*fire)(int signo, void *arg);
	void *arg;
	struct signal_source *next;
};

static int read_next(struct signal_source *source)
{
	return loop_read(source->loop, &source->op, source->fd, &source->info,
			 sizeof(source->info));
}

static void signal_read(struct loop_op *op, int result)
{
	struct signal_source *source = op->arg;

	if (result == -ECANCELED)
		return;
	if (result == sizeof(source->info))
		source->fire((int)source->info.ssi_signo, source->arg);
	read_next(source);
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
	source->fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (source->fd < 0) {
		rc = -errno;
		goto free_source;
	}
	source->loop = loop;
	source->fire = fire;
	source->arg = arg;
	source->op.done = signal_read;
	source->op.arg = source;
	rc = read_next(source);
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
