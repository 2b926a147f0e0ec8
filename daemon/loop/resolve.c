// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names to addresses. getaddrinfo() blocks, so it runs in a helper thread that
 * posts its answer; a thread that comes late finds its job cancelled or the
 * mailbox closed.
 */
#include "loop/internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolve_job {
	struct mailbox *mailbox;
	/* Set to NULL by resolve_cancel(); read and written in the loop only. */
	void (*done)(void *arg, const struct address_list *list, const char *reason);
	void *arg;
	char host[256];
	uint16_t port;
	struct address_list list;
	int error; /* EAI_... */
};

static void fill_list(struct address_list *list, const struct addrinfo *info, uint16_t port)
{
	list->count = 0;
	for (; info && list->count < RESOLVE_MAX; info = info->ai_next) {
		struct address *entry = &list->entry[list->count];

		if (info->ai_addrlen > sizeof(entry->addr))
			continue;
		memcpy(&entry->addr, info->ai_addr, info->ai_addrlen);
		entry->len = info->ai_addrlen;
		if (info->ai_family == AF_INET)
			((struct sockaddr_in *)&entry->addr)->sin_port = htons(port);
		else if (info->ai_family == AF_INET6)
			((struct sockaddr_in6 *)&entry->addr)->sin6_port = htons(port);
		else
			continue;
		list->count++;
	}
}

static int look_up(const char *host, uint16_t port, int flags, struct address_list *list)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = flags,
	};
	struct addrinfo *info;
	int error = getaddrinfo(host, NULL, &hints, &info);

	if (error)
		return error;
	fill_list(list, info, port);
	freeaddrinfo(info);
	return list->count ? 0 : EAI_NONAME;
}

int resolve_numeric(const char *host, uint16_t port, struct address_list *list)
{
	return look_up(host, port, AI_NUMERICHOST, list) ? -EINVAL : 0;
}

static void answer(void *arg)
{
	struct resolve_job *job = arg;

	if (job->done && job->error)
		job->done(job->arg, NULL, gai_strerror(job->error));
	else if (job->done)
		job->done(job->arg, &job->list, NULL);
	free(job);
}

static void *helper(void *arg)
{
	struct resolve_job *job = arg;
	struct mailbox *mailbox = job->mailbox;

	job->error = look_up(job->host, job->port, 0, &job->list);
	if (mailbox_post(mailbox, answer, job))
		free(job);
	mailbox_put(mailbox);
	return NULL;
}

/* Signals are for the loop's thread. */
static int start_thread(struct resolve_job *job)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = -pthread_create(&thread, &attr, helper, job);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int resolve_start(struct loop *loop, const char *host, uint16_t port,
		  void (*done)(void *arg, const struct address_list *list, const char *reason),
		  void *arg, struct resolve_job **job)
{
	struct resolve_job *made;
	int rc;

	if (strlen(host) >= sizeof(made->host))
		return -ENAMETOOLONG;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	strcpy(made->host, host);
	made->port = port;
	made->done = done;
	made->arg = arg;
	made->mailbox = mailbox_hold(loop->mailbox);
	rc = start_thread(made);
	if (rc) {
		mailbox_put(made->mailbox);
		free(made);
		return rc;
	}
	*job = made;
	return 0;
}

void resolve_cancel(struct resolve_job *job)
{
	job->done = NULL;
}

void address_format(const struct sockaddr *addr, char *text, size_t len)
{
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	socklen_t size = addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						     : sizeof(struct sockaddr_in);

	if ((addr->sa_family != AF_INET && addr->sa_family != AF_INET6) ||
	    getnameinfo(addr, size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV)) {
		snprintf(text, len, "unknown address");
		return;
	}
	snprintf(text, len, addr->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}
