/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kx, the KM link's protocol: frames on one TLS 1.3 connection between two
 * peer KMs, mutually authenticated. docs/kx.md is its specification; the names
 * follow ITU-T Q.4163, whose text we do not claim to follow.
 *
 * A frame is a header of 8 octets and a payload: length of the payload (u32),
 * type (u16), zero (u16), all big-endian. Pure code: no I/O, no allocation
 * beyond the caller's structures. Fuzzed by tests/fuzz/fuzz_kx_frame.c.
 */
#ifndef KM_KX_FRAME_H
#define KM_KX_FRAME_H

#include "km/key.h"

#define KX_VERSION	1
#define KX_HEADER_BYTES 8
#define KX_PAYLOAD_MAX	16384
#define KX_NAME_BYTES	32 /* names of nodes, links, channels: padded with NUL */
#define KX_CHECK_BYTES	16
#define KX_KEYS_MAX	128 /* keys in one announcement */
#define KX_EPOCHS_MAX	512 /* epochs in one channel state */
#define KX_TEXT_MAX	256

enum kx_type {
	KX_HELLO = 1, /* first, both ways */
	KX_PING = 2,
	KX_PONG = 3,
	KX_ERROR = 4,	       /* then the sender closes */
	KX_KEYS_ANNOUNCE = 16, /* initiator of a link: these keys are at your device */
	KX_KEYS_CONFIRM = 17,  /* responder: what became of each */
	KX_EPOCH_OFFER = 32,   /* initiator of a channel: epoch uses this key */
	KX_EPOCH_ANSWER = 33,  /* responder: inbound SA stands, or why not */
	KX_CHANNEL_STATE = 34, /* both: which inbound SAs stand here (watermark) */
	KX_CHANNEL_GONE = 35,  /* no such channel is configured here */
};

/** Answer codes in KX_KEYS_CONFIRM and KX_EPOCH_ANSWER. */
enum kx_status {
	KX_OK = 0,
	KX_NOT_FOUND = 1,  /* the device, or the pool, does not know the key ID */
	KX_MISMATCH = 2,   /* same key ID, other key bytes: the check differs */
	KX_STALE = 3,	   /* epoch or key was used before */
	KX_NO_CHANNEL = 4, /* not configured here, or with other parameters */
	KX_ROLE = 5,	   /* both ends are configured as initiator (or responder) */
	KX_BUSY = 6,	   /* no room now: offer it again later with a new epoch */
	KX_FAILED = 7,	   /* the kernel refused it */
	KX_RETRY = 8,	   /* the device could not be asked: announce it again later */
};
#define KX_STATUS_LAST KX_RETRY

/** kx_channel_state.role: what the sender is in the channel. */
enum kx_role {
	KX_INITIATOR = 1,
	KX_RESPONDER = 2,
};

/** kx_error.code: why the sender closes. */
enum kx_error_code {
	KX_ERROR_FRAME = 1,	/* malformed, or not allowed now */
	KX_ERROR_VERSION = 2,	/* hello.version is not spoken here */
	KX_ERROR_NAME = 3,	/* hello.node is not in the certificate, or not configured */
	KX_ERROR_DUPLICATE = 4, /* another connection between the two stays */
	KX_ERROR_STORE = 5,	/* both ends have the same store: it was copied */
	KX_ERROR_INTERNAL = 6,	/* the sender cannot go on */
};

/**
 * Types that a receiver which does not know them passes over, so that what is
 * added here goes to peers of any version. Of the others an unknown one is an
 * error: they are sent only to a peer whose features say that it knows them.
 */
#define KX_IGNORABLE_FIRST 0x80
#define KX_IGNORABLE_LAST  0xff

/** hello.features: bits that this version knows, and sends. None so far. */
#define KX_FEATURES 0

struct kx_header {
	uint32_t length;
	uint16_t type;
};

/**
 * struct kx_hello
 * @features: what the sender understands beyond version 1; unknown bits mean nothing
 * @node: our name
 * @store: random UUID of our key store
 */
struct kx_hello {
	uint16_t version;
	uint16_t features;
	char node[KX_NAME_BYTES];
	uint8_t store[16];
};

/** KX_PING and KX_PONG: @token comes back. */
struct kx_ping {
	uint64_t token;
};

struct kx_error {
	uint16_t code;
	char text[KX_TEXT_MAX];
};

/** @check: km_key_check() of each key, so that other bytes are noticed. */
struct kx_keys_announce {
	char link[KX_NAME_BYTES];
	uint16_t count;
	struct {
		struct km_key_id id;
		uint8_t check[KX_CHECK_BYTES];
	} key[KX_KEYS_MAX];
};

struct kx_keys_confirm {
	char link[KX_NAME_BYTES];
	uint16_t count;
	struct {
		struct km_key_id id;
		uint8_t status; /* enum kx_status */
	} key[KX_KEYS_MAX];
};

/** @digest: of the channel's parameters, equal at both ends (unp/channel.h) */
struct kx_epoch_offer {
	char channel[KX_NAME_BYTES];
	uint8_t digest[16];
	uint64_t epoch;
	struct km_key_id key_id;
};

/** @next: lowest epoch that the responder would take, for KX_STALE */
struct kx_epoch_answer {
	char channel[KX_NAME_BYTES];
	uint64_t epoch;
	uint64_t next;
	uint8_t status; /* enum kx_status */
};

/**
 * struct kx_channel_state - the sender's side of a channel
 * @digest: see struct kx_epoch_offer
 * @settled: every epoch below it either is in @epoch or will never stand here
 * @out: epoch that the sender encrypts with, or QKD_EPOCH_NONE
 * @role: enum kx_role of the sender
 * @count: inbound SAs that stand at the sender
 * @epoch: which, ascending
 */
struct kx_channel_state {
	char channel[KX_NAME_BYTES];
	uint8_t digest[16];
	uint64_t settled;
	uint64_t out;
	uint8_t role;
	uint16_t count;
	uint64_t epoch[KX_EPOCHS_MAX];
};

struct kx_channel_gone {
	char channel[KX_NAME_BYTES];
};

/** Any frame, decoded. */
struct kx_frame {
	enum kx_type type;
	union {
		struct kx_hello hello;
		struct kx_ping ping;
		struct kx_error error;
		struct kx_keys_announce announce;
		struct kx_keys_confirm confirm;
		struct kx_epoch_offer offer;
		struct kx_epoch_answer answer;
		struct kx_channel_state state;
		struct kx_channel_gone gone;
	};
};

/** Whether a frame of @type is passed over: unknown here, and meant to be ignored then. */
bool kx_type_ignored(uint16_t type);

/**
 * Reads a header. -EPROTO: reserved field not zero, or a type that is neither
 * known nor kx_type_ignored(); -EMSGSIZE: too long.
 */
int kx_header_decode(const uint8_t octets[KX_HEADER_BYTES], struct kx_header *header);

/**
 * kx_frame_decode - reads a payload
 * Return: 0, or -EPROTO with a sentence in @error that names field and value.
 * Checked: exact length, counts, names (NUL-terminated, printable, not empty,
 * zero-padded), epochs ascending, known status codes.
 */
int kx_frame_decode(const struct kx_header *header, const uint8_t *payload, struct kx_frame *frame,
		    char *error, size_t error_len);

/** Writes header and payload. Return: length, or -EMSGSIZE, -EINVAL. */
int kx_frame_encode(const struct kx_frame *frame, uint8_t *octets, size_t size);

#endif
