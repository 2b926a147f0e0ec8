/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ETSI GS QKD 014 V1.1.1 client: the calls of clause 5 to one KME, over HTTPS
 * with mutual authentication.
 */
#ifndef QUANTUM_ETSI014_H
#define QUANTUM_ETSI014_H

#include "config/config.h"
#include "loop/loop.h"
#include "quantum/etsi014_json.h"

struct etsi014;

/** A KME's address, out of "https://HOST[:PORT]". */
struct etsi014_url {
	char host[256]; /* without the brackets of an IPv6 address */
	uint16_t port;	/* default 443 */
};

/** Return: 0, or -EINVAL with a sentence in @error. */
int etsi014_url_parse(const char *text, struct etsi014_url *url, char *error, size_t error_len);

/**
 * struct etsi014_answer - how a call ended
 * @err: 0; -EAGAIN (HTTP 503, or no keys); -EACCES (401, 403); -ENOENT
 *       (dec_keys: 400 or 404, the KME does not know a key ID); -EPROTO
 *       (malformed answer, another 4xx); -EREMOTEIO (another 5xx); -ECANCELED
 *       (etsi014_destroy()); or why no answer came (-ETIMEDOUT, -ECONNREFUSED)
 * @http: HTTP status, 0 if no answer came
 * @text: sentence for people that names the KME, NULL if @err is 0
 * @keys: of enc_keys and dec_keys (there in the order asked for); wiped after
 *        the call
 * @status: of status
 */
struct etsi014_answer {
	int err;
	int http;
	const char *text;
	const struct km_key *keys;
	size_t count;
	const struct etsi014_status *status;
};
typedef void (*etsi014_fn)(void *arg, const struct etsi014_answer *answer);

/** @source: copied where needed. @error: gets a sentence that names file or field. */
int etsi014_create(struct loop *loop, const struct config_source *source, struct etsi014 **client,
		   char *error, size_t error_len);

/** Calls that wait are answered with -ECANCELED before it returns. */
void etsi014_destroy(struct etsi014 *client);

/* Calls are sent in order, one at a time; at most 64 wait: -EAGAIN, -EINVAL, -ENOMEM. */

/** Clause 5.2 "get key": @number (1 to ETSI014_KEYS_MAX) keys of 256 bits; fewer may come. */
int etsi014_enc_keys(struct etsi014 *client, size_t number, etsi014_fn done, void *arg);

/** Clause 5.3 "get key with key IDs": all of them, or an error. */
int etsi014_dec_keys(struct etsi014 *client, const struct km_key_id *ids, size_t count,
		     etsi014_fn done, void *arg);

/** Clause 5.1 "get status". */
int etsi014_get_status(struct etsi014 *client, etsi014_fn done, void *arg);

#endif
