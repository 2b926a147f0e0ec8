/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a channel needs of IPsec or MACsec. All are called under the channel's
 * lock, may sleep, and are told of each epoch in this order: install, then
 * activate at most once, remove of either direction, release.
 */
#ifndef QKD_BACKEND_H
#define QKD_BACKEND_H

#include "qkd_uapi.h"

struct qkd_chan;
struct xfrm_state;

/**
 * struct qkd_sent - what a macsec device has sent
 * @packets: frames
 * @bytes: their octets
 */
struct qkd_sent {
	u64 packets;
	u64 bytes;
};

/**
 * struct qkd_sa - the security associations of one epoch
 * @epoch: its number
 * @key_id: UUID of the QKD key
 * @in: ESP: inbound state, or NULL; a reference is held
 * @out: ESP: outbound state, or NULL; a reference is held
 * @queued: MACsec: the material of an epoch that waits for its number, else NULL
 * @failed: it could not be installed when its number was free
 * @counting: MACsec: the outbound SA is in use
 * @sent: MACsec: while it is, what the device had sent before; then what it sent meanwhile
 */
struct qkd_sa {
	u64 epoch;
	u8 key_id[QKD_KEY_ID_BYTES];
	struct xfrm_state *in;
	struct xfrm_state *out;
	struct qkd_key *queued;
	bool failed;
	bool counting;
	struct qkd_sent sent;
};

/**
 * struct qkd_backend - IPsec or MACsec
 * @open: the channel begins. Return: 0 or a status of QKD_CMD_CHANNEL_ADD
 * @close: it ends; all SAs are released
 * @install: inbound SA into use, outbound SA built but not in use; @key is the
 *           caller's, who wipes it. Return: 0 or negative errno, nothing stands
 * @activate: encrypt with @sa from now on; @old, which was in use until now,
 *            stays usable for what is on its way, or is NULL
 * @remove: the inbound or the outbound SA goes. Return: 0 if it is gone, or was
 *          before; a negative errno: it may still stand, to be tried again
 * @stands: whether the inbound or, if it was activated, the outbound SA is
 *          still there, for all that others may have done
 * @limit: which limits @sa, in use outbound, has reached: QKD_NEWS_SOFT, _HARD or
 *         0
 * @offer: @sa is to be activated by a soft limit of the one in use itself, not before
 *         @from; or NULL
 * @withdraw: undoes @offer. Return: whether @sa was activated meanwhile
 * @waits: its steps wait for others: time passes
 * @silent: nobody tells of limits: the backend is to be asked
 * @report: fills the backend's part of a listing; @r->out is set
 */
struct qkd_backend {
	int (*open)(struct qkd_chan *c);
	void (*close)(struct qkd_chan *c);
	int (*install)(struct qkd_chan *c, const struct qkd_key *key, struct qkd_sa *sa);
	int (*activate)(struct qkd_chan *c, struct qkd_sa *sa, struct qkd_sa *old);
	int (*remove)(struct qkd_chan *c, struct qkd_sa *sa, bool out);
	bool (*stands)(struct qkd_chan *c, const struct qkd_sa *sa, bool out);
	unsigned int (*limit)(struct qkd_chan *c, const struct qkd_sa *sa);
	void (*offer)(struct qkd_chan *c, struct qkd_sa *sa, u64 from);
	bool (*withdraw)(struct qkd_chan *c);
	bool waits;
	bool silent;
	void (*report)(struct qkd_chan *c, const struct qkd_sa *sa, struct qkd_epoch *r);
};

#endif
