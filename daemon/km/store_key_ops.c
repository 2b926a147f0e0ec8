// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the store does with keys. Each function runs inside a transaction that
 * the caller commits before anybody hears of the result, or rolls back.
 */
#include "km/store_db.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SEAL_CONTEXT[] = "qkdkeyd store key";
#define SEALED_BYTES (QKD_KEY_BYTES + SEAL_EXTRA_BYTES)

/** What a sealed value is bound to: no row can lend its value to another. */
struct context {
	char label[sizeof(SEAL_CONTEXT)];
	uint8_t store[16];
	struct km_key_id id;
	int64_t link;
	uint8_t simulated;
} __attribute__((packed));

static void make_context(const struct store_db *db, int64_t link, const struct km_key *key,
			 struct context *context)
{
	memcpy(context->label, SEAL_CONTEXT, sizeof(context->label));
	memcpy(context->store, db->id, sizeof(context->store));
	context->id = key->id;
	context->link = link;
	context->simulated = key->simulated;
}

/* -------- rows -------- */

/** A row of keys. @whole: @sealed has a value's length. */
struct row {
	int64_t seq;
	int64_t link;
	enum store_key_state state;
	uint8_t sealed[SEALED_BYTES];
	bool has_sealed;
	bool whole;
};

/** ID of the link's row; with @make it is made. -ENOENT. */
static int link_row(struct store_db *db, const char *name, bool make, int64_t *link)
{
	sqlite3_stmt *find = db->sql[SQL_LINK_FIND], *add = db->sql[SQL_LINK_ADD];
	int result, err = 0;

	sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
	result = sqlite3_step(find);
	if (result == SQLITE_ROW)
		*link = sqlite3_column_int64(find, 0);
	else
		err = result == SQLITE_DONE ? -ENOENT : store_db_error(db, result);
	sqlite3_reset(find);
	if (err != -ENOENT || !make)
		return err;
	sqlite3_bind_text(add, 1, name, -1, SQLITE_STATIC);
	err = store_db_finish(db, add);
	*link = sqlite3_last_insert_rowid(db->sqlite);
	return err;
}

/** Changes of a link's counts, gathered over one request. */
struct delta {
	int64_t by_state[STORE_DISCARDED + 1];
	int64_t simulated;
};

static void delta_move(struct delta *delta, int from, int to, bool simulated)
{
	if (from)
		delta->by_state[from]--;
	if (to)
		delta->by_state[to]++;
	if (!simulated)
		return;
	if (from == STORE_PENDING || from == STORE_READY)
		delta->simulated--;
	if (to == STORE_PENDING || to == STORE_READY)
		delta->simulated++;
}

static int delta_write(struct store_db *db, int64_t link, const struct delta *delta)
{
	sqlite3_stmt *stmt = db->sql[SQL_LINK_COUNT];

	sqlite3_bind_int64(stmt, 1, link);
	for (int state = STORE_PENDING; state <= STORE_DISCARDED; state++)
		sqlite3_bind_int64(stmt, 1 + state, delta->by_state[state]);
	sqlite3_bind_int64(stmt, 6, delta->simulated);
	return store_db_finish(db, stmt);
}

/** Copies the row under @stmt; its value stays sealed. */
static int read_row(struct store_db *db, sqlite3_stmt *stmt, struct row *row, struct km_key *key)
{
	memset(key, 0, sizeof(*key));
	row->seq = sqlite3_column_int64(stmt, 0);
	row->link = sqlite3_column_int64(stmt, 2);
	row->state = (enum store_key_state)sqlite3_column_int(stmt, 3);
	key->simulated = sqlite3_column_int(stmt, 4) != 0;
	row->has_sealed = sqlite3_column_type(stmt, 5) != SQLITE_NULL;
	if (sqlite3_column_bytes(stmt, 1) != sizeof(key->id))
		return store_db_error(db, SQLITE_CORRUPT);
	memcpy(&key->id, sqlite3_column_blob(stmt, 1), sizeof(key->id));
	row->whole = row->has_sealed && sqlite3_column_bytes(stmt, 5) == SEALED_BYTES;
	if (row->whole)
		memcpy(row->sealed, sqlite3_column_blob(stmt, 5), SEALED_BYTES);
	return 0;
}

/** Opens the value of @row. -EBADMSG: it is not what we sealed. */
static int open_row(struct store_db *db, const struct row *row, struct km_key *key)
{
	struct context context;
	char text[KM_KEY_ID_TEXT];
	int err = -EBADMSG;

	if (!row->has_sealed)
		return err;
	make_context(db, row->link, key, &context);
	if (row->whole)
		err = seal_open(db->seal, &context, sizeof(context), row->sealed, SEALED_BYTES,
				key->value);
	if (err) {
		km_key_id_format(&key->id, text);
		log_limited(LOG_LEVEL_ERR, &db->complaints,
			    "store %s: the value of key %s was changed on disk: discarded",
			    db->path, text);
	}
	return err;
}

/** The row of @id. -ENOENT. */
static int find_row(struct store_db *db, const struct km_key_id *id, struct row *row,
		    struct km_key *key)
{
	sqlite3_stmt *stmt = db->sql[SQL_KEY_FIND];
	int result, err = -ENOENT;

	sqlite3_bind_blob(stmt, 1, id, sizeof(*id), SQLITE_STATIC);
	result = sqlite3_step(stmt);
	if (result == SQLITE_ROW)
		err = read_row(db, stmt, row, key);
	else if (result != SQLITE_DONE)
		err = store_db_error(db, result);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return err;
}

/** Ends an unused key's life: its value goes. @channel NULL: DISCARDED, else USED. */
static int end_row(struct store_db *db, const struct row *row,
		   const struct store_channel_row *channel, uint64_t epoch)
{
	sqlite3_stmt *stmt = db->sql[SQL_KEY_END];

	sqlite3_bind_int64(stmt, 1, row->seq);
	sqlite3_bind_int(stmt, 2, channel ? STORE_USED : STORE_DISCARDED);
	if (channel) {
		sqlite3_bind_int64(stmt, 3, channel->id);
		sqlite3_bind_int64(stmt, 4, (int64_t)epoch);
	}
	return store_db_finish(db, stmt);
}

/** A row whose value was changed on disk: it must not count as a key any more. */
static int discard_damaged(struct store_db *db, const struct row *row, const struct km_key *key,
			   struct delta *delta)
{
	int err = end_row(db, row, NULL, 0);

	if (!err)
		delta_move(delta, row->state, STORE_DISCARDED, key->simulated);
	return err;
}

/* -------- requests -------- */

static int add_key(struct store_db *db, int64_t link, enum store_key_state state,
		   const struct km_key *key, struct delta *delta)
{
	sqlite3_stmt *stmt = db->sql[SQL_KEY_ADD];
	uint8_t sealed[SEALED_BYTES];
	struct context context;
	int err;

	make_context(db, link, key, &context);
	err = seal_value(db->seal, &context, sizeof(context), key->value, sizeof(key->value),
			 sealed);
	if (err)
		return err;
	sqlite3_bind_blob(stmt, 1, &key->id, sizeof(key->id), SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, link);
	sqlite3_bind_int(stmt, 3, state);
	sqlite3_bind_int(stmt, 4, key->simulated);
	sqlite3_bind_blob(stmt, 5, sealed, sizeof(sealed), SQLITE_STATIC);
	err = store_db_finish(db, stmt);
	if (!err && sqlite3_changes(db->sqlite) == 1)
		delta_move(delta, 0, state, key->simulated);
	return err;
}

int store_run_add(struct store_db *db, struct store_request *request)
{
	struct delta delta = {0};
	int64_t link;
	int err = link_row(db, request->link, true, &link);

	for (size_t i = 0; !err && i < request->keys_count; i++)
		err = add_key(db, link, request->state, &request->keys[i], &delta);
	return err ? err : delta_write(db, link, &delta);
}

static int set_key_state(struct store_db *db, int64_t link, const struct km_key_id *id,
			 enum store_key_state state, struct delta *delta)
{
	struct km_key key;
	struct row row;
	int err = find_row(db, id, &row, &key);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (row.link != link || row.state >= STORE_USED || row.state == state)
		return 0;
	if (state == STORE_READY) {
		sqlite3_bind_int64(db->sql[SQL_KEY_READY], 1, row.seq);
		err = store_db_finish(db, db->sql[SQL_KEY_READY]);
	} else {
		err = end_row(db, &row, NULL, 0);
	}
	if (!err)
		delta_move(delta, row.state, state, key.simulated);
	return err;
}

int store_run_set_state(struct store_db *db, struct store_request *request)
{
	struct delta delta = {0};
	int64_t link;
	int err = link_row(db, request->link, false, &link);

	if (err)
		return err == -ENOENT ? 0 : err;
	for (size_t i = 0; !err && i < request->ids_count; i++)
		err = set_key_state(db, link, &request->ids[i], request->state, &delta);
	return err ? err : delta_write(db, link, &delta);
}

static int find_key(struct store_db *db, int64_t link, const struct km_key_id *id,
		    struct store_found *found, struct delta *delta)
{
	struct row row;
	int err;

	memset(found, 0, sizeof(*found));
	err = find_row(db, id, &row, &found->key);
	if (err) {
		found->key.id = *id;
		return err == -ENOENT ? 0 : err;
	}
	found->state = row.state;
	found->other_link = row.link != link;
	if (found->other_link || !row.has_sealed)
		return 0;
	err = open_row(db, &row, &found->key);
	if (err == -EBADMSG) {
		found->state = STORE_DISCARDED;
		err = discard_damaged(db, &row, &found->key, delta);
	}
	return err;
}

int store_run_find(struct store_db *db, struct store_request *request)
{
	struct delta delta = {0};
	int64_t link = -1;
	int err = link_row(db, request->link, false, &link);

	if (err == -ENOENT)
		err = 0; /* no key has this link; but each may have another */
	for (size_t i = 0; !err && i < request->ids_count; i++)
		err = find_key(db, link, &request->ids[i], &request->found[i], &delta);
	return err || !delta.by_state[STORE_DISCARDED] ? err : delta_write(db, link, &delta);
}

/** The oldest READY key that opens; those that do not are discarded. -ENOKEY. */
static int oldest_ready(struct store_db *db, int64_t link, struct row *row, struct km_key *key,
			struct delta *delta)
{
	sqlite3_stmt *stmt = db->sql[SQL_KEY_OLDEST];
	int result, err;

	do {
		sqlite3_bind_int64(stmt, 1, link);
		result = sqlite3_step(stmt);
		if (result == SQLITE_ROW)
			err = read_row(db, stmt, row, key);
		else
			err = result == SQLITE_DONE ? -ENOKEY : store_db_error(db, result);
		sqlite3_reset(stmt);
		if (err)
			return err;
		err = open_row(db, row, key);
		if (err == -EBADMSG && discard_damaged(db, row, key, delta))
			return -EIO;
	} while (err == -EBADMSG);
	return err;
}

/** Marks @row as used for @epoch, for ever. */
static int spend(struct store_db *db, const struct row *row,
		 const struct store_channel_row *channel, uint64_t epoch)
{
	int err;

	if (epoch > STORE_EPOCH_MAX)
		return -ERANGE;
	err = store_channel_spend(db, channel, epoch);
	return err ? err : end_row(db, row, channel, epoch);
}

int store_run_take(struct store_db *db, struct store_request *request)
{
	struct km_key *key = request->keys;
	struct store_channel_row channel;
	struct delta delta = {0};
	uint64_t epoch;
	struct row row;
	int64_t link;
	int err, written;

	err = link_row(db, request->link, false, &link);
	if (err)
		return err == -ENOENT ? -ENOKEY : err;
	err = oldest_ready(db, link, &row, key, &delta);
	if (!err)
		err = store_channel_row(db, request->channel, &channel);
	if (!err) {
		epoch = request->min_epoch > channel.next_epoch ? request->min_epoch
								: channel.next_epoch;
		err = spend(db, &row, &channel, epoch);
	}
	if (!err) {
		request->epoch = epoch;
		delta_move(&delta, STORE_READY, STORE_USED, key->simulated);
	}
	if (err && err != -ENOKEY)
		return err;
	written = delta_write(db, link, &delta);
	return written ? written : err;
}

int store_run_take_id(struct store_db *db, struct store_request *request)
{
	struct km_key *key = request->keys;
	struct store_channel_row channel;
	struct delta delta = {0};
	struct row row;
	int64_t link;
	int err;

	err = link_row(db, request->link, false, &link);
	if (!err)
		err = find_row(db, request->ids, &row, key);
	if (err)
		return err == -ENOENT ? -ENOKEY : err;
	if (row.link != link || row.state == STORE_PENDING || row.state == STORE_DISCARDED)
		return -ENOKEY;
	if (row.state == STORE_USED)
		return -ESTALE;
	err = store_channel_row(db, request->channel, &channel);
	if (err)
		return err;
	if (request->epoch < channel.next_epoch)
		return -ESTALE;
	err = open_row(db, &row, key);
	if (err == -EBADMSG) {
		err = discard_damaged(db, &row, key, &delta);
		if (!err)
			err = delta_write(db, link, &delta);
		return err ? err : -ENOKEY;
	}
	if (!err)
		err = spend(db, &row, &channel, request->epoch);
	if (err)
		return err;
	delta_move(&delta, STORE_READY, STORE_USED, key->simulated);
	return delta_write(db, link, &delta);
}

/** One row of a list. Return: 0, -EBADMSG (damaged, and written to @damaged), -EIO, ... */
static int list_row(struct store_db *db, sqlite3_stmt *stmt, struct km_key *key,
		    struct km_key_id *damaged)
{
	struct row row;
	int err = read_row(db, stmt, &row, key);

	if (!err && row.has_sealed)
		err = open_row(db, &row, key);
	if (err == -EBADMSG)
		*damaged = key->id;
	return err;
}

/** The rows that did not open, once the list is read. */
static int discard_listed(struct store_db *db, int64_t link, const struct km_key_id *damaged,
			  size_t count)
{
	struct delta delta = {0};
	int err = 0;

	for (size_t i = 0; !err && i < count; i++)
		err = set_key_state(db, link, &damaged[i], STORE_DISCARDED, &delta);
	return err || !count ? err : delta_write(db, link, &delta);
}

int store_run_list(struct store_db *db, struct store_request *request)
{
	struct km_key_id *damaged = reallocarray(NULL, request->max, sizeof(*damaged));
	size_t damaged_count = 0;
	sqlite3_stmt *stmt;
	int64_t link;
	int result, err;

	request->keys_count = 0;
	if (!damaged)
		return -ENOMEM;
	err = link_row(db, request->link, false, &link);
	if (err)
		goto out;
	stmt = db->sql[request->state <= STORE_READY ? SQL_KEY_LIST_UNUSED : SQL_KEY_LIST_ENDED];
	sqlite3_bind_int64(stmt, 1, link);
	sqlite3_bind_int(stmt, 2, request->state);
	sqlite3_bind_int64(stmt, 3, (int64_t)request->max);
	while (!err && (result = sqlite3_step(stmt)) == SQLITE_ROW) {
		err = list_row(db, stmt, &request->keys[request->keys_count],
			       &damaged[damaged_count]);
		if (err == -EBADMSG)
			damaged_count++;
		else if (!err)
			request->keys_count++;
		err = err == -EBADMSG ? 0 : err;
	}
	if (!err && result != SQLITE_DONE)
		err = store_db_error(db, result);
	sqlite3_reset(stmt);
	if (!err)
		err = discard_listed(db, link, damaged, damaged_count);
out:
	free(damaged);
	return err == -ENOENT ? 0 : err;
}

/* -------- the peer's store -------- */

/** Whether the store that the peer of the link named "peer NAME" had before is @peer. */
static int same_peer(struct store_db *db, const char *name, const uint8_t peer[16], bool *known,
		     bool *same)
{
	sqlite3_stmt *stmt = db->sql[SQL_META_GET];
	int result, err = 0;

	*known = *same = false;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	result = sqlite3_step(stmt);
	if (result == SQLITE_ROW) {
		*known = true;
		*same = sqlite3_column_bytes(stmt, 0) == 16 &&
			!memcmp(sqlite3_column_blob(stmt, 0), peer, 16);
	} else if (result != SQLITE_DONE) {
		err = store_db_error(db, result);
	}
	sqlite3_reset(stmt);
	return err;
}

/** All READY keys of @link. */
static int discard_ready(struct store_db *db, int64_t link, uint64_t *discarded)
{
	sqlite3_stmt *count = db->sql[SQL_KEY_COUNT_READY];
	struct delta delta = {0};
	int result, err = 0;

	sqlite3_bind_int64(count, 1, link);
	result = sqlite3_step(count);
	if (result == SQLITE_ROW) {
		*discarded = (uint64_t)sqlite3_column_int64(count, 0);
		delta.simulated = -sqlite3_column_int64(count, 1);
	} else {
		err = store_db_error(db, result);
	}
	sqlite3_reset(count);
	if (err || !*discarded)
		return err;
	delta.by_state[STORE_READY] = -(int64_t)*discarded;
	delta.by_state[STORE_DISCARDED] = (int64_t)*discarded;
	sqlite3_bind_int64(db->sql[SQL_KEY_END_READY], 1, link);
	err = store_db_finish(db, db->sql[SQL_KEY_END_READY]);
	return err ? err : delta_write(db, link, &delta);
}

int store_run_peer(struct store_db *db, struct store_request *request)
{
	sqlite3_stmt *put = db->sql[SQL_META_PUT];
	char name[sizeof("peer ") + QKD_NAME_BYTES];
	bool known, same;
	int64_t link;
	int err;

	request->discarded = 0;
	snprintf(name, sizeof(name), "peer %s", request->link);
	err = same_peer(db, name, request->peer, &known, &same);
	if (err || same)
		return err;
	if (known) {
		err = link_row(db, request->link, false, &link);
		if (!err)
			err = discard_ready(db, link, &request->discarded);
		if (err && err != -ENOENT)
			return err;
	}
	sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(put, 2, request->peer, sizeof(request->peer), SQLITE_STATIC);
	return store_db_finish(db, put);
}

int store_run_count(struct store_db *db, struct store_request *request)
{
	sqlite3_stmt *stmt = db->sql[SQL_LINK_COUNTS];
	int result, err = 0;

	memset(&request->counts, 0, sizeof(request->counts));
	sqlite3_bind_text(stmt, 1, request->link, -1, SQLITE_STATIC);
	result = sqlite3_step(stmt);
	if (result == SQLITE_ROW) {
		request->counts.pending = (uint64_t)sqlite3_column_int64(stmt, 0);
		request->counts.ready = (uint64_t)sqlite3_column_int64(stmt, 1);
		request->counts.used = (uint64_t)sqlite3_column_int64(stmt, 2);
		request->counts.discarded = (uint64_t)sqlite3_column_int64(stmt, 3);
		request->counts.simulated = sqlite3_column_int64(stmt, 4) > 0;
	} else if (result != SQLITE_DONE) {
		err = store_db_error(db, result);
	}
	sqlite3_reset(stmt);
	return err;
}
