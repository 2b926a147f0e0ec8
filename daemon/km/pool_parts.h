/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inside of a pool, for pool.c (counts, takes, life), pool_fill.c (the
 * link's initiator) and pool_answer.c (its responder).
 */
#ifndef KM_POOL_PARTS_H
#define KM_POOL_PARTS_H

#include "km/pool.h"
#include "log.h"

#define POOL_REFRESH_MS	     10000
#define POOL_SOURCE_MIN_MS   250
#define POOL_SOURCE_MAX_MS   5000
#define POOL_ANNOUNCE_MIN_MS 250
#define POOL_ANNOUNCE_MAX_MS 10000
#define POOL_REFUSED_MIN_MS  250 /* the peer refuses all keys: between one probe and the next */
#define POOL_REFUSED_MAX_MS  300000
#define POOL_ANSWER_MS	     15000 /* for the peer to confirm */
#define POOL_LIST_MAX	     1024  /* PENDING keys announced at once */
#define POOL_ANSWERS_MAX     64	   /* announcements that wait here */
#define POOL_READY_MAX	     65536 /* responder: beyond it, and 4 * keys_target, the oldest go */

enum pool_level {
	POOL_ENOUGH,
	POOL_LOW,
	POOL_EMPTY
};

/**
 * struct pool_job - something that the pool asked of store or source
 * @pool: NULL once the pool is gone: the answer then only frees the job
 *
 * First member of what is asked; see pool_job_new().
 */
struct pool_job {
	struct pool *pool;
	struct pool_job *next;
	struct pool_job **place;
};

struct pool_listener {
	struct pool_listener *next;
	void (*changed)(void *arg);
	void *arg;
};

struct pool_answer; /* pool_answer.c */

struct pool {
	struct loop *loop;
	struct store *store;
	struct kx_peer *peer;
	struct source *source;
	char link[KX_NAME_BYTES];
	enum config_role role;
	uint32_t target;
	uint32_t low;
	struct kx_handler handler;
	struct pool_job *jobs;
	struct pool_listener *listeners;

	struct store_counts counts;
	bool counted;	  /* counts hold */
	bool counting;	  /* asked for */
	bool count_again; /* they changed since */
	bool starved;	  /* a take found none */
	enum pool_level level;

	struct loop_timer refresh;
	bool refreshed; /* the source was asked for its status once */
	unsigned int source_failures;
	char source_error[160]; /* as it was logged */

	/* initiator */
	bool filling;
	size_t ask; /* most keys to ask for: halved when the device has fewer */
	struct loop_timer fill_again;
	bool listing;
	size_t unconfirmed; /* keys announced on this link session */
	unsigned int announce_failures;
	unsigned int store_failures;
	bool heard;	       /* a confirmation came since announce_again was set */
	bool unanswered;       /* none came, and it was logged */
	unsigned int refusals; /* probes in a row that the peer refused: its device, or ours, is
				  not the right one. One key at a time is asked for then */
	char refused[200];     /* why, as it was logged; "" while keys are accepted */
	struct loop_timer announce_again;

	/* responder */
	struct pool_answer *answers; /* the first is at work */
	size_t answers_count;
	bool pruning;
};

/** Zeroed, in the pool's list. NULL: no memory. */
void *pool_job_new(struct pool *pool, size_t size);

/** Ends and frees it. */
void pool_job_free(struct pool_job *job);

/** Asks the store for new counts; pool_fill() and the listeners follow. */
void pool_recount(struct pool *pool);

/** Keeps how the source answered; logs when that changes. */
void pool_note_source(struct pool *pool, int err, const char *text);

/* -------- pool_fill.c -------- */

/** Gets keys, or announces those that are PENDING, if that is due. */
void pool_fill(struct pool *pool);

void pool_fill_link_up(struct pool *pool);
void pool_fill_link_down(struct pool *pool);

/** What became of keys that we announced. */
int pool_fill_confirmed(struct pool *pool, const struct kx_keys_confirm *confirm);

/** Timers of the initiator. */
void pool_fill_init(struct pool *pool);

/* -------- pool_answer.c -------- */

/** The peer announces keys. */
int pool_answer_announced(struct pool *pool, const struct kx_keys_announce *announce);

/** Drops the announcements that wait, at the pool's end. */
void pool_answer_end(struct pool *pool);

/** Discards the oldest keys if there are far too many. */
void pool_answer_prune(struct pool *pool);

#endif
