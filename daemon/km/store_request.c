// SPDX-License-Identifier: GPL-2.0-or-later
/* The store's requests: made and answered in the loop's thread. */
#include "km/secret.h"
#include "km/store_db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPEC_BYTES 65536

void store_request_free(struct store_request *request)
{
	if (!request)
		return;
	secret_free(request->keys);
	secret_free(request->found);
	store_request_free_channels(request);
	free(request->ids);
	free(request->spec);
	free(request);
}

/** A name of a link or channel; NULL: the request has none. -EINVAL. */
static int set_name(char field[QKD_NAME_BYTES], const char *name)
{
	size_t len = name ? strnlen(name, QKD_NAME_BYTES) : 0;

	if (name && (len == 0 || len == QKD_NAME_BYTES))
		return -EINVAL;
	if (name)
		memcpy(field, name, len);
	return 0;
}

/**
 * A new request.
 * @keys_max: room for this many keys
 * Return: 0, -EINVAL, -ENOMEM.
 */
static int request_new(const char *link, const char *channel, const struct km_key_id *ids,
		       size_t ids_count, size_t keys_max, struct store_request **result)
{
	struct store_request *request;
	int err = -ENOMEM;

	if (ids_count > STORE_BATCH_MAX || keys_max > STORE_BATCH_MAX)
		return -EINVAL;
	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	if (set_name(request->link, link) || set_name(request->channel, channel)) {
		err = -EINVAL;
		goto fail;
	}
	if (ids_count) {
		request->ids = reallocarray(NULL, ids_count, sizeof(*ids));
		if (!request->ids)
			goto fail;
		memcpy(request->ids, ids, ids_count * sizeof(*ids));
		request->ids_count = ids_count;
	}
	if (keys_max) {
		request->keys = secret_alloc(keys_max * sizeof(struct km_key));
		if (!request->keys)
			goto fail;
	}
	*result = request;
	return 0;
fail:
	store_request_free(request);
	return err;
}

static void answer_plain(struct store_request *request)
{
	if (request->done.plain)
		request->done.plain(request->arg, request->err);
}

static void answer_key(struct store_request *request)
{
	if (request->err)
		request->done.key(request->arg, request->err, 0, NULL);
	else
		request->done.key(request->arg, 0, request->epoch, request->keys);
}

static void answer_keys(struct store_request *request)
{
	request->done.keys(request->arg, request->err, request->err ? NULL : request->keys,
			   request->err ? 0 : request->keys_count);
}

static void answer_found(struct store_request *request)
{
	request->done.found(request->arg, request->err, request->err ? NULL : request->found,
			    request->err ? 0 : request->ids_count);
}

static void answer_counts(struct store_request *request)
{
	request->done.counts(request->arg, request->err, request->err ? NULL : &request->counts);
}

static void answer_peer(struct store_request *request)
{
	request->done.peer(request->arg, request->err, request->err ? 0 : request->discarded);
}

static void answer_channels(struct store_request *request)
{
	request->done.channels(request->arg, request->err, request->err ? NULL : request->channels,
			       request->err ? 0 : request->channels_count);
}

static int run_nothing(struct store_db *db, struct store_request *request)
{
	return 0;
}

int store_ping(struct store *store, store_done_fn done, void *arg)
{
	struct store_request *request;
	int err = request_new(NULL, NULL, NULL, 0, 0, &request);

	if (err)
		return err;
	request->run = run_nothing;
	request->answer = answer_plain;
	request->done.plain = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_add(struct store *store, const char *link, const struct km_key *keys, size_t count,
	      enum store_key_state state, store_done_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!link || count < 1 || (state != STORE_PENDING && state != STORE_READY))
		return -EINVAL;
	err = request_new(link, NULL, NULL, 0, count, &request);
	if (err)
		return err;
	memcpy(request->keys, keys, count * sizeof(*keys));
	request->keys_count = count;
	request->state = state;
	request->run = store_run_add;
	request->writes = true;
	request->answer = answer_plain;
	request->done.plain = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_set_state(struct store *store, const char *link, const struct km_key_id *ids,
		    size_t count, enum store_key_state state, store_done_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!link || count < 1 || (state != STORE_READY && state != STORE_DISCARDED))
		return -EINVAL;
	err = request_new(link, NULL, ids, count, 0, &request);
	if (err)
		return err;
	request->state = state;
	request->run = store_run_set_state;
	request->writes = true;
	request->answer = answer_plain;
	request->done.plain = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_find(struct store *store, const char *link, const struct km_key_id *ids, size_t count,
	       store_found_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!link || count < 1)
		return -EINVAL;
	err = request_new(link, NULL, ids, count, 0, &request);
	if (err)
		return err;
	request->found = secret_alloc(count * sizeof(*request->found));
	if (!request->found) {
		store_request_free(request);
		return -ENOMEM;
	}
	request->run = store_run_find;
	request->writes = true; /* what was changed on disk is discarded */
	request->answer = answer_found;
	request->done.found = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_take(struct store *store, const char *link, const char *channel, uint64_t min_epoch,
	       store_key_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!link || !channel)
		return -EINVAL;
	err = request_new(link, channel, NULL, 0, 1, &request);
	if (err)
		return err;
	request->min_epoch = min_epoch;
	request->run = store_run_take;
	request->writes = true;
	request->answer = answer_key;
	request->done.key = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_take_id(struct store *store, const char *link, const char *channel, uint64_t epoch,
		  const struct km_key_id *id, store_key_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!link || !channel)
		return -EINVAL;
	err = request_new(link, channel, id, 1, 1, &request);
	if (err)
		return err;
	request->epoch = epoch;
	request->run = store_run_take_id;
	request->writes = true;
	request->answer = answer_key;
	request->done.key = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_list(struct store *store, const char *link, enum store_key_state state, size_t max,
	       store_keys_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!link || max < 1 || state < STORE_PENDING || state > STORE_DISCARDED)
		return -EINVAL;
	if (max > STORE_BATCH_MAX)
		max = STORE_BATCH_MAX;
	err = request_new(link, NULL, NULL, 0, max, &request);
	if (err)
		return err;
	request->state = state;
	request->max = max;
	request->run = store_run_list;
	request->writes = true; /* what was changed on disk is discarded */
	request->answer = answer_keys;
	request->done.keys = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_peer(struct store *store, const char *link, const uint8_t peer[16], store_peer_fn done,
	       void *arg)
{
	struct store_request *request;
	int err;

	if (!link)
		return -EINVAL;
	err = request_new(link, NULL, NULL, 0, 0, &request);
	if (err)
		return err;
	memcpy(request->peer, peer, sizeof(request->peer));
	request->run = store_run_peer;
	request->writes = true;
	request->answer = answer_peer;
	request->done.peer = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_count(struct store *store, const char *link, store_counts_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!link)
		return -EINVAL;
	err = request_new(link, NULL, NULL, 0, 0, &request);
	if (err)
		return err;
	request->run = store_run_count;
	request->answer = answer_counts;
	request->done.counts = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_channel(struct store *store, const char *name, store_channels_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!name)
		return -EINVAL;
	err = request_new(NULL, name, NULL, 0, 0, &request);
	if (err)
		return err;
	request->run = store_run_channel;
	request->writes = true;
	request->answer = answer_channels;
	request->done.channels = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_channel_specs(struct store *store, store_channels_fn done, void *arg)
{
	struct store_request *request;
	int err = request_new(NULL, NULL, NULL, 0, 0, &request);

	if (err)
		return err;
	request->run = store_run_channel_specs;
	request->answer = answer_channels;
	request->done.channels = done;
	request->arg = arg;
	return store_submit(store, request);
}

int store_channel_set_spec(struct store *store, const char *name, const char *spec,
			   store_done_fn done, void *arg)
{
	struct store_request *request;
	int err;

	if (!name || (spec && strnlen(spec, SPEC_BYTES + 1) > SPEC_BYTES))
		return -EINVAL;
	err = request_new(NULL, name, NULL, 0, 0, &request);
	if (err)
		return err;
	if (spec) {
		request->spec = strdup(spec);
		if (!request->spec) {
			store_request_free(request);
			return -ENOMEM;
		}
	}
	request->run = store_run_channel_set_spec;
	request->writes = true;
	request->answer = answer_plain;
	request->done.plain = done;
	request->arg = arg;
	return store_submit(store, request);
}
