/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the two ends of one channel agree: which key serves which epoch, which
 * epochs stand where. It knows neither sockets nor clocks nor the kernel: all
 * that goes in comes by a call, all that goes out by struct agree_ops, so that
 * two of these can be run against one another in a test.
 *
 * What it guarantees, whatever message or process is lost (docs/key-life-cycle.md):
 *  - an epoch is offered once, with one key; an epoch whose outcome is unknown
 *    is spent
 *  - this end is told of the peer's inbound SAs (QKD_CMD_WATERMARK) only after
 *    epochs that the peer will never hold were taken down here
 *  - "settled" only grows within the life of a store, so both ends drop the
 *    same epochs after a lost answer, a restart, a reboot, a lost store
 */
#ifndef UNP_AGREE_H
#define UNP_AGREE_H

#include "epochs.h"
#include "km/kx_frame.h"
#include "km/pool.h"
#include "unp/backend.h"
#include "unp/channels.h"

struct agree;

/**
 * struct agree_config - fixed values of one channel; copied
 * @name: channel's name
 * @id: qkd_channel.id
 * @initiator: the link's role of this end
 * @combine: whether the KM link's session secret goes into the keys
 * @kind: for messages
 * @cipher: for the derivation
 * @wanted: initiator: epochs to keep ready at both ends
 * @epochs: as the backend has them; @epochs.lookahead is at least @wanted
 * @queue: MACsec: the backend queues epochs that find their number taken, QKD_FEATURE_QUEUE
 * @digest: digest_channel()
 * @next: lowest epoch that neither the store nor the backend has seen
 */
struct agree_config {
	const char *name;
	uint32_t id;
	bool initiator;
	enum config_combine combine;
	enum qkd_kind kind;
	enum qkd_cipher cipher;
	uint32_t wanted;
	struct qkd_epochs_config epochs;
	bool queue;
	uint8_t digest[16];
	uint64_t next;
};

/**
 * struct agree_ops - the world around; each gets the arg of agree_create()
 * @send: a Kx frame to the peer; 0 or negative errno
 * @secret: kx_session_secret() of the link to the peer
 * @take: pool_take() for this channel
 * @take_id: pool_take_id() for this channel
 * @submit: backend_submit(); answers in order of the calls
 * @list: backend_list_epochs() of this channel, in order with @submit
 * @now_ms: a monotonic clock
 * @timer: call agree_tick() in @delay_ms; replaces what was asked for before
 * @lost: the backend no longer has the channel (-ENOENT), or what it has is of no
 *        use any more (-ENODEV: the macsec device has gone)
 * @event: something happened; @epoch may be QKD_EPOCH_NONE
 */
struct agree_ops {
	int (*send)(void *arg, const struct kx_frame *frame);
	int (*secret)(void *arg, const void *context, size_t len, uint8_t secret[32]);
	int (*take)(void *arg, uint64_t min_epoch, pool_key_fn done, void *done_arg);
	int (*take_id)(void *arg, uint64_t epoch, const struct km_key_id *id, pool_key_fn done,
		       void *done_arg);
	int (*submit)(void *arg, uint32_t cmd, const void *record, backend_done_fn done,
		      void *done_arg);
	int (*list)(void *arg, backend_list_fn done, void *done_arg);
	uint64_t (*now_ms)(void *arg);
	void (*timer)(void *arg, uint64_t delay_ms);
	void (*lost)(void *arg, int err);
	void (*event)(void *arg, const char *type, uint64_t epoch, const char *text);
};

/**
 * struct agree_status - for listings
 * @waits: why there are no new keys
 * @peer_settled: last heard, 0 before
 * @error: last error, "" if none; as long as the agree lives
 */
struct agree_status {
	enum channel_waits waits;
	uint64_t peer_settled;
	const char *error;
};

/**
 * agree_create - the channel @config->id stands in the backend: begin
 * @up: whether the KM link is up already
 * Return: 0, -ENOMEM.
 */
int agree_create(const struct agree_config *config, const struct agree_ops *ops, void *arg, bool up,
		 struct agree **agree);

/** No op is called after this. Answers that are still to come are dropped, their keys wiped. */
void agree_destroy(struct agree *agree);

/* What happens around it. */
void agree_link_up(struct agree *agree);
void agree_link_down(struct agree *agree);
void agree_keys_ready(struct agree *agree);
void agree_tick(struct agree *agree);

/** An event of this channel from the backend. */
void agree_backend_event(struct agree *agree, const struct qkd_event *event);

/** Events were lost: read all epochs anew. */
void agree_resync(struct agree *agree);

/**
 * agree_frame - one of KX_EPOCH_OFFER to KX_CHANNEL_GONE for this channel
 * Return: 0, or -EPROTO: the peer breaks the protocol, the link is to be closed.
 */
int agree_frame(struct agree *agree, const struct kx_frame *frame);

void agree_status(const struct agree *agree, struct agree_status *status);

/**
 * agree_simulated - whether an SA that stands has a simulated key
 * @unknown: the answer for epochs that were put by an earlier process
 */
bool agree_simulated(const struct agree *agree, bool unknown);

#endif
