// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The initiator of a QKD link: gets keys from its device, keeps them as
 * PENDING, announces them to the peer, and has them READY once the peer has
 * confirmed the same bytes.
 *
 * What is announced is durable first. So whatever is lost - an announcement, a
 * confirmation, either daemon - announcing all PENDING keys again heals it.
 */
#include "km/backoff.h"
#include "km/pool_parts.h"
#include "km/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------- announcing -------- */

static void announce_in(struct pool *pool, uint64_t delay_ms)
{
	if (loop_timer_set(pool->loop, &pool->announce_again, delay_ms))
		log_err("link %s: out of memory: keys are announced at the next link-up",
			pool->link);
}

/** One frame of at most KX_KEYS_MAX keys. */
static int announce_batch(struct pool *pool, const struct km_key *keys, size_t count)
{
	static struct kx_frame frame;
	int err;

	memset(&frame.announce, 0, sizeof(frame.announce));
	frame.type = KX_KEYS_ANNOUNCE;
	memcpy(frame.announce.link, pool->link, sizeof(frame.announce.link));
	frame.announce.count = (uint16_t)count;
	for (size_t i = 0; i < count; i++) {
		frame.announce.key[i].id = keys[i].id;
		err = km_key_check(&keys[i], frame.announce.key[i].check);
		if (err)
			return err;
	}
	return kx_send(pool->peer, &frame);
}

/** Names @keys to the peer. What cannot be sent now is sent with the next try. */
static void announce(struct pool *pool, const struct km_key *keys, size_t count)
{
	for (size_t done = 0; done < count;) {
		size_t batch = count - done < KX_KEYS_MAX ? count - done : KX_KEYS_MAX;

		if (announce_batch(pool, keys + done, batch))
			break;
		done += batch;
		pool->unconfirmed += batch;
	}
	if (!loop_timer_pending(&pool->announce_again))
		announce_in(pool, POOL_ANSWER_MS);
}

static void on_pending(void *arg, int err, const struct km_key *keys, size_t count)
{
	struct pool_job *job = arg;
	struct pool *pool = job->pool;

	pool_job_free(job);
	if (!pool)
		return;
	pool->listing = false;
	pool->unconfirmed = 0;
	/* Fewer than were counted: some were damaged, and are discarded now. */
	if (!err && count < pool->counts.pending && count < POOL_LIST_MAX)
		pool_recount(pool);
	if (err)
		announce_in(pool, POOL_ANNOUNCE_MAX_MS);
	else if (count && kx_peer_up(pool->peer))
		announce(pool, keys, count);
}

/** Announces all PENDING keys, the oldest first. */
static void announce_pending(struct pool *pool)
{
	struct pool_job *job;

	if (pool->listing || !kx_peer_up(pool->peer))
		return;
	job = pool_job_new(pool, sizeof(*job));
	pool->listing = true;
	if (job &&
	    store_list(pool->store, pool->link, STORE_PENDING, POOL_LIST_MAX, on_pending, job) == 0)
		return;
	pool->listing = false;
	if (job)
		pool_job_free(job);
	announce_in(pool, POOL_ANNOUNCE_MAX_MS);
}

static void on_announce_timer(void *arg)
{
	struct pool *pool = arg;

	if (pool->unconfirmed && !pool->heard && !pool->unanswered) {
		pool->unanswered = true;
		log_warn("link %s: %s does not answer our announcements: is the link configured "
			 "there under this name?",
			 pool->link, kx_peer_name(pool->peer));
	}
	pool->heard = false;
	announce_pending(pool);
}

/* -------- getting -------- */

/** New keys on their way from the device into the store and to the peer. */
struct fill {
	struct pool_job job;
	size_t asked;
	struct km_key_id ids[KX_KEYS_MAX];
	size_t count;
};

static void fill_later(struct pool *pool)
{
	unsigned int failures = pool->source_failures + pool->store_failures;
	uint64_t pause = km_backoff_ms(failures, POOL_SOURCE_MIN_MS, POOL_SOURCE_MAX_MS);

	if (pool->refusals)
		pause = km_backoff_ms(pool->refusals, POOL_REFUSED_MIN_MS, POOL_REFUSED_MAX_MS);
	if (loop_timer_set(pool->loop, &pool->fill_again, pause))
		log_err("link %s: out of memory: no keys are asked for until the next change",
			pool->link);
}

/** The store has them: names to the peer what it really holds. */
static void on_found(void *arg, int err, const struct store_found *found, size_t count)
{
	struct fill *fill = arg;
	struct pool *pool = fill->job.pool;
	struct km_key *keys = pool && !err ? secret_alloc(count * sizeof(*keys)) : NULL;
	size_t pending = 0;

	/* A device that names a key twice does not get the second one in. */
	for (size_t i = 0; keys && i < count; i++)
		if (found[i].state == STORE_PENDING && !found[i].other_link)
			keys[pending++] = found[i].key;
	if (pending && kx_peer_up(pool->peer))
		announce(pool, keys, pending);
	secret_free(keys);
	if (pool) {
		pool->filling = false;
		pool_recount(pool);
	}
	pool_job_free(&fill->job);
}

static void not_stored(struct pool *pool, struct fill *fill, int err)
{
	log_err("link %s: %zu new keys could not be stored and are lost: %s", pool->link,
		fill->count, strerror(-err));
	pool->store_failures++;
	pool->filling = false;
	fill_later(pool);
	pool_job_free(&fill->job);
}

static void on_kept(void *arg, int err)
{
	struct fill *fill = arg;
	struct pool *pool = fill->job.pool;

	if (!pool) {
		pool_job_free(&fill->job);
	} else if (err) {
		not_stored(pool, fill, err);
	} else {
		pool->store_failures = 0;
		err = store_find(pool->store, pool->link, fill->ids, fill->count, on_found, fill);
		if (err)
			on_found(fill, err, NULL, 0);
	}
}

static void on_got(void *arg, int err, const struct km_key *keys, size_t count, const char *text)
{
	struct fill *fill = arg;
	struct pool *pool = fill->job.pool;

	if (!pool) {
		pool_job_free(&fill->job);
		return;
	}
	/*
	 * A device with fewer keys than asked for may refuse (clause 5.2): ask
	 * for less before taking it for empty.
	 */
	if (err == -EAGAIN && fill->asked > 1) {
		pool->ask = fill->asked / 2;
		pool->filling = false;
		pool_job_free(&fill->job);
		pool_fill(pool);
		return;
	}
	pool_note_source(pool, err, text);
	if (err) {
		pool->filling = false;
		fill_later(pool);
		pool_job_free(&fill->job);
		return;
	}
	pool->ask = 2 * fill->asked;
	fill->count = count < KX_KEYS_MAX ? count : KX_KEYS_MAX;
	for (size_t i = 0; i < fill->count; i++)
		fill->ids[i] = keys[i].id;
	err = store_add(pool->store, pool->link, keys, fill->count, STORE_PENDING, on_kept, fill);
	if (err)
		not_stored(pool, fill, err);
}

/** Asks the device for what is missing. */
static void get_keys(struct pool *pool, uint64_t missing)
{
	struct fill *fill = pool_job_new(pool, sizeof(*fill));
	size_t count = missing < pool->ask ? (size_t)missing : pool->ask;

	if (pool->store_failures || pool->refusals)
		count = 1; /* a probe: what store or peer does not take is lost */
	if (count > KX_KEYS_MAX)
		count = KX_KEYS_MAX;
	if (fill)
		fill->asked = count;
	if (fill && source_get_keys(pool->source, count, on_got, fill) == 0) {
		pool->filling = true;
		return;
	}
	if (fill)
		pool_job_free(&fill->job);
	fill_later(pool);
}

void pool_fill(struct pool *pool)
{
	uint64_t have = pool->counts.ready + pool->counts.pending;

	if (!pool->counted || !pool->refreshed || !kx_peer_up(pool->peer))
		return;
	/* More PENDING than one list holds, or announcements that could not be sent. */
	if (pool->counts.pending && !pool->unconfirmed && !pool->listing && !pool->filling &&
	    !loop_timer_pending(&pool->announce_again))
		announce_in(pool, POOL_ANNOUNCE_MIN_MS);
	/* The verdict on one probe is awaited before the next. */
	if (pool->refusals && pool->counts.pending)
		return;
	if (have < pool->target && !pool->filling && !loop_timer_pending(&pool->fill_again))
		get_keys(pool, pool->target - have);
}

static void on_fill_timer(void *arg)
{
	pool_fill(arg);
}

/* -------- confirmations -------- */

static void on_state_set(void *arg, int err)
{
	struct pool_job *job = arg;
	struct pool *pool = job->pool;

	pool_job_free(job);
	if (!pool)
		return;
	if (err)
		log_err("link %s: confirmed keys could not be marked: %s; they are announced again",
			pool->link, strerror(-err));
	pool_recount(pool);
}

static void set_state(struct pool *pool, const struct km_key_id *ids, size_t count,
		      enum store_key_state state)
{
	struct pool_job *job;

	if (!count)
		return;
	job = pool_job_new(pool, sizeof(*job));
	if (!job ||
	    store_set_state(pool->store, pool->link, ids, count, state, on_state_set, job)) {
		if (job)
			pool_job_free(job);
		log_err("link %s: %zu confirmed keys could not be marked; they are announced again",
			pool->link, count);
		pool_recount(pool);
	}
}

/** Numbers of a confirmation, for the log. */
struct verdict {
	struct km_key_id ready[KX_KEYS_MAX], discarded[KX_KEYS_MAX];
	size_t ready_count, discarded_count;
	size_t mismatch, unknown, stale, again, role;
};

static void sort(const struct kx_keys_confirm *confirm, struct verdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	for (size_t i = 0; i < confirm->count; i++) {
		const struct km_key_id *id = &confirm->key[i].id;

		switch (confirm->key[i].status) {
		case KX_OK:
			verdict->ready[verdict->ready_count++] = *id;
			continue;
		case KX_NOT_FOUND:
			verdict->unknown++;
			break;
		case KX_MISMATCH:
			verdict->mismatch++;
			break;
		case KX_STALE:
			verdict->stale++;
			break;
		case KX_ROLE:
			verdict->role++;
			continue;
		default: /* RETRY, BUSY, and what makes no sense here: they stay PENDING */
			verdict->again++;
			continue;
		}
		verdict->discarded[verdict->discarded_count++] = *id;
	}
}

/*
 * Some keys of many were refused. One message in a while: that all are refused is
 * told by note_refusal().
 */
static void log_verdict(struct pool *pool, const struct verdict *verdict)
{
	static struct log_limit limit = {.burst = 5, .interval_ms = 10000};
	bool some = verdict->ready_count > 0;

	if (some && verdict->mismatch)
		log_limited(LOG_LEVEL_ERR, &limit,
			    "link %s: %zu keys have other bytes at %s than here: are the devices a "
			    "pair, is one of them tampered with? The keys are discarded",
			    pool->link, verdict->mismatch, kx_peer_name(pool->peer));
	if (some && verdict->unknown)
		log_limited(LOG_LEVEL_WARNING, &limit,
			    "link %s: the device of %s does not know %zu keys; they are discarded",
			    pool->link, kx_peer_name(pool->peer), verdict->unknown);
	if (some && verdict->stale)
		log_limited(LOG_LEVEL_WARNING, &limit,
			    "link %s: %s had ended %zu keys before; they are discarded", pool->link,
			    kx_peer_name(pool->peer), verdict->stale);
	if (verdict->role)
		log_limited(LOG_LEVEL_ERR, &limit,
			    "link %s: %s is configured as initiator too: one end must be responder",
			    pool->link, kx_peer_name(pool->peer));
	if (verdict->again && !pool->announce_failures)
		log_info("link %s: %s cannot ask its device now; keys are announced again later",
			 pool->link, kx_peer_name(pool->peer));
}

static const char *refusal_reason(const struct verdict *verdict)
{
	if (verdict->mismatch)
		return "it has other bytes under the same key IDs";
	if (verdict->unknown)
		return "its device does not know them";
	return "it has ended keys of these IDs before";
}

/*
 * The peer refused all keys of a confirmation. Keys that cannot be used are not
 * to be drawn from the devices, nor to fill the store with tombstones: so one
 * at a time, with growing pauses, until one is accepted. Several confirmations
 * of keys that were announced before count as one.
 */
static void note_refusal(struct pool *pool, const struct verdict *verdict)
{
	char text[sizeof(pool->refused)];

	if (!pool->refusals || !loop_timer_pending(&pool->fill_again)) {
		pool->refusals++;
		fill_later(pool);
	}
	snprintf(text, sizeof(text),
		 "%s refuses all our keys: %s; check that peer_sae names the other end's SAE, at "
		 "both ends, and that the two devices are a pair",
		 kx_peer_name(pool->peer), refusal_reason(verdict));
	if (strcmp(text, pool->refused) == 0)
		return;
	memcpy(pool->refused, text, sizeof(text));
	log_err("link %s: %s. The keys are discarded; single ones are tried from now on",
		pool->link, pool->refused);
}

static void note_accepted(struct pool *pool)
{
	if (!pool->refusals)
		return;
	pool->refusals = 0;
	pool->refused[0] = '\0';
	loop_timer_cancel(pool->loop, &pool->fill_again);
	log_info("link %s: %s accepts our keys again", pool->link, kx_peer_name(pool->peer));
}

int pool_fill_confirmed(struct pool *pool, const struct kx_keys_confirm *confirm)
{
	static struct verdict verdict;

	if (pool->role != CONFIG_INITIATOR)
		return -EPROTO;
	sort(confirm, &verdict);
	log_verdict(pool, &verdict);
	pool->heard = true;
	pool->unanswered = false;
	pool->unconfirmed -=
		confirm->count < pool->unconfirmed ? confirm->count : pool->unconfirmed;
	if (verdict.ready_count)
		note_accepted(pool);
	else if (verdict.discarded_count)
		note_refusal(pool, &verdict);
	set_state(pool, verdict.ready, verdict.ready_count, STORE_READY);
	set_state(pool, verdict.discarded, verdict.discarded_count, STORE_DISCARDED);
	if (verdict.again || verdict.role) {
		pool->announce_failures++;
		announce_in(pool, km_backoff_ms(pool->announce_failures, POOL_ANNOUNCE_MIN_MS,
						POOL_ANNOUNCE_MAX_MS));
	} else {
		pool->announce_failures = 0;
		if (!pool->unconfirmed)
			loop_timer_cancel(pool->loop, &pool->announce_again);
	}
	return 0;
}

/* -------- the KM link -------- */

void pool_fill_link_up(struct pool *pool)
{
	pool->unconfirmed = 0;
	pool->heard = false;
	pool->unanswered = false;
	loop_timer_cancel(pool->loop, &pool->announce_again);
	/* The peer may have been put right since: one probe at once. */
	if (pool->refusals) {
		pool->refusals = 1;
		loop_timer_cancel(pool->loop, &pool->fill_again);
	}
	announce_pending(pool);
	pool_fill(pool);
}

void pool_fill_link_down(struct pool *pool)
{
	pool->unconfirmed = 0;
	loop_timer_cancel(pool->loop, &pool->announce_again);
}

void pool_fill_init(struct pool *pool)
{
	pool->fill_again.fire = on_fill_timer;
	pool->fill_again.arg = pool;
	pool->ask = KX_KEYS_MAX;
	pool->announce_again.fire = on_announce_timer;
	pool->announce_again.arg = pool;
}
