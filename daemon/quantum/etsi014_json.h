/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ETSI GS QKD 014 V1.1.1, clause 6: the data formats of a KME's answers, and
 * what we send. Pure code: no I/O. A KME's answer is a stranger's text; it is
 * checked field by field and fuzzed by tests/fuzz/fuzz_etsi014.c.
 *
 * Keys pass through jansson's memory: it is wiped when freed, by the allocator
 * that the first call here gives to jansson for the whole process.
 */
#ifndef QUANTUM_ETSI014_JSON_H
#define QUANTUM_ETSI014_JSON_H

#include "km/key.h"

#define ETSI014_KEYS_MAX 128 /* in one request, whatever the KME would give */
#define ETSI014_BODY_MAX (256 * 1024)
#define ETSI014_DEPTH	 16

/** Room for etsi014_write_key_ids() with @count IDs. */
#define ETSI014_KEY_IDS_SIZE(count) (32 + 54 * (size_t)(count))

/**
 * etsi014_parse_keys - clause 6.3, key container
 * @keys: filled, @max of them, in locked memory; wiped on error
 * @text: what is wrong, naming the field ("keys[3].key: ..."), never its value
 *
 * Each key must be 256 bits, each key_ID a UUID, none twice. A key is
 * simulated if its key_extension, or key_container_extension, has a member
 * whose name ends in "_simulated" and is true.
 * Return: 0 (@count may be 0), -EPROTO, -ENOMEM.
 */
int etsi014_parse_keys(const uint8_t *body, size_t len, struct km_key *keys, size_t max,
		       size_t *count, char *text, size_t text_len);

/**
 * struct etsi014_status - clause 6.1; what is missing is 0
 * @key_size: bits, default of the KME
 * @qber: member of status_extension ending in "_qber"; < 0: none
 * @skr_bps: likewise "_skr_bps"; < 0: none
 */
struct etsi014_status {
	uint64_t key_size;
	uint64_t stored_key_count;
	uint64_t max_key_count;
	uint64_t max_key_per_request;
	uint64_t max_key_size;
	uint64_t min_key_size;
	bool simulated;
	double qber;
	double skr_bps;
};

/** Return: 0, -EPROTO with @text, -ENOMEM. */
int etsi014_parse_status(const uint8_t *body, size_t len, struct etsi014_status *status, char *text,
			 size_t text_len);

/** Clause 6.5: the member "message", cut and made printable; "" if there is none. */
void etsi014_parse_error(const uint8_t *body, size_t len, char *message, size_t message_len);

/** Clause 6.2. Return: length. */
int etsi014_write_key_request(size_t number, char *body, size_t size);

/** Clause 6.4. Return: length or -ENOSPC. */
int etsi014_write_key_ids(const struct km_key_id *ids, size_t count, char *body, size_t size);

#endif
