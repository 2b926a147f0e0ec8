/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a QKD key to the material of one epoch: HKDF-SHA256 (RFC 5869), the
 * same at both ends of the channel. docs/key-life-cycle.md has the layout.
 *
 *   IKM  = len16 || QKD key [ || len16 || secret of the KM link's TLS session ]
 *   salt = empty (so: 32 zero octets, RFC 5869 clause 2.2)
 *   info = label || channel || epoch64 || sender8 || cipher8 || combine8 || purpose8
 *
 * Integers are big-endian, the channel's name is padded with NUL to 32 octets.
 * The sender is the link's initiator or its responder, so that what one end
 * derives as outbound is what the other derives as inbound, and the two
 * directions never share key or salt.
 */
#ifndef UNP_DERIVE_H
#define UNP_DERIVE_H

#include "config/config.h"
#include <linux/qkd.h>

#define DERIVE_SECRET_BYTES 32

/**
 * struct derive - what the material is bound to
 * @channel: its name, at most 31 octets
 * @epoch: which epoch the key serves
 * @cipher: decides how many salt octets there are
 * @combine: whether @secret is mixed in
 * @initiator: whether this end is the link's initiator
 * @secret: DERIVE_SECRET_BYTES of kx_session_secret() for CONFIG_COMBINE_QKD_TLS,
 *          else NULL
 */
struct derive {
	const char *channel;
	uint64_t epoch;
	enum qkd_cipher cipher;
	enum config_combine combine;
	bool initiator;
	const uint8_t *secret;
};

/**
 * derive_material - fills @in and @out
 * @key: the QKD key, @key_len octets: exactly QKD_KEY_BYTES
 *
 * Return: 0; -EKEYREJECTED: a short, long or all-zero key or secret (nothing
 * fails open); -EINVAL: a parameter is out of range; -EIO: OpenSSL.
 * After an error @in and @out are all zero. Both are the caller's to wipe.
 */
int derive_material(const struct derive *derive, const uint8_t *key, size_t key_len,
		    struct qkd_material *in, struct qkd_material *out);

#endif
