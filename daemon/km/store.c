// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store's thread and its queue.
 *
 * The loop's thread puts requests into a queue; the store's thread takes all
 * that wait (group commit), runs them in one transaction, each behind a
 * savepoint, commits, and only then hands them back through loop_post().
 */
#include "km/store.h"

#include "km/store_db.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE_MAX 16384
#define GROUP_MAX 256

/** Requests in order. */
struct queue {
	struct store_request *head;
	struct store_request **tail;
	size_t count;
};

struct store {
	struct store *next; /* all that are open, see deliver() */
	struct loop *loop;
	struct store_db *db;
	pthread_t thread;
	pthread_mutex_t lock; /* waiting, closing, answered */
	pthread_cond_t wake;
	struct queue waiting;
	struct queue answered;
	bool closing;
};

/*
 * What was posted to the loop cannot be called back. So deliver() looks here
 * whether its store is still open. (A new store at the same address is no
 * harm: its answers come early.)
 */
static struct store *open_stores;
static pthread_mutex_t open_stores_lock = PTHREAD_MUTEX_INITIALIZER;

static void queue_init(struct queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
	queue->count = 0;
}

static void queue_push(struct queue *queue, struct store_request *request)
{
	request->next = NULL;
	*queue->tail = request;
	queue->tail = &request->next;
	queue->count++;
}

static struct store_request *queue_pop(struct queue *queue)
{
	struct store_request *request = queue->head;

	if (!request)
		return NULL;
	queue->head = request->next;
	if (!queue->head)
		queue->tail = &queue->head;
	queue->count--;
	request->next = NULL;
	return request;
}

/** Puts all of @from behind @to. */
static void queue_append(struct queue *to, struct queue *from)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	to->count += from->count;
	queue_init(from);
}

/* -------- the store's thread -------- */

/** Runs one request behind a savepoint. Return: 0, or the transaction is lost. */
static int run_one(struct store_db *db, struct store_request *request)
{
	int err = store_db_exec(db, "SAVEPOINT request");

	if (err)
		return err;
	request->err = request->run(db, request);
	if (sqlite3_get_autocommit(db->sqlite)) /* disk full and the like end it all */
		return request->err ? request->err : -EIO;
	/* -ENOKEY is an answer: what the search found damaged stays discarded. */
	if (request->err && request->err != -ENOKEY)
		err = store_db_exec(db, "ROLLBACK TO request");
	return err ? err : store_db_exec(db, "RELEASE request");
}

/** Runs @count requests from @first in one transaction. */
static int run_transaction(struct store_db *db, struct store_request *first, size_t count)
{
	struct store_request *request = first;
	bool writes = false;
	int err;

	for (size_t i = 0; i < count; i++, request = request->next)
		writes |= request->writes;
	err = store_db_exec(db, writes ? "BEGIN IMMEDIATE" : "BEGIN");
	if (err)
		return err;
	request = first;
	for (size_t i = 0; !err && i < count; i++, request = request->next)
		err = run_one(db, request);
	if (!err)
		err = store_db_exec(db, "COMMIT");
	if (err && !sqlite3_get_autocommit(db->sqlite))
		sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

/**
 * Runs a group. If the transaction as a whole failed, none of it happened, and
 * each request gets one of its own: so that reads, and what still fits, go on.
 */
static void run_group(struct store_db *db, struct queue *group)
{
	int err = run_transaction(db, group->head, group->count);

	if (!err)
		return;
	if (group->count == 1) {
		group->head->err = err;
		return;
	}
	for (struct store_request *request = group->head; request; request = request->next) {
		err = run_transaction(db, request, 1);
		if (err)
			request->err = err;
	}
}

static void deliver(void *arg);

/** Hands @done back to the loop. An answer must not get lost for want of memory. */
static void hand_back(struct store *store, struct queue *done)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	bool closing;

	pthread_mutex_lock(&store->lock);
	queue_append(&store->answered, done);
	pthread_mutex_unlock(&store->lock);
	while (loop_post(store->loop, deliver, store) == -ENOMEM) {
		pthread_mutex_lock(&store->lock);
		closing = store->closing;
		pthread_mutex_unlock(&store->lock);
		if (closing)
			return; /* store_close() delivers */
		nanosleep(&pause, NULL);
	}
}

static void *run(void *arg)
{
	struct store *store = arg;
	struct queue group;
	bool end = false;

	while (!end) {
		queue_init(&group);
		pthread_mutex_lock(&store->lock);
		while (!store->waiting.head && !store->closing)
			pthread_cond_wait(&store->wake, &store->lock);
		while (store->waiting.head && group.count < GROUP_MAX)
			queue_push(&group, queue_pop(&store->waiting));
		end = !group.head;
		pthread_mutex_unlock(&store->lock);
		if (end)
			break;
		run_group(store->db, &group);
		hand_back(store, &group);
	}
	return NULL;
}

/* -------- the loop's thread -------- */

/** Calls back for everything that was answered. */
static void deliver_all(struct store *store)
{
	struct store_request *request;
	struct queue answered;

	queue_init(&answered);
	pthread_mutex_lock(&store->lock);
	queue_append(&answered, &store->answered);
	pthread_mutex_unlock(&store->lock);
	while ((request = queue_pop(&answered))) {
		request->answer(request);
		store_request_free(request);
	}
}

static void deliver(void *arg)
{
	struct store *store;

	pthread_mutex_lock(&open_stores_lock);
	for (store = open_stores; store && store != arg; store = store->next)
		;
	pthread_mutex_unlock(&open_stores_lock);
	if (store)
		deliver_all(store);
}

static int start_thread(struct store *store)
{
	sigset_t all, old;
	int err;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&store->thread, NULL, run, store);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

int store_open(struct loop *loop, const char *directory, const char *master_key_file,
	       struct store **result, char *error, size_t error_len)
{
	struct store *store = calloc(1, sizeof(*store));
	int err;

	*result = NULL;
	if (!store) {
		snprintf(error, error_len, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	store->loop = loop;
	queue_init(&store->waiting);
	queue_init(&store->answered);
	err = store_db_open(directory, master_key_file, &store->db, error, error_len);
	if (err)
		goto free_store;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->wake, NULL);
	err = start_thread(store);
	if (err) {
		snprintf(error, error_len, "cannot start the store's thread: %s", strerror(-err));
		goto close_db;
	}
	pthread_mutex_lock(&open_stores_lock);
	store->next = open_stores;
	open_stores = store;
	pthread_mutex_unlock(&open_stores_lock);
	*result = store;
	return 0;
close_db:
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->lock);
	store_db_close(store->db);
free_store:
	free(store);
	return err;
}

void store_close(struct store *store)
{
	struct store **place;

	if (!store)
		return;
	pthread_mutex_lock(&store->lock);
	store->closing = true;
	pthread_cond_signal(&store->wake);
	pthread_mutex_unlock(&store->lock);
	pthread_join(store->thread, NULL);
	pthread_mutex_lock(&open_stores_lock);
	for (place = &open_stores; *place != store; place = &(*place)->next)
		;
	*place = store->next;
	pthread_mutex_unlock(&open_stores_lock);
	deliver_all(store);
	store_db_close(store->db);
	pthread_cond_destroy(&store->wake);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

int store_make_master_key(const char *file)
{
	return seal_make_master_key(file);
}

const uint8_t *store_id(const struct store *store)
{
	return store->db->id;
}

int store_fingerprint(const struct store *store, const struct km_key *key,
		      char text[KM_KEY_FINGERPRINT_TEXT])
{
	return km_key_fingerprint(seal_fingerprint_secret(store->db->seal), key, text);
}

int store_submit(struct store *store, struct store_request *request)
{
	int err = 0;

	pthread_mutex_lock(&store->lock);
	if (store->closing) {
		err = -ESHUTDOWN;
	} else if (store->waiting.count >= QUEUE_MAX) {
		err = -EAGAIN;
	} else {
		queue_push(&store->waiting, request);
		pthread_cond_signal(&store->wake);
	}
	pthread_mutex_unlock(&store->lock);
	if (err)
		store_request_free(request);
	return err;
}
