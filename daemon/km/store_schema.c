// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of the store, as steps: step N makes schema N out of schema N - 1.
 * A new store goes through all of them, an older one through those that it
 * lacks, so that both come out alike. A step that was released stays as it is;
 * what changes is a new step at the end.
 */
#include "km/store_db.h"

#define TEXT_OF(x)	 #x
#define TEXT_OF_VALUE(x) TEXT_OF(x)

/*
 * keys: one row per key ID, for ever. state is enum store_key_state; sealed is
 * there as long as the key is unused; channel and epoch once it is used.
 * links: counts per state, kept with each change, since counting tombstones
 * would grow with the store's age.
 * The triggers hold what the code promises, whatever the code does.
 */
static const char TABLES[] =
	"PRAGMA application_id = 0x514b446b;" /* "QKDk" */
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE links ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" name TEXT NOT NULL UNIQUE,"
	" pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),"
	" ready INTEGER NOT NULL DEFAULT 0 CHECK (ready >= 0),"
	" used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),"
	" discarded INTEGER NOT NULL DEFAULT 0 CHECK (discarded >= 0),"
	" simulated INTEGER NOT NULL DEFAULT 0 CHECK (simulated >= 0));"
	"CREATE TABLE channels ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" name TEXT NOT NULL UNIQUE,"
	" next_epoch INTEGER NOT NULL DEFAULT 0 CHECK (next_epoch >= 0),"
	" spec TEXT);"
	"CREATE TABLE keys ("
	" seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	" key_id BLOB NOT NULL UNIQUE CHECK (length(key_id) = 16),"
	" link INTEGER NOT NULL REFERENCES links(id),"
	" state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 4),"
	" simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),"
	" sealed BLOB,"
	" channel INTEGER REFERENCES channels(id),"
	" epoch INTEGER,"
	" added INTEGER NOT NULL,"
	" changed INTEGER NOT NULL,"
	" CHECK ((sealed IS NOT NULL) = (state <= 2)),"
	" CHECK ((channel IS NOT NULL) = (state = 3)),"
	" CHECK ((epoch IS NOT NULL) = (state = 3)));"
	"CREATE INDEX keys_unused ON keys(link, state, seq) WHERE sealed IS NOT NULL;"
	"CREATE UNIQUE INDEX keys_epoch ON keys(channel, epoch) WHERE epoch IS NOT NULL;"
	"CREATE TRIGGER keys_final BEFORE UPDATE ON keys WHEN OLD.state >= 3 BEGIN"
	" SELECT RAISE(ABORT, 'a used or discarded key stays as it is'); END;"
	"CREATE TRIGGER keys_stay BEFORE DELETE ON keys BEGIN"
	" SELECT RAISE(ABORT, 'a key ID is never forgotten'); END;"
	"CREATE TRIGGER channels_forward BEFORE UPDATE OF next_epoch ON channels"
	" WHEN NEW.next_epoch < OLD.next_epoch BEGIN"
	" SELECT RAISE(ABORT, 'epochs never come back'); END;"
	"CREATE TRIGGER channels_stay BEFORE DELETE ON channels BEGIN"
	" SELECT RAISE(ABORT, 'epochs never come back'); END;"
	"CREATE VIEW used AS"
	" SELECT channels.name AS channel, keys.epoch AS epoch,"
	" lower(hex(keys.key_id)) AS key_id, links.name AS link, keys.changed AS changed"
	" FROM keys JOIN channels ON channels.id = keys.channel"
	" JOIN links ON links.id = keys.link;";

/*
 * OR REPLACE deletes the rows that are in its way without the delete triggers
 * (they fire with recursive_triggers only, which is the connection's choice).
 * So whatever would be in the way of a row is looked for before it.
 */
static const char NO_REPLACING[] =
	"CREATE TRIGGER keys_once BEFORE INSERT ON keys"
	" WHEN EXISTS (SELECT 1 FROM keys WHERE key_id = NEW.key_id)"
	" OR EXISTS (SELECT 1 FROM keys WHERE seq = NEW.seq)"
	" OR EXISTS (SELECT 1 FROM keys WHERE channel = NEW.channel AND epoch = NEW.epoch)"
	" BEGIN SELECT RAISE(ABORT, 'a key ID enters once, an epoch is used once'); END;"
	"CREATE TRIGGER keys_same BEFORE UPDATE OF seq, key_id ON keys"
	" WHEN NEW.seq IS NOT OLD.seq OR NEW.key_id IS NOT OLD.key_id"
	" BEGIN SELECT RAISE(ABORT, 'a key keeps its ID'); END;"
	"CREATE TRIGGER keys_epoch_once BEFORE UPDATE OF channel, epoch ON keys"
	" WHEN EXISTS (SELECT 1 FROM keys WHERE channel = NEW.channel AND epoch = NEW.epoch)"
	" BEGIN SELECT RAISE(ABORT, 'an epoch is used once'); END;"
	"CREATE TRIGGER channels_once BEFORE INSERT ON channels"
	" WHEN EXISTS (SELECT 1 FROM channels WHERE name = NEW.name OR id = NEW.id)"
	" BEGIN SELECT RAISE(ABORT, 'epochs never come back'); END;"
	"CREATE TRIGGER channels_same BEFORE UPDATE OF id, name ON channels"
	" WHEN NEW.id IS NOT OLD.id OR NEW.name IS NOT OLD.name"
	" BEGIN SELECT RAISE(ABORT, 'epochs never come back'); END;";

/** STEPS[n] makes schema n + 1. */
static const char *const STEPS[] = {TABLES, NO_REPLACING};

_Static_assert(sizeof(STEPS) / sizeof(STEPS[0]) == STORE_SCHEMA_VERSION, "a step for each version");

static int execute(sqlite3 *sqlite, const char *text)
{
	return sqlite3_exec(sqlite, text, NULL, NULL, NULL);
}

int store_schema_make(sqlite3 *sqlite)
{
	int result = SQLITE_OK;

	for (int version = 0; result == SQLITE_OK && version < STORE_SCHEMA_VERSION; version++)
		result = execute(sqlite, STEPS[version]);
	if (result == SQLITE_OK)
		result = execute(sqlite, "INSERT INTO meta VALUES ('schema', " TEXT_OF_VALUE(
						 STORE_SCHEMA_VERSION) ")");
	return result;
}

/** One step and its number, or nothing of it. */
static int step(sqlite3 *sqlite, int version)
{
	int result = execute(sqlite, "BEGIN IMMEDIATE");

	if (result == SQLITE_OK)
		result = execute(sqlite, STEPS[version]);
	if (result == SQLITE_OK)
		result = execute(sqlite, "UPDATE meta SET value = value + 1 WHERE name = 'schema'");
	if (result == SQLITE_OK)
		result = execute(sqlite, "COMMIT");
	return result;
}

int store_schema_migrate(sqlite3 *sqlite, int from)
{
	int result = SQLITE_OK;

	for (int version = from; result == SQLITE_OK && version < STORE_SCHEMA_VERSION; version++)
		result = step(sqlite, version);
	return result;
}
