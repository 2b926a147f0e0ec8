/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One channel: from its configuration to a channel that stands in the backend
 * with an agree running. Used by channels.c alone.
 *
 *   NEW -> row of the store known -> policies, macsec device -> ADD, or found
 *   standing with the same tag -> STANDS
 *
 * What fails is tried again every CHANNEL_RETRY_MS, sooner if it is likely to
 * go well then, and shown meanwhile. While there is no backend a channel whose
 * policies stand WAITS for channel_backend_up().
 */
#ifndef UNP_CHANNEL_H
#define UNP_CHANNEL_H

#include "unp/agree.h"
#include "unp/channels.h"
#include "unp/policy_entry.h"
#include "unp/standing.h"

#define CHANNEL_RETRY_MS	5000
#define CHANNEL_RETRY_SOON_MS	20
#define CHANNEL_RETRY_NUMBER_MS 200 /* another channel leaves our number */

/** Request IDs of our policies and SAs: this and the channel's id. */
#define CHANNEL_REQID POLICY_REQID

enum channel_phase {
	CHANNEL_NEW,	   /* its row is not known yet */
	CHANNEL_DOWN,	   /* known, not in the backend */
	CHANNEL_WAITS,	   /* known, policies stand, no backend to ask */
	CHANNEL_ATTACHING, /* the backend was asked */
	CHANNEL_STANDS,	   /* in the backend, agree runs */
	CHANNEL_DELETING,  /* on its way; nobody else may have the name yet */
	CHANNEL_REMOVED,   /* taken down, but something is left to be deleted again */
};

/**
 * struct channel_env - what all channels share
 * @backend: NULL: lost or not open, then @trouble says why
 * @standing: what stands in it, for all that attach
 * @off_list: takes a channel off @list when nothing of it is left
 * @knows: whether a channel on @list has this name
 * @events_lost: of the backend, in all, as its events say
 * @lost_before: as its counters say, those of before
 * @lost: more were lost than events have said so far
 * @event: event() of channels_create()
 */
struct channel_env {
	struct loop *loop;
	const struct config *config;
	struct kx *kx;
	struct store *store;
	struct backend *backend;
	const char *trouble;
	struct standing *standing;
	void (*off_list)(struct channel *channel, void *list);
	bool (*knows)(void *list, const char *name);
	void *list;
	uint64_t events_lost;
	uint64_t lost_before;
	void (*lost)(void *list, uint64_t events);
	void (*event)(const struct channel_event *event, void *arg);
	void *event_arg;
};

/**
 * struct channel
 * @next: in order of name
 * @refs: the list's one, and one per answer to come
 * @config: owned if not @from_file
 * @row_next: lowest epoch that the store has not seen
 * @seen: of standing_ask()
 * @number_taken: another channel in the backend has our number: nothing of ours stands
 * @device_gone: what stands has lost its macsec device: one that looks like it is another
 * @failures: to attach, one after the other
 * @found_simulated: keys of epochs that stood when it was attached;
 *                   valid if @found_known
 * @record: as it stands, or shall stand, in the backend
 * @error: last error of attaching, "" if none
 */
struct channel {
	struct channel *next;
	unsigned int refs;
	struct channel_env *env;
	struct config_channel *config;
	bool from_file;
	bool gone; /* taken off the list */
	const struct config_link *link;
	struct kx_peer *peer;
	struct pool *pool;
	enum channel_phase phase;
	uint64_t row_next;
	uint32_t seen;
	bool number_taken;
	bool device_gone;
	unsigned int failures;
	bool found_known;
	bool found_simulated;
	struct qkd_channel record;
	uint8_t digest[16];
	uint8_t state; /* enum qkd_channel_state */
	struct agree *agree;
	struct loop_timer tick;
	struct loop_timer retry;
	struct qkd_counters counters;
	bool counting;
	char error[384];
	/* who added or deletes it, told once */
	char *spec;
	channels_done_fn done;
	void *done_arg;
};

/** Takes @config over if not @from_file. Return: NULL: no memory. */
struct channel *channel_create(struct channel_env *env, struct config_channel *config,
			       bool from_file, struct pool *pool);

/** Off the list: ends its agree; the SAs stay. */
void channel_release(struct channel *channel);

void channel_hold(struct channel *channel);
void channel_put(struct channel *channel);

/** Asks the store for the row, then attaches. */
void channel_start(struct channel *channel);

/** It is gone from the backend: attaches again. */
void channel_detach(struct channel *channel, const char *why);

/** The backend was lost, env->trouble says why. What stands goes on by itself. */
void channel_backend_lost(struct channel *channel);

/** There is a backend (again). */
void channel_backend_up(struct channel *channel);

/**
 * channel_delete - tells the peer, takes SAs, then policies down, clears the store's spec
 * @done: told once, maybe before this returns. -EAGAIN: the store has not
 *        answered yet; -ENODEV: there is no backend
 *
 * Goes off the list and is released when all went well. Else it stays there,
 * and may be deleted again: if its SAs still stand, it attaches to them.
 */
void channel_delete(struct channel *channel, channels_done_fn done, void *arg);

/** Counters from the backend, for views. */
void channel_count(struct channel *channel);

/** Events were lost: all that is known of it is asked for anew; see channel_listed(). */
void channel_events_lost(struct channel *channel);

/** The state that the backend's list of channels has for it. */
void channel_listed(struct channel *channel, const struct qkd_channel *standing);

/** An event of the backend for this channel. */
void channel_backend_event(struct channel *channel, const struct qkd_event *event);

/** A Kx frame of types 32 to 35 for it. */
int channel_frame(struct channel *channel, const struct kx_frame *frame);

/** Tells the owner's event(); @text may be NULL. */
void channel_emit(struct channel *channel, const char *type, uint64_t epoch, const char *text);

/** What the operator sees. */
void channel_fill_view(const struct channel *channel, struct channel_view *view);

/* Between channel.c and channel_delete.c */

static inline bool channel_is_esp(const struct channel *channel)
{
	return channel->config->kind != QKD_KIND_MACSEC;
}

/** Ends its agree; the SAs stay. */
void channel_stop_agree(struct channel *channel);
/** Tells whoever added or deletes it, once; @text may be NULL. */
void channel_tell(struct channel *channel, int err, const char *text);
/** Attaches again in CHANNEL_RETRY_MS, and shows @text meanwhile. */
void channel_attach_failed(struct channel *channel, const char *text);

/* channel_record.c */

/**
 * channel_make_record - the backend's record and the digest of @channel->config
 * @id: of the store's row
 * Makes or checks the macsec device. Return: 0, or negative with @error.
 */
int channel_make_record(struct channel *channel, uint32_t id, char *error, size_t error_len);

#endif
