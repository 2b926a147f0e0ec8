// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store's database: opening, making, checking.
 *
 * Order at open: lock the directory, read the master key, open the file, check
 * the schema's version, check the master key against the sealed probe, bring an
 * older schema up to date. Nothing is written to a database that fails a check.
 */
#include "km/store_db.h"
#include "km/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUICK_CHECK_MAX (256LL * 1024 * 1024)
#define BUSY_TIMEOUT_MS 5000
#define PROBE_BYTES	32

static const char PROBE_CONTEXT[] = "qkdkeyd store probe";

static const char *const SQL[SQL_COUNT] = {
	[SQL_LINK_FIND] = "SELECT id FROM links WHERE name = ?1",
	[SQL_LINK_ADD] = "INSERT INTO links(name) VALUES (?1)",
	/* Counts are for listings: damaged ones must not stop the keys. */
	[SQL_LINK_COUNT] = "UPDATE links SET pending = max(0, pending + ?2),"
			   " ready = max(0, ready + ?3), used = max(0, used + ?4),"
			   " discarded = max(0, discarded + ?5),"
			   " simulated = max(0, simulated + ?6) WHERE id = ?1",
	[SQL_LINK_COUNTS] =
		"SELECT pending, ready, used, discarded, simulated FROM links WHERE name = ?1",
	[SQL_KEY_ADD] = "INSERT INTO keys(key_id, link, state, simulated, sealed, added, changed)"
			" SELECT ?1, ?2, ?3, ?4, ?5, unixepoch(), unixepoch()"
			" WHERE NOT EXISTS (SELECT 1 FROM keys WHERE key_id = ?1)",
	[SQL_KEY_FIND] = "SELECT seq, key_id, link, state, simulated, sealed FROM keys"
			 " WHERE key_id = ?1",
	[SQL_KEY_OLDEST] = "SELECT seq, key_id, link, state, simulated, sealed FROM keys"
			   " WHERE link = ?1 AND state = 2 AND sealed IS NOT NULL"
			   " ORDER BY seq LIMIT 1",
	[SQL_KEY_READY] = "UPDATE keys SET state = 2, changed = unixepoch() WHERE seq = ?1",
	[SQL_KEY_END] = "UPDATE keys SET state = ?2, sealed = NULL, channel = ?3, epoch = ?4,"
			" changed = unixepoch() WHERE seq = ?1",
	[SQL_KEY_LIST_UNUSED] = "SELECT seq, key_id, link, state, simulated, sealed FROM keys"
				" WHERE link = ?1 AND state = ?2 AND sealed IS NOT NULL"
				" ORDER BY seq LIMIT ?3",
	[SQL_KEY_LIST_ENDED] = "SELECT seq, key_id, link, state, simulated, sealed FROM keys"
			       " WHERE link = ?1 AND state = ?2 ORDER BY seq LIMIT ?3",
	[SQL_KEY_COUNT_READY] = "SELECT count(*), total(simulated) FROM keys"
				" WHERE link = ?1 AND state = 2 AND sealed IS NOT NULL",
	[SQL_KEY_END_READY] = "UPDATE keys SET state = 4, sealed = NULL, changed = unixepoch()"
			      " WHERE link = ?1 AND state = 2 AND sealed IS NOT NULL",
	[SQL_META_GET] = "SELECT value FROM meta WHERE name = ?1",
	[SQL_META_PUT] = "INSERT INTO meta(name, value) VALUES (?1, ?2)"
			 " ON CONFLICT(name) DO UPDATE SET value = ?2",
	[SQL_CHANNEL_FIND] = "SELECT id, next_epoch, spec FROM channels WHERE name = ?1",
	[SQL_CHANNEL_ADD] = "INSERT INTO channels(name) VALUES (?1)",
	[SQL_CHANNEL_NEXT] = "UPDATE channels SET next_epoch = ?2 WHERE id = ?1",
	[SQL_CHANNEL_SPEC] = "UPDATE channels SET spec = ?2 WHERE name = ?1",
	[SQL_CHANNEL_SPECS] = "SELECT id, next_epoch, spec, name FROM channels"
			      " WHERE spec IS NOT NULL ORDER BY id",
};

/** Where the sentence for a person goes. */
struct report {
	char *text;
	size_t size;
};

__attribute__((format(printf, 3, 4))) static int fail(struct report *report, int err,
						      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(report->text, report->size, format, args);
	va_end(args);
	return err;
}

/* -------- results -------- */

static int error_number(struct store_db *db, int result)
{
	int number = db->sqlite ? sqlite3_system_errno(db->sqlite) : 0;

	switch (result & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_IOERR:
		return number == ENOSPC || number == EDQUOT ? -ENOSPC : -EIO;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CONSTRAINT:
		return result == SQLITE_CONSTRAINT_UNIQUE || result == SQLITE_CONSTRAINT_TRIGGER
			       ? -ESTALE
			       : -EIO;
	}
	return -EIO;
}

int store_db_error(struct store_db *db, int result)
{
	int err = error_number(db, result);

	log_limited(LOG_LEVEL_ERR, &db->complaints, "store %s: %s%s", db->path,
		    sqlite3_errmsg(db->sqlite),
		    err == -ENOSPC ? ": no key is handed out until there is room" : "");
	return err;
}

int store_db_exec(struct store_db *db, const char *text)
{
	int result = sqlite3_exec(db->sqlite, text, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : store_db_error(db, result);
}

int store_db_finish(struct store_db *db, sqlite3_stmt *stmt)
{
	int result = sqlite3_step(stmt);
	int err = result == SQLITE_DONE ? 0 : store_db_error(db, result);

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return err;
}

/** A failure at open: says whether the file is damaged, and what to do then. */
static int open_failed(struct store_db *db, struct report *report, int result)
{
	switch (result & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return fail(report, -EIO,
			    "%s is damaged (%s): move it away to start with an empty store; keys "
			    "of the old one are lost and never come back",
			    db->path, sqlite3_errmsg(db->sqlite));
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return fail(report, -EBUSY, "%s is locked by another program", db->path);
	case SQLITE_READONLY:
		return fail(report, -EACCES, "%s cannot be written: check owner and mode",
			    db->path);
	}
	return fail(report, error_number(db, result), "%s: %s", db->path,
		    sqlite3_errmsg(db->sqlite));
}

/* -------- files -------- */

static int make_directory(const char *directory, struct report *report)
{
	int err;

	if (mkdir(directory, 0700) < 0)
		return errno == EEXIST
			       ? 0
			       : fail(report, -errno, "%s: cannot make the store's directory: %s",
				      directory, strerror(errno));
	err = km_sync_parent(directory);
	if (err) {
		/* So that the next start does not take it for durable. */
		rmdir(directory);
		fail(report, err, "%s: the store's new directory cannot be made durable: %s",
		     directory, strerror(-err));
	}
	return err;
}

/** Opens, or makes, the directory, and locks it for this process. */
static int lock_directory(struct store_db *db, const char *directory, struct report *report)
{
	struct stat st;
	int err = make_directory(directory, report);

	if (err)
		return err;
	db->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (db->directory < 0)
		return fail(report, -errno, "%s: cannot open the store's directory: %s", directory,
			    strerror(errno));
	if (fstat(db->directory, &st) < 0)
		return fail(report, -errno, "%s: %s", directory, strerror(errno));
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return fail(report, -EPERM,
			    "%s: others may write to the store's directory (mode %04o): chmod 0700",
			    directory, (unsigned int)(st.st_mode & 07777));
	if (flock(db->directory, LOCK_EX | LOCK_NB) < 0)
		return fail(report, errno == EWOULDBLOCK ? -EBUSY : -errno,
			    errno == EWOULDBLOCK ? "%s: another qkdkeyd has the store"
						 : "%s: cannot lock the store's directory",
			    directory);
	return 0;
}

/** SQLite would make the file readable by all; so we make it first. */
static int make_file(struct store_db *db, struct report *report)
{
	int fd = openat(db->directory, "keys.db", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err = 0;

	if (fd < 0)
		return fail(report, -errno, "%s: cannot open or make it: %s", db->path,
			    strerror(errno));
	if (fsync(db->directory) < 0)
		err = fail(report, -errno, "%s: cannot be made durable: %s", db->path,
			   strerror(errno));
	close(fd);
	return err;
}

/* -------- database -------- */

static int pragma(struct store_db *db, const char *text, struct report *report)
{
	int result = sqlite3_exec(db->sqlite, text, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : open_failed(db, report, result);
}

/** One value of one row, as an integer; @missing if there is no row. */
static int query_int(struct store_db *db, const char *text, int64_t missing, int64_t *value,
		     struct report *report)
{
	sqlite3_stmt *stmt = NULL;
	int result = sqlite3_prepare_v2(db->sqlite, text, -1, &stmt, NULL);

	*value = missing;
	if (result == SQLITE_OK)
		result = sqlite3_step(stmt);
	if (result == SQLITE_ROW)
		*value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	if (result == SQLITE_ROW || result == SQLITE_DONE)
		return 0;
	return open_failed(db, report, result);
}

/** One value of one row, as a blob of exactly @len octets; -ENOENT. */
static int query_blob(struct store_db *db, const char *text, uint8_t *value, size_t len)
{
	sqlite3_stmt *stmt = NULL;
	int err = -ENOENT;

	if (sqlite3_prepare_v2(db->sqlite, text, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) == (int)len) {
		memcpy(value, sqlite3_column_blob(stmt, 0), len);
		err = 0;
	}
	sqlite3_finalize(stmt);
	return err;
}

static int connect_file(struct store_db *db, struct report *report)
{
	int64_t wal = 0;
	int result, err;

	result = sqlite3_open_v2(db->path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
				 NULL);
	if (result != SQLITE_OK)
		return open_failed(db, report, result);
	sqlite3_busy_timeout(db->sqlite, BUSY_TIMEOUT_MS);
	err = pragma(db,
		     "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
		     "PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON;"
		     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
		     report);
	if (err)
		return err;
	err = query_int(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", 0, &wal,
			report);
	if (!err && !wal)
		err = fail(report, -EOPNOTSUPP,
			   "%s: its file system cannot hold SQLite's write-ahead log", db->path);
	return err;
}

static void probe_context(const struct store_db *db, uint8_t context[sizeof(PROBE_CONTEXT) + 16])
{
	memcpy(context, PROBE_CONTEXT, sizeof(PROBE_CONTEXT));
	memcpy(context + sizeof(PROBE_CONTEXT), db->id, sizeof(db->id));
}

static int put_meta(struct store_db *db, const char *name, const void *value, size_t len)
{
	sqlite3_stmt *stmt = NULL;
	int result =
		sqlite3_prepare_v2(db->sqlite, "INSERT INTO meta VALUES (?1, ?2)", -1, &stmt, NULL);

	if (result == SQLITE_OK) {
		sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
		sqlite3_bind_blob(stmt, 2, value, (int)len, SQLITE_STATIC);
		result = sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	return result;
}

/** Tables, a random store ID, and the probe, in one transaction: nothing stays of half a store. */
static int make_tables(struct store_db *db, struct report *report)
{
	uint8_t context[sizeof(PROBE_CONTEXT) + 16], sealed[PROBE_BYTES + SEAL_EXTRA_BYTES];
	uint8_t probe[PROBE_BYTES] = {0};
	int result, err;

	if (RAND_bytes(db->id, sizeof(db->id)) != 1)
		return fail(report, -EIO, "no random numbers from OpenSSL");
	db->id[6] = (db->id[6] & 0x0f) | 0x40; /* UUID version 4, RFC 4122 4.4 */
	db->id[8] = (db->id[8] & 0x3f) | 0x80;
	probe_context(db, context);
	err = seal_value(db->seal, context, sizeof(context), probe, sizeof(probe), sealed);
	if (err)
		return fail(report, err, "AES-256-GCM does not work in this OpenSSL");
	result = sqlite3_exec(db->sqlite, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (result == SQLITE_OK)
		result = store_schema_make(db->sqlite);
	if (result == SQLITE_OK) {
		result = put_meta(db, "store_id", db->id, sizeof(db->id));
		if (result == SQLITE_DONE)
			result = put_meta(db, "probe", sealed, sizeof(sealed));
		if (result == SQLITE_DONE)
			result = sqlite3_exec(db->sqlite, "COMMIT", NULL, NULL, NULL);
	}
	return result == SQLITE_OK ? 0 : open_failed(db, report, result);
}

/** Whether the master key is the one that made this store. */
static int check_probe(struct store_db *db, const char *master_key_file, struct report *report)
{
	uint8_t context[sizeof(PROBE_CONTEXT) + 16], sealed[PROBE_BYTES + SEAL_EXTRA_BYTES];
	uint8_t probe[PROBE_BYTES];

	if (query_blob(db, "SELECT value FROM meta WHERE name = 'store_id'", db->id,
		       sizeof(db->id)) ||
	    query_blob(db, "SELECT value FROM meta WHERE name = 'probe'", sealed, sizeof(sealed)))
		return fail(report, -EIO, "%s is damaged: no store ID or no probe in it", db->path);
	probe_context(db, context);
	if (seal_open(db->seal, context, sizeof(context), sealed, sizeof(sealed), probe))
		return fail(report, -EKEYREJECTED,
			    "%s was made with another master key than %s: give the right one, or "
			    "move the store away to start with an empty one",
			    db->path, master_key_file);
	return 0;
}

/** Damage that SQLite can see; big stores are left to the checks at each read. */
static int quick_check(struct store_db *db, struct report *report)
{
	sqlite3_stmt *stmt = NULL;
	struct stat st;
	int result, err = 0;

	if (stat(db->path, &st) == 0 && st.st_size > QUICK_CHECK_MAX)
		return 0;
	result = sqlite3_prepare_v2(db->sqlite, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_step(stmt);
	if (result != SQLITE_ROW)
		err = open_failed(db, report, result);
	else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0)
		err = fail(report, -EIO,
			   "%s is damaged (%s): move it away to start with an empty store; keys of "
			   "the old one are lost and never come back",
			   db->path, (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	return err;
}

/** Brings a store that an older qkdkeyd made up to date. */
static int migrate(struct store_db *db, int64_t version, struct report *report)
{
	int result = store_schema_migrate(db->sqlite, (int)version);

	if (result != SQLITE_OK)
		return fail(report, error_number(db, result),
			    "%s has schema %lld, which cannot be brought to %d: %s. It was left as "
			    "it was",
			    db->path, (long long)version, STORE_SCHEMA_VERSION,
			    sqlite3_errmsg(db->sqlite));
	log_info("store %s: schema %lld was brought to %d", db->path, (long long)version,
		 STORE_SCHEMA_VERSION);
	return 0;
}

static int check_version(struct store_db *db, int64_t version, struct report *report)
{
	if (version < 1)
		return fail(
			report, -EPROTONOSUPPORT,
			"%s is no store of qkdkeyd (schema %lld): move it away to start with an "
			"empty store",
			db->path, (long long)version);
	if (version > STORE_SCHEMA_VERSION)
		return fail(
			report, -EPROTONOSUPPORT,
			"%s has schema %lld, this qkdkeyd knows up to %d: a newer qkdkeyd wrote "
			"it. Install that version again, or move the store away at both ends "
			"and start with empty ones; never put back an old copy of it",
			db->path, (long long)version, STORE_SCHEMA_VERSION);
	return 0;
}

static int check_schema(struct store_db *db, const char *master_key_file, struct report *report)
{
	int64_t tables, version;
	int err;

	err = query_int(db, "SELECT count(*) FROM sqlite_schema", 0, &tables, report);
	if (err)
		return err;
	if (tables == 0)
		return make_tables(db, report);
	err = quick_check(db, report);
	if (!err)
		err = query_int(db, "SELECT value FROM meta WHERE name = 'schema'", -1, &version,
				report);
	if (!err)
		err = check_version(db, version, report);
	if (!err)
		err = check_probe(db, master_key_file, report);
	if (!err && version < STORE_SCHEMA_VERSION)
		err = migrate(db, version, report);
	return err;
}

static int prepare(struct store_db *db, struct report *report)
{
	for (int i = 0; i < SQL_COUNT; i++) {
		int result = sqlite3_prepare_v3(db->sqlite, SQL[i], -1, SQLITE_PREPARE_PERSISTENT,
						&db->sql[i], NULL);
		if (result != SQLITE_OK)
			return open_failed(db, report, result);
	}
	return 0;
}

int store_db_open(const char *directory, const char *master_key_file, struct store_db **result,
		  char *error, size_t error_len)
{
	struct report report = {error, error_len};
	struct store_db *db = calloc(1, sizeof(*db));
	int err = -ENOMEM;

	*result = NULL;
	if (!db)
		return fail(&report, err, "%s", strerror(-err));
	db->directory = -1;
	db->complaints = (struct log_limit){.burst = 3, .interval_ms = 10000};
	if (asprintf(&db->path, "%s/keys.db", directory) < 0) {
		db->path = NULL;
		err = fail(&report, -ENOMEM, "%s", strerror(ENOMEM));
		goto out;
	}
	err = lock_directory(db, directory, &report);
	if (!err)
		err = seal_create(master_key_file, &db->seal, error, error_len);
	if (!err)
		err = make_file(db, &report);
	if (!err)
		err = connect_file(db, &report);
	if (!err)
		err = check_schema(db, master_key_file, &report);
	if (!err)
		err = prepare(db, &report);
out:
	if (err) {
		store_db_close(db);
		return err;
	}
	db->complete = true;
	*result = db;
	return 0;
}

void store_db_close(struct store_db *db)
{
	for (int i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(db->sql[i]);
	/* Leaves no old sealed value in the write-ahead log. */
	if (db->complete)
		sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_close(db->sqlite);
	seal_destroy(db->seal);
	if (db->directory >= 0)
		close(db->directory); /* and with it the lock */
	free(db->path);
	free(db);
}
