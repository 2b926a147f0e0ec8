// SPDX-License-Identifier: GPL-2.0-or-later
/* loop_post(): letters from other threads, announced by an eventfd. */
#include "loop/internal.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct letter {
	void (*fire)(void *arg);
	void *arg;
	struct letter *next;
};

struct mailbox {
	pthread_mutex_t lock;
	unsigned int refs;
	bool closed;
	int fd;
	struct letter *first;
	struct letter **last;
};

int mailbox_create(struct mailbox **box)
{
	struct mailbox *made = calloc(1, sizeof(*made));
	int rc;

	if (!made)
		return -ENOMEM;
	made->fd = eventfd(0, EFD_CLOEXEC);
	if (made->fd < 0) {
		rc = -errno;
		free(made);
		return rc;
	}
	pthread_mutex_init(&made->lock, NULL);
	made->refs = 1;
	made->last = &made->first;
	*box = made;
	return 0;
}

struct mailbox *mailbox_hold(struct mailbox *box)
{
	pthread_mutex_lock(&box->lock);
	box->refs++;
	pthread_mutex_unlock(&box->lock);
	return box;
}

void mailbox_put(struct mailbox *box)
{
	unsigned int refs;

	pthread_mutex_lock(&box->lock);
	refs = --box->refs;
	pthread_mutex_unlock(&box->lock);
	if (refs)
		return;
	pthread_mutex_destroy(&box->lock);
	close(box->fd);
	free(box);
}

static struct letter *take_all(struct mailbox *box)
{
	struct letter *first;

	pthread_mutex_lock(&box->lock);
	first = box->first;
	box->first = NULL;
	box->last = &box->first;
	pthread_mutex_unlock(&box->lock);
	return first;
}

void mailbox_close(struct mailbox *box)
{
	struct letter *letter;

	pthread_mutex_lock(&box->lock);
	box->closed = true;
	pthread_mutex_unlock(&box->lock);
	letter = take_all(box);
	while (letter) {
		struct letter *next = letter->next;

		free(letter);
		letter = next;
	}
}

int mailbox_post(struct mailbox *box, void (*fire)(void *arg), void *arg)
{
	struct letter *letter = malloc(sizeof(*letter));
	bool first;

	if (!letter)
		return -ENOMEM;
	letter->fire = fire;
	letter->arg = arg;
	letter->next = NULL;
	pthread_mutex_lock(&box->lock);
	if (box->closed) {
		pthread_mutex_unlock(&box->lock);
		free(letter);
		return -ECANCELED;
	}
	first = !box->first;
	*box->last = letter;
	box->last = &letter->next;
	/* Under the lock: the box cannot be closed and its eventfd gone meanwhile. */
	if (first)
		eventfd_write(box->fd, 1);
	pthread_mutex_unlock(&box->lock);
	return 0;
}

int mailbox_fd(const struct mailbox *box)
{
	return box->fd;
}

/* Puts letters that a stopped loop did not read back in front. */
static void put_back(struct mailbox *box, struct letter *letter)
{
	struct letter **end = &letter->next;

	while (*end)
		end = &(*end)->next;
	pthread_mutex_lock(&box->lock);
	*end = box->first;
	if (!box->first)
		box->last = end;
	box->first = letter;
	eventfd_write(box->fd, 1);
	pthread_mutex_unlock(&box->lock);
}

void mailbox_deliver(struct mailbox *box, const bool *stopped)
{
	struct letter *letter = take_all(box);

	while (letter) {
		struct letter *next = letter->next;

		if (*stopped) {
			put_back(box, letter);
			return;
		}
		letter->fire(letter->arg);
		free(letter);
		letter = next;
	}
}
