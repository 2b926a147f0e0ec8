/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The channels of this node, unp-QKDNp: takes keys from the pools, agrees with
 * the peer which key serves which epoch (Kx frames 32 to 35), derives the
 * material and feeds it to the backend.
 *
 * Initiator: pool_take() -> KX_EPOCH_OFFER -> KX_EPOCH_ANSWER ok -> KEY_PUT.
 * Responder: KX_EPOCH_OFFER -> pool_take_id() -> KEY_PUT -> KX_EPOCH_ANSWER.
 * Both send KX_CHANNEL_STATE whenever their inbound SAs change, and when the
 * KM link comes up. An epoch whose outcome is unknown (the link broke between)
 * is spent, never tried again.
 */
#ifndef UNP_CHANNELS_H
#define UNP_CHANNELS_H

#include "config/config.h"
#include "km/kx.h"
#include "km/pool.h"
#include "unp/backend.h"

struct channels;
struct channel;

/** Why a channel does not get new keys; shown by qkdctl. */
enum channel_waits {
	CHANNEL_WAITS_NOTHING, /* lookahead is full, or an offer is under way */
	CHANNEL_WAITS_KM_LINK, /* the peer KM cannot be reached */
	CHANNEL_WAITS_KEYS,    /* the pool is empty */
	CHANNEL_WAITS_PEER,    /* the peer has no such channel, or with other parameters */
	CHANNEL_WAITS_BACKEND, /* the kernel refuses; see last_error */
};

/** Everything that a listing shows of one channel. */
struct channel_view {
	const struct config_channel *config;
	const char *peer;
	bool initiator;
	bool from_file; /* false: added by qkdctl */
	bool orphaned;	/* in the kernel, not configured; has no link, peer or role */
	bool simulated; /* an SA in use has a simulated key */
	uint8_t state;	/* enum qkd_channel_state; 0: not in the kernel yet */
	enum channel_waits waits;
	uint32_t id;
	uint32_t reqid;
	uint64_t peer_settled;
	uint64_t time_last_rollover_ns;
	uint64_t events_lost;		     /* of the whole backend */
	const struct qkd_counters *counters; /* as of the last change, refreshed each second */
	const char *last_error;		     /* "" if none */
};

/** An event for `qkdctl event follow`: from the module, or of the channel itself. */
struct channel_event {
	uint64_t time_ns; /* CLOCK_REALTIME */
	const char *channel;
	const char *type; /* "installed", "activated", "retired", "low", "exhausted", ... */
	uint64_t epoch;	  /* or QKD_EPOCH_NONE */
	const char *text; /* for people, may be "" */
};

/**
 * channels_create - registers with @kx; nothing happens before channels_start()
 * @pool_of: the pool of a link, by name
 */
int channels_create(struct loop *loop, const struct config *config, struct kx *kx,
		    struct store *store, struct pool *(*pool_of)(void *arg, const char *link),
		    void *arg, void (*event)(const struct channel_event *event, void *arg),
		    struct channels **channels);

/**
 * channels_start - opens the backend, re-attaches to the channels that stand in
 * it, adds the others; sets up policies and macsec devices
 *
 * With `backend: module` and no module this goes well all the same: policies
 * are installed, and the module is waited for. A backend that is lost later is
 * opened again.
 */
int channels_start(struct channels *channels, char *error, size_t error_len);

/** Leaves the SAs and policies in place. */
void channels_destroy(struct channels *channels);

/** NULL: it is lost, or the module is not loaded; it is tried again. */
const struct backend *channels_backend(const struct channels *channels);

/** Calls @visit for each channel, in order of name, then for each orphan. */
void channels_visit(struct channels *channels,
		    void (*visit)(const struct channel_view *view, void *arg), void *arg);
bool channels_view(struct channels *channels, const char *name, struct channel_view *view);

typedef void (*channels_done_fn)(void *arg, int err, const char *text);

/**
 * channels_add - takes over @config, and begins
 * @spec: its YAML text, kept in the store
 * Return: 0, -EEXIST, -EBUSY: one of that name is being deleted.
 */
int channels_add(struct channels *channels, struct config_channel *config, const char *spec,
		 channels_done_fn done, void *arg);

/**
 * channels_delete - takes the channel's, or the orphan's, SAs and policies down here
 * @done: -ENODEV: there is no backend, -EAGAIN: the store has not answered yet;
 *        nothing was done then. After any error the channel is listed still.
 * Return: 0, -ENOENT, -EBUSY: it is being added or deleted; -EAGAIN.
 */
int channels_delete(struct channels *channels, const char *name, channels_done_fn done, void *arg);

/** Switches the outbound SA now. -ENOENT, -EAGAIN. */
int channels_rollover(struct channels *channels, const char *name, channels_done_fn done,
		      void *arg);

/** SAs of one channel as struct qkd_epoch records. -ENOENT. */
int channels_epochs(struct channels *channels, const char *name, backend_list_fn done, void *arg);

#endif
