/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store's inside: the database and one request. Everything here is called
 * from the store's own thread, but for opening and closing.
 */
#ifndef KM_STORE_DB_H
#define KM_STORE_DB_H

#include "km/seal.h"
#include "km/store.h"
#include "log.h"

#include <sqlite3.h>

enum store_sql {
	SQL_LINK_FIND,
	SQL_LINK_ADD,
	SQL_LINK_COUNT,
	SQL_LINK_COUNTS,
	SQL_KEY_ADD,
	SQL_KEY_FIND,
	SQL_KEY_OLDEST,
	SQL_KEY_READY,
	SQL_KEY_END,
	SQL_KEY_LIST_UNUSED,
	SQL_KEY_LIST_ENDED,
	SQL_KEY_COUNT_READY,
	SQL_KEY_END_READY,
	SQL_META_GET,
	SQL_META_PUT,
	SQL_CHANNEL_FIND,
	SQL_CHANNEL_ADD,
	SQL_CHANNEL_NEXT,
	SQL_CHANNEL_SPEC,
	SQL_CHANNEL_SPECS,
	SQL_COUNT,
};

/**
 * struct store_db - an open database
 * @directory: locked by flock() as long as it is open
 * @path: of the database file, for messages
 * @complete: the open went through
 */
struct store_db {
	sqlite3 *sqlite;
	sqlite3_stmt *sql[SQL_COUNT];
	struct seal *seal;
	uint8_t id[16];
	int directory;
	char *path;
	bool complete;
	struct log_limit complaints;
};

/** As store_open(). */
int store_db_open(const char *directory, const char *master_key_file, struct store_db **db,
		  char *error, size_t error_len);
void store_db_close(struct store_db *db);

/** The schema that this program writes; see store_schema.c. */
#define STORE_SCHEMA_VERSION 2

/** Makes the tables of an empty database, within the caller's transaction. Return: of SQLite. */
int store_schema_make(sqlite3 *sqlite);

/**
 * store_schema_migrate - brings the tables from schema @from, 1 or higher, up to date
 *
 * Each step is a transaction: what fails leaves the schema that was reached
 * before, and the transaction open for sqlite3_errmsg(); closing rolls it back.
 * Return: of SQLite.
 */
int store_schema_migrate(sqlite3 *sqlite, int from);

/** Runs one statement of text without results. Return: 0 or as store_db_error(). */
int store_db_exec(struct store_db *db, const char *text);

/** Steps a statement that returns no rows, and resets it. */
int store_db_finish(struct store_db *db, sqlite3_stmt *stmt);

/**
 * store_db_error - negative errno of a result of SQLite; complains in the log
 * Return: -ENOSPC, -ENOMEM, -ESTALE (a UNIQUE constraint, or a trigger, held: it was
 * used before), else -EIO.
 */
int store_db_error(struct store_db *db, int result);

/**
 * struct store_request - one request on its way to the store's thread and back
 * @run: does it, inside a transaction; may be called again after a rollback
 * @answer: calls @done, in the loop's thread
 * @err: result of @run, or of the commit
 * @writes: @run may change the database
 * @keys: in or out; locked memory
 * @found: out; locked memory
 */
struct store_request {
	struct store_request *next;
	int (*run)(struct store_db *db, struct store_request *request);
	void (*answer)(struct store_request *request);
	int err;
	bool writes;

	char link[QKD_NAME_BYTES];
	char channel[QKD_NAME_BYTES];
	enum store_key_state state;
	uint64_t min_epoch;
	uint64_t epoch;
	size_t max;
	struct km_key_id *ids;
	size_t ids_count;
	struct km_key *keys;
	size_t keys_count;
	struct store_found *found;
	struct store_counts counts;
	struct store_channel *channels;
	size_t channels_count;
	char *spec;
	uint8_t peer[16];
	uint64_t discarded;

	union {
		store_done_fn plain;
		store_key_fn key;
		store_keys_fn keys;
		store_found_fn found;
		store_counts_fn counts;
		store_channels_fn channels;
		store_peer_fn peer;
	} done;
	void *arg;
};

/**
 * store_submit - queues @request, or frees it
 * Return: 0, -EAGAIN (too many wait), -ESHUTDOWN.
 */
int store_submit(struct store *store, struct store_request *request);

/** Wipes and frees. */
void store_request_free(struct store_request *request);

/* What a request does; see the public function of the same name. store_key_ops.c */
int store_run_add(struct store_db *db, struct store_request *request);
int store_run_set_state(struct store_db *db, struct store_request *request);
int store_run_find(struct store_db *db, struct store_request *request);
int store_run_take(struct store_db *db, struct store_request *request);
int store_run_take_id(struct store_db *db, struct store_request *request);
int store_run_list(struct store_db *db, struct store_request *request);
int store_run_peer(struct store_db *db, struct store_request *request);
int store_run_count(struct store_db *db, struct store_request *request);

/* store_channel_ops.c */
int store_run_channel(struct store_db *db, struct store_request *request);
int store_run_channel_specs(struct store_db *db, struct store_request *request);
int store_run_channel_set_spec(struct store_db *db, struct store_request *request);

/** Frees @request->channels. */
void store_request_free_channels(struct store_request *request);

/** A channel's row. */
struct store_channel_row {
	int64_t id;
	uint64_t next_epoch;
};

/** Finds or makes the row of @name. */
int store_channel_row(struct store_db *db, const char *name, struct store_channel_row *row);

/** No epoch up to @epoch may be used on the channel again. */
int store_channel_spend(struct store_db *db, const struct store_channel_row *row, uint64_t epoch);

/** Largest epoch: SQLite's integers are signed. */
#define STORE_EPOCH_MAX ((uint64_t)INT64_MAX - 1)

#endif
