/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of agree share:
 *
 *   agree.c        life, KM link, clock, the state that is sent
 *   agree_own.c    this end's epochs, as the backend reports them
 *   agree_peer.c   the peer's epochs, and what follows from them
 *   agree_offer.c  initiator: offers keys
 *   agree_take.c   responder: takes them
 *   agree_release.c    both: derives an epoch and hands it to the backend
 */
#ifndef UNP_AGREE_INTERNAL_H
#define UNP_AGREE_INTERNAL_H

#include "unp/agree.h"

#define AGREE_STATE_MS	  2000	/* safety net: the state is sent at least this often */
#define AGREE_RESYNC_MS	  30000 /* safety net: our epochs are read anew */
#define AGREE_SOON_MS	  5000	/* a command and its event take less */
#define AGREE_OFFER_MS	  60000 /* an unanswered offer is spent */
#define AGREE_BACKOFF_MS  100	/* first pause after a failure, grows */
#define AGREE_PAUSE_MS	  5000	/* longest pause after failures */
#define AGREE_MISMATCH_MS 1000	/* longest pause after a key that the peer has not got */
#define AGREE_LEAP_MAX                                                                             \
	(1ULL << 28) /* epochs that the peer may be ahead: 8 years at one a second                 \
		      */

/** Whether an epoch's key is simulated. Unknown: an earlier process put it. */
enum agree_mark {
	MARK_UNKNOWN,
	MARK_REAL,
	MARK_SIMULATED,
};

/** An epoch of this end. @retiring: RETIRE was sent. */
struct agree_epoch {
	uint64_t epoch;
	uint8_t in;   /* enum qkd_sa_state */
	uint8_t out;  /* enum qkd_sa_state */
	uint8_t mark; /* enum agree_mark */
	bool retiring;
};

enum agree_slot_state {
	SLOT_FREE,
	SLOT_WAITING, /* responder: offered, no room yet */
	SLOT_TAKING,  /* the pool was asked for the key */
	SLOT_SENT,    /* initiator: offered, no answer yet */
	SLOT_PUTTING, /* with the backend */
};

/**
 * struct agree_slot - one epoch under way
 * @state: see there
 * @epoch: undefined while the initiator's is TAKING
 * @session: agree.session at the offer
 * @order: responder: offers are served in this order
 * @asked: responder: for our epochs, after the offer came
 * @checked: responder: they were read since
 * @early: PUTTING: an event of it, perhaps, came before the answer
 * @installed: PUTTING: the event that says so came before the answer
 * @mark: of its key
 * @deadline: initiator, SENT: when it is spent
 * @secret: locked memory: the QKD key and the session secret; NULL: none
 */
struct agree_slot {
	struct agree *agree;
	enum agree_slot_state state;
	uint64_t epoch;
	struct km_key_id key_id;
	uint64_t session;
	uint64_t order;
	bool asked;
	bool checked;
	bool early;
	bool installed;
	enum agree_mark mark;
	uint64_t deadline;
	struct agree_secret *secret;
};

struct agree_secret {
	uint8_t key[QKD_KEY_BYTES];
	uint8_t session[32];
};

/** What we last heard. @known: in this session, with our digest. */
struct agree_peer {
	bool known;
	uint64_t settled;
	uint64_t out;
	uint16_t count;
	uint64_t epoch[KX_EPOCHS_MAX];
};

/** A watermark as given to the backend; @valid: it has it. */
struct agree_watermark {
	bool valid;
	struct qkd_watermark record;
};

/**
 * struct agree
 * @refs: the owner's one, and one per answer to come
 * @dead: destroyed: no op is called any more
 * @attached: @own is what the backend has
 * @stale: events were lost: until @own is read anew the peer hears nothing of it
 * @session: counts link ups
 * @next: lowest epoch that may be used
 * @unused: lowest epoch that was never used here, as store and backend know it:
 *	    what the peer says of epochs is measured by it
 * @dirty: our state changed since it was last sent
 * @taking: the pool was asked for a key to offer
 * @no_keys: it had none
 * @refused: the peer has no room; offers wait for a change
 * @failures: in a row, for the pause
 * @pause_until: no offers before
 * @clash: in this session: both ends have the same role
 * @switched_at: when our outbound SA was heard to have moved
 * @followed: what the peer had switched to before us when we last looked
 */
struct agree {
	struct agree_config config;
	char name[QKD_NAME_BYTES];
	const struct agree_ops *ops;
	void *arg;
	unsigned int refs;
	bool dead;
	bool up;
	bool attached;
	bool stale;
	uint64_t session;

	uint64_t next;
	uint64_t unused;
	uint64_t out;
	struct agree_epoch *own;
	uint32_t own_count;
	uint32_t capacity; /* of the backend: qkd_epochs_capacity() */
	bool listing;
	bool list_again;
	uint64_t resync_at;

	struct agree_peer peer;
	struct agree_watermark watermark;

	struct agree_slot *slot;
	uint32_t slots;
	uint64_t orders;

	bool dirty;
	uint64_t state_at;
	bool taking;
	bool no_keys;
	bool refused;
	bool put_failed;
	unsigned int failures;
	uint64_t pause_until;
	bool clash;
	uint64_t switched_at;
	uint64_t followed;

	enum channel_waits waits;
	char error[256];
};

/* agree.c */
/** References: one is the owner's, each answer that is to come has one. */
void agree_hold(struct agree *a);
/** Drops one; with the last it is freed. */
void agree_release(struct agree *a);
uint64_t agree_now(const struct agree *a);
/** Keeps a sentence for listings and logs it. */
__attribute__((format(printf, 2, 3))) void agree_error(struct agree *a, const char *format, ...);
/** Ends every entry point: sends what is due, looks for work, sets the timer. */
void agree_settle(struct agree *a);
/** Raises the lowest epoch that may be used. */
void agree_raise_next(struct agree *a, uint64_t next);
/** @epoch was used here: by the store, or by the backend. */
void agree_used(struct agree *a, uint64_t epoch);
/**
 * Whether @next, which the peer names as its lowest free epoch, may be true. One that
 * is not would make the channel unusable at both ends, and both would say it on.
 */
bool agree_plausible(const struct agree *a, uint64_t next);
/** Every epoch below it stands here or never will. */
uint64_t agree_settled(const struct agree *a);

/**
 * What we encrypt with; while we encrypt with nothing, the last epoch that we
 * have left for good. The peer keeps its inbound SA, and none from before it.
 */
uint64_t agree_out_or_last(const struct agree *a);

struct agree_slot *agree_slot_new(struct agree *a);
struct agree_slot *agree_slot_find(struct agree *a, uint64_t epoch, enum agree_slot_state state);
uint32_t agree_slots_busy(const struct agree *a);
void agree_slot_free(struct agree_slot *slot);

/* agree_own.c */
struct agree_epoch *agree_own_find(const struct agree *a, uint64_t epoch);
uint32_t agree_own_ready(const struct agree *a);
/** Epochs that are ready or queued. */
uint32_t agree_own_waiting(const struct agree *a);
/** Whether it waits to be used outbound: ready or queued. */
bool agree_waits(const struct agree_epoch *epoch);
/** KEY_PUT of @slot went well. Return: 0, -ENOMEM. */
int agree_own_add(struct agree *a, const struct agree_slot *slot);
/** MACsec: whether both would have the same association number; @b may be QKD_EPOCH_NONE. */
bool agree_same_number(const struct agree *a, uint64_t epoch, uint64_t b);
/** The SA that has the association number of @epoch here; NULL: it is free, or ESP. */
const struct agree_epoch *agree_own_number(const struct agree *a, uint64_t epoch);
void agree_own_list(struct agree *a);

/* agree_peer.c */
bool agree_peer_holds(const struct agree *a, uint64_t epoch);
uint32_t agree_peer_waiting(const struct agree *a);
bool agree_peer_number(const struct agree *a, uint64_t epoch);
int agree_peer_state(struct agree *a, const struct kx_channel_state *state);
/** Until its next state nothing is offered to it. */
void agree_peer_gone(struct agree *a, const char *why);
/** The same, for an epoch that is not agree_plausible(). */
void agree_peer_implausible(struct agree *a, uint64_t epoch);
/** RETIRE and WATERMARK as they follow from both ends' epochs. */
void agree_peer_apply(struct agree *a);
void agree_follow(struct agree *a);

/* agree_offer.c */
void agree_offer(struct agree *a);
void agree_offers_expire(struct agree *a);
void agree_offers_drop(struct agree *a);
int agree_answer(struct agree *a, const struct kx_epoch_answer *answer);

/* agree_take.c */
int agree_offered(struct agree *a, const struct kx_epoch_offer *offer);
void agree_take_waiting(struct agree *a);
/** Forgets offers below @epoch that were not touched yet: the initiator has spent them. */
void agree_waiting_drop(struct agree *a, uint64_t epoch);
void agree_reply(struct agree *a, uint64_t epoch, enum kx_status status);

/* agree_release.c */
/** Takes the session secret of @slot; @slot->secret was allocated by agree_keep(). */
int agree_keep(struct agree_slot *slot, const struct km_key *key);
/** Derives and submits. Return: 0: the backend answers, the slot stays PUTTING; or negative. */
int agree_put_epoch(struct agree_slot *slot);

#endif
