// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Key sources: what is common to all kinds. Keeps what the source told of
 * itself, and marks its keys as simulated if it said so.
 */
#include "quantum/source.h"

#include "km/secret.h"
#include "quantum/etsi014.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
	struct etsi014 *client;
	struct source_status status;
	bool getting; /* source_get_keys() is under way */
};

/** A caller that waits. */
struct waiter {
	struct source *source;
	bool gets; /* source_get_keys() */
	source_keys_fn keys;
	void (*refreshed)(void *arg, int err);
	void *arg;
};

int source_create(struct loop *loop, const struct config_link *link, struct source **result,
		  char *error, size_t error_len)
{
	struct source *source = calloc(1, sizeof(*source));
	char what[400];
	int err;

	*result = NULL;
	if (!source) {
		snprintf(error, error_len, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	source->status.qber = -1;
	source->status.skr_bps = -1;
	source->status.last_error = -EINPROGRESS;
	snprintf(source->status.last_error_text, sizeof(source->status.last_error_text),
		 "not asked yet");
	err = etsi014_create(loop, &link->source, &source->client, what, sizeof(what));
	if (err) {
		snprintf(error, error_len, "link %s: source: %s", link->name, what);
		free(source);
		return err;
	}
	*result = source;
	return 0;
}

void source_destroy(struct source *source)
{
	if (!source)
		return;
	etsi014_destroy(source->client);
	free(source);
}

const struct source_status *source_status(const struct source *source)
{
	return &source->status;
}

/** Keeps how the last call went, for listings. */
static void note(struct source *source, const struct etsi014_answer *answer)
{
	struct source_status *status = &source->status;

	if (answer->err == -ECANCELED)
		return;
	status->reachable = answer->http != 0;
	/* That there is no such key says nothing about the device. */
	status->last_error = answer->err == -ENOENT ? 0
			     : answer->err ? (answer->http > 200 ? answer->http : answer->err)
					   : 0;
	snprintf(status->last_error_text, sizeof(status->last_error_text), "%.*s",
		 (int)sizeof(status->last_error_text) - 1,
		 status->last_error && answer->text ? answer->text : "");
}

static struct waiter *waiter_new(struct source *source, void *arg)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return NULL;
	waiter->source = source;
	waiter->arg = arg;
	return waiter;
}

/** Hands on keys of a source that says it is simulated, marked. */
static void hand_on_marked(const struct waiter *waiter, const struct etsi014_answer *answer)
{
	struct km_key *keys = secret_alloc(answer->count * sizeof(*keys));

	if (!keys) {
		waiter->keys(waiter->arg, -ENOMEM, NULL, 0, "out of locked memory");
		return;
	}
	memcpy(keys, answer->keys, answer->count * sizeof(*keys));
	for (size_t i = 0; i < answer->count; i++)
		keys[i].simulated = true;
	waiter->keys(waiter->arg, 0, keys, answer->count, NULL);
	secret_free(keys);
}

static void on_keys(void *arg, const struct etsi014_answer *answer)
{
	struct waiter *waiter = arg;
	struct source *source = waiter->source;

	note(source, answer);
	if (waiter->gets)
		source->getting = false; /* before the call: it may ask again */
	if (answer->err)
		waiter->keys(waiter->arg, answer->err, NULL, 0, answer->text);
	else if (source->status.simulated)
		hand_on_marked(waiter, answer);
	else
		waiter->keys(waiter->arg, 0, answer->keys, answer->count, NULL);
	free(waiter);
}

int source_get_keys(struct source *source, size_t count, source_keys_fn done, void *arg)
{
	struct waiter *waiter;
	int err;

	if (source->getting)
		return -EBUSY;
	if (source->status.max_per_request && count > source->status.max_per_request)
		count = source->status.max_per_request;
	if (count > ETSI014_KEYS_MAX)
		count = ETSI014_KEYS_MAX;
	waiter = waiter_new(source, arg);
	if (!waiter)
		return -ENOMEM;
	waiter->keys = done;
	waiter->gets = true;
	source->getting = true;
	err = etsi014_enc_keys(source->client, count, on_keys, waiter);
	if (err) {
		source->getting = false;
		free(waiter);
	}
	return err;
}

int source_get_keys_by_id(struct source *source, const struct km_key_id *ids, size_t count,
			  source_keys_fn done, void *arg)
{
	struct waiter *waiter;
	int err;

	if (source->status.max_per_request && count > source->status.max_per_request)
		return -E2BIG;
	waiter = waiter_new(source, arg);
	if (!waiter)
		return -ENOMEM;
	waiter->keys = done;
	err = etsi014_dec_keys(source->client, ids, count, on_keys, waiter);
	if (err)
		free(waiter);
	return err;
}

static void on_status(void *arg, const struct etsi014_answer *answer)
{
	struct waiter *waiter = arg;
	struct source_status *status = &waiter->source->status;

	note(waiter->source, answer);
	if (answer->status) {
		status->simulated = answer->status->simulated;
		status->stored_keys = answer->status->stored_key_count;
		status->key_bits = (uint32_t)answer->status->key_size;
		status->max_per_request = answer->status->max_key_per_request > ETSI014_KEYS_MAX
						  ? ETSI014_KEYS_MAX
						  : (uint32_t)answer->status->max_key_per_request;
		status->qber = answer->status->qber;
		status->skr_bps = answer->status->skr_bps;
	}
	if (waiter->refreshed)
		waiter->refreshed(waiter->arg, answer->err);
	free(waiter);
}

int source_refresh(struct source *source, void (*done)(void *arg, int err), void *arg)
{
	struct waiter *waiter = waiter_new(source, arg);
	int err;

	if (!waiter)
		return -ENOMEM;
	waiter->refreshed = done;
	err = etsi014_get_status(source->client, on_status, waiter);
	if (err)
		free(waiter);
	return err;
}
