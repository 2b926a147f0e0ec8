// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The responder of a QKD link: fetches announced keys from its own device,
 * compares the checks, keeps equal ones as READY, and only then confirms.
 *
 * Announcements are worked off one after the other, since the device gives a
 * key once: two at the same time could take one another's keys for unknown.
 */
#include "km/pool_parts.h"
#include "km/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_UNSET 255
#define PRUNE_BATCH  512

/**
 * struct pool_answer - one announcement on its way to its confirmation
 * @status: enum kx_status of each key, or STATUS_UNSET
 * @todo: indexes of keys that the store does not know, @todo_count of them
 * @asked: how many of @todo were asked for; @batch are under way
 * @singly_until: up to here in @todo, keys are asked for one by one
 * @fetched: the device gave at least one key
 * @keys: equal ones, to be stored, in locked memory, @keys_count of them
 */
struct pool_answer {
	struct pool_job job;
	struct pool_answer *next;
	struct kx_keys_announce announce;
	uint8_t status[KX_KEYS_MAX];
	uint16_t todo[KX_KEYS_MAX];
	size_t todo_count;
	size_t asked;
	size_t batch;
	size_t singly_until;
	bool denied[KX_KEYS_MAX];
	bool fetched;
	struct km_key *keys;
	size_t keys_count;
};

static void begin(struct pool *pool);

static void answer_free(struct pool_answer *answer)
{
	secret_free(answer->keys);
	pool_job_free(&answer->job);
}

/* -------- last step: the confirmation -------- */

static void send_confirm(struct pool *pool, const struct kx_keys_announce *announce,
			 const uint8_t *status)
{
	static struct kx_frame frame;

	memset(&frame.confirm, 0, sizeof(frame.confirm));
	frame.type = KX_KEYS_CONFIRM;
	memcpy(frame.confirm.link, pool->link, sizeof(frame.confirm.link));
	frame.confirm.count = announce->count;
	for (size_t i = 0; i < announce->count; i++) {
		frame.confirm.key[i].id = announce->key[i].id;
		frame.confirm.key[i].status = status[i];
	}
	/* If it cannot be sent, the initiator announces the keys again. */
	kx_send(pool->peer, &frame);
}

static void log_answer(struct pool *pool, const struct pool_answer *answer)
{
	static struct log_limit limit = {.burst = 5, .interval_ms = 10000};
	size_t mismatch = 0, unknown = 0;

	for (size_t i = 0; i < answer->announce.count; i++) {
		mismatch += answer->status[i] == KX_MISMATCH;
		unknown += answer->status[i] == KX_NOT_FOUND;
	}
	if (mismatch)
		log_limited(LOG_LEVEL_ERR, &limit,
			    "link %s: %zu keys have other bytes here than at %s: are the devices a "
			    "pair, is one of them tampered with? The keys are not used",
			    pool->link, mismatch, kx_peer_name(pool->peer));
	if (unknown)
		log_limited(LOG_LEVEL_WARNING, &limit,
			    "link %s: our device does not know %zu keys that %s announced",
			    pool->link, unknown, kx_peer_name(pool->peer));
}

static void end(struct pool_answer *answer)
{
	struct pool *pool = answer->job.pool;

	for (size_t i = 0; i < answer->announce.count; i++) {
		if (answer->status[i] == STATUS_UNSET)
			answer->status[i] = KX_RETRY;
		/*
		 * 401 (clause 5.3: not named for one of the keys) is about this
		 * key if the device gave us others, else about us.
		 */
		if (answer->denied[i])
			answer->status[i] = answer->fetched ? KX_NOT_FOUND : KX_RETRY;
	}
	log_answer(pool, answer);
	send_confirm(pool, &answer->announce, answer->status);
	pool->answers = answer->next;
	pool->answers_count--;
	answer_free(answer);
	if (pool->answers)
		begin(pool);
}

/* -------- third step: durable -------- */

static void on_kept(void *arg, int err)
{
	struct pool_answer *answer = arg;
	struct pool *pool = answer->job.pool;

	if (!pool) {
		answer_free(answer);
		return;
	}
	if (err) {
		log_err("link %s: %zu keys could not be stored: %s", pool->link, answer->keys_count,
			strerror(-err));
		for (size_t i = 0; i < answer->announce.count; i++)
			if (answer->status[i] == KX_OK)
				answer->status[i] = KX_RETRY;
	}
	pool_recount(pool);
	end(answer);
}

static void keep(struct pool_answer *answer)
{
	struct pool *pool = answer->job.pool;
	int err;

	if (!answer->keys_count) {
		end(answer);
		return;
	}
	err = store_add(pool->store, pool->link, answer->keys, answer->keys_count, STORE_READY,
			on_kept, answer);
	if (err)
		on_kept(answer, err);
}

/* -------- second step: the device -------- */

static void fetch(struct pool_answer *answer);

/** Compares what the device gave for key @index of the announcement. */
static void compare(struct pool_answer *answer, size_t index, const struct km_key *key)
{
	uint8_t check[KX_CHECK_BYTES];

	if (km_key_check(key, check)) {
		answer->status[index] = KX_RETRY;
	} else if (CRYPTO_memcmp(check, answer->announce.key[index].check, sizeof(check)) != 0) {
		answer->status[index] = KX_MISMATCH;
	} else {
		answer->status[index] = KX_OK;
		answer->keys[answer->keys_count++] = *key;
	}
}

/** A batch of more than one was refused for one of its keys: ask one by one. */
static bool for_one_key(int err)
{
	return err == -ENOENT || err == -EACCES;
}

static void on_fetched(void *arg, int err, const struct km_key *keys, size_t count,
		       const char *text)
{
	struct pool_answer *answer = arg;
	struct pool *pool = answer->job.pool;
	const uint16_t *todo = answer->todo + answer->asked;

	if (!pool) {
		answer_free(answer);
		return;
	}
	pool_note_source(pool, err, text);
	if (!err) {
		answer->fetched = true;
		for (size_t i = 0; i < count; i++)
			compare(answer, todo[i], &keys[i]);
	} else if (for_one_key(err) && answer->batch > 1) {
		answer->singly_until = answer->asked + answer->batch;
		fetch(answer);
		return;
	} else if (err == -ENOENT) {
		answer->status[todo[0]] = KX_NOT_FOUND;
	} else if (err == -EACCES) {
		answer->denied[todo[0]] = true;
	} else {
		keep(answer); /* the device fails: the rest stays unset, RETRY */
		return;
	}
	answer->asked += answer->batch;
	fetch(answer);
}

static size_t next_batch(const struct pool_answer *answer)
{
	size_t batch = answer->todo_count - answer->asked;
	uint32_t max = source_status(answer->job.pool->source)->max_per_request;

	if (answer->asked < answer->singly_until)
		return 1;
	return max && batch > max ? max : batch;
}

static void fetch(struct pool_answer *answer)
{
	struct km_key_id ids[KX_KEYS_MAX];

	answer->batch = next_batch(answer);
	for (size_t i = 0; i < answer->batch; i++)
		ids[i] = answer->announce.key[answer->todo[answer->asked + i]].id;
	if (!answer->batch ||
	    source_get_keys_by_id(answer->job.pool->source, ids, answer->batch, on_fetched, answer))
		keep(answer);
}

/* -------- first step: what the store knows -------- */

static uint8_t judge(const struct store_found *found, const uint8_t *announced)
{
	uint8_t check[KX_CHECK_BYTES];

	if (!found->state)
		return STATUS_UNSET;
	if (found->other_link || found->state != STORE_READY)
		return KX_STALE; /* used, discarded, or ours to announce */
	if (km_key_check(&found->key, check))
		return KX_RETRY;
	return CRYPTO_memcmp(check, announced, sizeof(check)) == 0 ? KX_OK : KX_MISMATCH;
}

static void on_found(void *arg, int err, const struct store_found *found, size_t count)
{
	struct pool_answer *answer = arg;

	if (!answer->job.pool) {
		answer_free(answer);
		return;
	}
	if (err) {
		end(answer); /* all RETRY */
		return;
	}
	for (size_t i = 0; i < count; i++) {
		answer->status[i] = judge(&found[i], answer->announce.key[i].check);
		if (answer->status[i] == STATUS_UNSET)
			answer->todo[answer->todo_count++] = (uint16_t)i;
	}
	answer->keys = secret_alloc(KX_KEYS_MAX * sizeof(*answer->keys));
	if (answer->keys)
		fetch(answer);
	else
		end(answer);
}

static void begin(struct pool *pool)
{
	struct pool_answer *answer = pool->answers;
	struct km_key_id ids[KX_KEYS_MAX];

	for (size_t i = 0; i < answer->announce.count; i++)
		ids[i] = answer->announce.key[i].id;
	if (store_find(pool->store, pool->link, ids, answer->announce.count, on_found, answer))
		end(answer);
}

/* -------- announcements come in -------- */

static void refuse(struct pool *pool, const struct kx_keys_announce *announce,
		   enum kx_status reason)
{
	uint8_t status[KX_KEYS_MAX];

	memset(status, reason, sizeof(status));
	send_confirm(pool, announce, status);
}

int pool_answer_announced(struct pool *pool, const struct kx_keys_announce *announce)
{
	struct pool_answer *answer, **last = &pool->answers;

	if (pool->role != CONFIG_RESPONDER) {
		static struct log_limit limit = {.burst = 1, .interval_ms = 60000};

		log_limited(LOG_LEVEL_ERR, &limit,
			    "link %s: %s is configured as initiator too: one end must be responder",
			    pool->link, kx_peer_name(pool->peer));
		refuse(pool, announce, KX_ROLE);
		return 0;
	}
	answer =
		pool->answers_count < POOL_ANSWERS_MAX ? pool_job_new(pool, sizeof(*answer)) : NULL;
	if (!answer) {
		refuse(pool, announce, KX_BUSY);
		return 0;
	}
	answer->announce = *announce;
	memset(answer->status, STATUS_UNSET, sizeof(answer->status));
	while (*last)
		last = &(*last)->next;
	*last = answer;
	if (++pool->answers_count == 1)
		begin(pool);
	return 0;
}

void pool_answer_end(struct pool *pool)
{
	struct pool_answer *answer, *next;

	/* The first is at work and is freed by its callback; the others wait. */
	for (answer = pool->answers ? pool->answers->next : NULL; answer; answer = next) {
		next = answer->next;
		answer_free(answer);
	}
	pool->answers = NULL;
}

/* -------- bounds -------- */

static void on_pruned(void *arg, int err)
{
	struct pool_job *job = arg;
	struct pool *pool = job->pool;

	pool_job_free(job);
	if (!pool)
		return;
	pool->pruning = false;
	pool_recount(pool);
}

static void on_oldest(void *arg, int err, const struct km_key *keys, size_t count)
{
	static struct log_limit limit = {.burst = 1, .interval_ms = 60000};
	struct km_key_id ids[PRUNE_BATCH];
	struct pool_job *job = arg;
	struct pool *pool = job->pool;

	if (pool && !err && count) {
		log_limited(LOG_LEVEL_WARNING, &limit,
			    "link %s: %s does not use its keys: the oldest are discarded",
			    pool->link, kx_peer_name(pool->peer));
		for (size_t i = 0; i < count; i++)
			ids[i] = keys[i].id;
		if (store_set_state(pool->store, pool->link, ids, count, STORE_DISCARDED, on_pruned,
				    job) == 0)
			return;
	}
	if (pool)
		pool->pruning = false;
	pool_job_free(job);
}

/*
 * A key that the initiator took but never named to us - its offer was lost -
 * stays READY here. The initiator uses the oldest first, so the oldest here
 * are those.
 */
void pool_answer_prune(struct pool *pool)
{
	uint64_t limit = POOL_READY_MAX + 4 * (uint64_t)pool->target;
	uint64_t excess = pool->counts.ready > limit ? pool->counts.ready - limit : 0;
	struct pool_job *job;

	if (!excess || pool->pruning)
		return;
	job = pool_job_new(pool, sizeof(*job));
	if (!job)
		return;
	pool->pruning = true;
	if (store_list(pool->store, pool->link, STORE_READY,
		       excess < PRUNE_BATCH ? (size_t)excess : PRUNE_BATCH, on_oldest, job)) {
		pool->pruning = false;
		pool_job_free(job);
	}
}
