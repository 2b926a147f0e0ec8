// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether keys that the kernel holds are simulated; see mark.h. */
#include "unp/mark.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call {
	struct store *store;
	char link[QKD_NAME_BYTES];
	mark_fn done;
	void *arg;
};

static void end(struct call *call, int err, bool simulated)
{
	call->done(call->arg, err, simulated);
	free(call);
}

static void keys_found(void *arg, int err, const struct store_found *found, size_t count)
{
	bool simulated = false;
	size_t i;

	for (i = 0; i < count && !err; i++)
		if (found[i].state && found[i].key.simulated)
			simulated = true;
	end(arg, err, simulated);
}

static int find_keys(struct call *call, const struct qkd_epoch *epochs, size_t count)
{
	struct km_key_id *ids;
	size_t i;
	int err;

	if (count > STORE_BATCH_MAX)
		return -E2BIG;
	ids = calloc(count, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		memcpy(ids[i].octet, epochs[i].key_id, sizeof(ids[i].octet));
	err = store_find(call->store, call->link, ids, count, keys_found, call);
	free(ids);
	return err;
}

static void epochs_came(void *arg, int err, const void *records, size_t count)
{
	struct call *call = arg;

	if (!err && count)
		err = find_keys(call, records, count);
	if (err || !count)
		end(call, err, false);
}

int mark_ask(struct backend *backend, struct store *store, uint32_t channel, const char *link,
	     mark_fn done, void *arg)
{
	struct call *call = calloc(1, sizeof(*call));
	int err;

	if (!call)
		return -ENOMEM;
	call->store = store;
	call->done = done;
	call->arg = arg;
	snprintf(call->link, sizeof(call->link), "%s", link);
	err = backend_list_epochs(backend, channel, epochs_came, call);
	if (err)
		free(call);
	return err;
}
