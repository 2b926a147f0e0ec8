/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON of ETSI GS QKD 014 V1.1.1, clause 6, as a KME reads and writes it. */
#ifndef QKDSIM_KME_JSON_H
#define QKDSIM_KME_JSON_H

#include "link.h"
#include <jansson.h>

#define KME_MIN_KEY_BITS 64
#define KME_MAX_KEY_BITS (LINK_KEY_OCTETS_MAX * 8)

/** Makes jansson wipe what it frees; call it once, first. */
void kme_json_init(void);

/** struct key_request - clause 6.2; @number, @bits: 0 if not given */
struct key_request {
	unsigned int number;
	unsigned int bits;
};

/** struct key_ids - clause 6.4 */
struct key_ids {
	unsigned int count;
	struct km_key_id id[LINK_REQUEST_MAX];
};

/* Each returns NULL, or the sentence for the 400 that answers a bad request. */
const char *kme_read_key_request(const uint8_t *body, size_t len, struct key_request *request);
const char *kme_read_key_query(const char *query, struct key_request *request);
const char *kme_read_key_ids(const uint8_t *body, size_t len, struct key_ids *ids);
const char *kme_read_key_id_query(const char *query, struct key_ids *ids);

/** Clause 6.3, key container; every key says that it is simulated. NULL: out of memory. */
json_t *kme_write_keys(const struct sim_key *keys, unsigned int count);

/** Clause 6.5, error. */
json_t *kme_write_error(const char *message);

/** The extension of clause 6.1, status: link, QBER, SKR. */
json_t *kme_write_link(const struct link *link);

#endif
