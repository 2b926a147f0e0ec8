// SPDX-License-Identifier: GPL-2.0-or-later
/* The pool of a QKD link: its life, its counts, and the keys that are taken. */
#include "km/pool_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------- jobs -------- */

void *pool_job_new(struct pool *pool, size_t size)
{
	struct pool_job *job = calloc(1, size);

	if (!job)
		return NULL;
	job->pool = pool;
	job->next = pool->jobs;
	job->place = &pool->jobs;
	if (job->next)
		job->next->place = &job->next;
	pool->jobs = job;
	return job;
}

static void job_detach(struct pool_job *job)
{
	*job->place = job->next;
	if (job->next)
		job->next->place = job->place;
	job->pool = NULL;
}

void pool_job_free(struct pool_job *job)
{
	if (job->pool)
		job_detach(job);
	free(job);
}

/* -------- counts -------- */

/** Logs when the number of ready keys crosses a line, with some slack on the way up. */
static void note_level(struct pool *pool)
{
	uint64_t ready = pool->counts.ready;
	uint64_t enough = (uint64_t)pool->low * 2;

	if (enough > pool->target)
		enough = pool->target;
	if (enough < pool->low)
		enough = pool->low;
	if (ready == 0 && pool->level != POOL_EMPTY) {
		pool->level = POOL_EMPTY;
		log_warn("link %s: no key is left", pool->link);
	} else if (ready > 0 && ready < pool->low && pool->level == POOL_ENOUGH) {
		pool->level = POOL_LOW;
		log_warn("link %s: keys are low: %llu ready, below %u", pool->link,
			 (unsigned long long)ready, pool->low);
	} else if (ready > 0 && ready >= enough && pool->level != POOL_ENOUGH) {
		pool->level = POOL_ENOUGH;
		log_info("link %s: %llu keys ready", pool->link, (unsigned long long)ready);
	}
}

static void tell_listeners(struct pool *pool)
{
	for (struct pool_listener *listener = pool->listeners; listener; listener = listener->next)
		listener->changed(listener->arg);
}

static void on_counts(void *arg, int err, const struct store_counts *counts)
{
	struct pool_job *job = arg;
	struct pool *pool = job->pool;
	bool none_before;

	pool_job_free(job);
	if (!pool)
		return;
	pool->counting = false;
	if (pool->count_again)
		pool_recount(pool);
	if (err)
		return;
	none_before = pool->counts.ready == 0 || pool->starved;
	pool->counts = *counts;
	pool->counted = true;
	note_level(pool);
	if (pool->role == CONFIG_INITIATOR)
		pool_fill(pool);
	else
		pool_answer_prune(pool);
	if (none_before && counts->ready) {
		pool->starved = false;
		tell_listeners(pool);
	}
}

void pool_recount(struct pool *pool)
{
	struct pool_job *job;

	pool->count_again = pool->counting;
	if (pool->counting)
		return;
	job = pool_job_new(pool, sizeof(*job));
	if (!job)
		return; /* the next change asks again */
	pool->counting = true;
	if (store_count(pool->store, pool->link, on_counts, job)) {
		pool->counting = false;
		pool_job_free(job);
	}
}

/* -------- the source -------- */

void pool_note_source(struct pool *pool, int err, const char *text)
{
	if (!err || err == -ENOENT) {
		if (pool->source_error[0])
			log_info("link %s: the source answers again", pool->link);
		pool->source_error[0] = '\0';
		pool->source_failures = 0;
		return;
	}
	pool->source_failures++;
	if (!text)
		text = strerror(-err);
	if (strncmp(pool->source_error, text, sizeof(pool->source_error) - 1) == 0)
		return;
	snprintf(pool->source_error, sizeof(pool->source_error), "%.*s",
		 (int)sizeof(pool->source_error) - 1, text);
	log_write(err == -EAGAIN ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "link %s: source: %s",
		  pool->link, text);
}

static void refresh_later(struct pool *pool)
{
	if (loop_timer_set(pool->loop, &pool->refresh, POOL_REFRESH_MS))
		log_err("link %s: out of memory: the source's status is not read again",
			pool->link);
}

static void on_refreshed(void *arg, int err)
{
	struct pool_job *job = arg;
	struct pool *pool = job->pool;

	pool_job_free(job);
	if (!pool)
		return;
	/* That it has a status says nothing of keys: only bad news are news. */
	if (err)
		pool_note_source(pool, err, source_status(pool->source)->last_error_text);
	pool->refreshed = true;
	if (pool->role == CONFIG_INITIATOR)
		pool_fill(pool);
	refresh_later(pool);
}

static void refresh(void *arg)
{
	struct pool *pool = arg;
	struct pool_job *job = pool_job_new(pool, sizeof(*job));

	if (job && source_refresh(pool->source, on_refreshed, job) == 0)
		return;
	if (job)
		pool_job_free(job);
	pool->refreshed = true;
	refresh_later(pool);
}

/* -------- the KM link -------- */

static void on_peer_noted(void *arg, int err, uint64_t discarded)
{
	struct pool_job *job = arg;
	struct pool *pool = job->pool;

	pool_job_free(job);
	if (!pool)
		return;
	if (err)
		log_err("link %s: the store of %s could not be noted: %s", pool->link,
			kx_peer_name(pool->peer), strerror(-err));
	if (!discarded)
		return;
	log_warn("link %s: %s has a new key store: the %llu keys that were shared with its old one "
		 "are discarded",
		 pool->link, kx_peer_name(pool->peer), (unsigned long long)discarded);
	pool_recount(pool);
}

/*
 * A peer that has lost its store has lost the keys in it, and its device does
 * not give them again: they go at once, and not one by one as they are offered.
 * This stands before any take of the new session in the store's queue.
 */
static void note_peer_store(struct pool *pool)
{
	struct pool_job *job = pool_job_new(pool, sizeof(*job));

	if (job &&
	    store_peer(pool->store, pool->link, kx_peer_store(pool->peer), on_peer_noted, job) == 0)
		return;
	if (job)
		pool_job_free(job);
	log_err("link %s: the store of %s could not be noted", pool->link,
		kx_peer_name(pool->peer));
}

static void on_up(struct kx_peer *peer, void *arg)
{
	struct pool *pool = arg;

	if (peer != pool->peer)
		return;
	note_peer_store(pool);
	if (pool->role == CONFIG_INITIATOR)
		pool_fill_link_up(pool);
}

static void on_down(struct kx_peer *peer, void *arg)
{
	struct pool *pool = arg;

	if (peer == pool->peer && pool->role == CONFIG_INITIATOR)
		pool_fill_link_down(pool);
}

static int on_frame(struct kx_peer *peer, const struct kx_frame *frame, void *arg)
{
	struct pool *pool = arg;

	if (peer != pool->peer)
		return 0;
	if (frame->type == KX_KEYS_ANNOUNCE && strcmp(frame->announce.link, pool->link) == 0)
		return pool_answer_announced(pool, &frame->announce);
	if (frame->type == KX_KEYS_CONFIRM && strcmp(frame->confirm.link, pool->link) == 0)
		return pool_fill_confirmed(pool, &frame->confirm);
	return 0; /* another link's */
}

/* -------- taking -------- */

struct take {
	struct pool_job job;
	pool_key_fn done;
	void *arg;
};

static void on_taken(void *arg, int err, uint64_t epoch, const struct km_key *key)
{
	struct take *take = arg;
	struct pool *pool = take->job.pool;

	if (pool && err == -ENOKEY)
		pool->starved = true;
	if (pool)
		pool_recount(pool);
	take->done(take->arg, err, epoch, key);
	pool_job_free(&take->job);
}

static struct take *take_new(struct pool *pool, pool_key_fn done, void *arg)
{
	struct take *take = pool_job_new(pool, sizeof(*take));

	if (!take)
		return NULL;
	take->done = done;
	take->arg = arg;
	return take;
}

int pool_take(struct pool *pool, const char *channel, uint64_t min_epoch, pool_key_fn done,
	      void *arg)
{
	struct take *take;
	int err;

	if (pool->role != CONFIG_INITIATOR)
		return -EPERM;
	take = take_new(pool, done, arg);
	if (!take)
		return -ENOMEM;
	err = store_take(pool->store, pool->link, channel, min_epoch, on_taken, take);
	if (err)
		pool_job_free(&take->job);
	return err;
}

int pool_take_id(struct pool *pool, const char *channel, uint64_t epoch, const struct km_key_id *id,
		 pool_key_fn done, void *arg)
{
	struct take *take;
	int err;

	if (pool->role != CONFIG_RESPONDER)
		return -EPERM;
	take = take_new(pool, done, arg);
	if (!take)
		return -ENOMEM;
	err = store_take_id(pool->store, pool->link, channel, epoch, id, on_taken, take);
	if (err)
		pool_job_free(&take->job);
	return err;
}

/* -------- life -------- */

int pool_create(struct loop *loop, const struct config_link *link, struct store *store,
		struct kx *kx, struct source *source, struct pool **result)
{
	struct pool *pool;
	int err;

	*result = NULL;
	if (strnlen(link->name, KX_NAME_BYTES) == KX_NAME_BYTES)
		return -EINVAL;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	strcpy(pool->link, link->name); /* its length was checked */
	pool->loop = loop;
	pool->store = store;
	pool->source = source;
	pool->role = link->role;
	pool->target = link->keys_target;
	pool->low = link->keys_low;
	pool->level = POOL_EMPTY;
	pool->refresh.fire = refresh;
	pool->refresh.arg = pool;
	pool_fill_init(pool);
	pool->handler = (struct kx_handler){
		.type_first = KX_KEYS_ANNOUNCE,
		.type_last = KX_KEYS_CONFIRM,
		.up = on_up,
		.down = on_down,
		.frame = on_frame,
		.arg = pool,
	};
	err = -ENOENT;
	pool->peer = kx_find(kx, link->peer);
	if (!pool->peer)
		goto fail;
	err = loop_timer_set(loop, &pool->refresh, 0);
	if (err)
		goto fail;
	err = kx_add_handler(kx, &pool->handler);
	if (err)
		goto fail;
	pool_recount(pool);
	*result = pool;
	return 0;
fail:
	pool_destroy(pool);
	return err;
}

void pool_destroy(struct pool *pool)
{
	if (!pool)
		return;
	loop_timer_cancel(pool->loop, &pool->refresh);
	loop_timer_cancel(pool->loop, &pool->fill_again);
	loop_timer_cancel(pool->loop, &pool->announce_again);
	pool_answer_end(pool);
	while (pool->jobs)
		job_detach(pool->jobs);
	while (pool->listeners) {
		struct pool_listener *listener = pool->listeners;

		pool->listeners = listener->next;
		free(listener);
	}
	free(pool);
}

int pool_on_ready(struct pool *pool, void (*changed)(void *arg), void *arg)
{
	struct pool_listener *listener = calloc(1, sizeof(*listener));

	if (!listener)
		return -ENOMEM;
	listener->changed = changed;
	listener->arg = arg;
	listener->next = pool->listeners;
	pool->listeners = listener;
	return 0;
}

void pool_status(const struct pool *pool, struct pool_status *status)
{
	*status = (struct pool_status){
		.ready = pool->counts.ready,
		.pending = pool->counts.pending,
		.used = pool->counts.used,
		.discarded = pool->counts.discarded,
		.simulated = pool->counts.simulated || source_status(pool->source)->simulated,
		.problem = pool->refused,
	};
}

const char *pool_link(const struct pool *pool)
{
	return pool->link;
}

const struct source_status *pool_source_status(const struct pool *pool)
{
	return source_status(pool->source);
}
