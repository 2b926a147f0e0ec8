// SPDX-License-Identifier: GPL-2.0-or-later
/* What the store does with channels: the count of their epochs, their specs. */
#include "km/store_db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int store_channel_row(struct store_db *db, const char *name, struct store_channel_row *row)
{
	sqlite3_stmt *find = db->sql[SQL_CHANNEL_FIND], *add = db->sql[SQL_CHANNEL_ADD];
	int result, err = 0;

	sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
	result = sqlite3_step(find);
	if (result == SQLITE_ROW) {
		row->id = sqlite3_column_int64(find, 0);
		row->next_epoch = (uint64_t)sqlite3_column_int64(find, 1);
	} else if (result != SQLITE_DONE) {
		err = store_db_error(db, result);
	}
	sqlite3_reset(find);
	if (err || result == SQLITE_ROW)
		return err;
	sqlite3_bind_text(add, 1, name, -1, SQLITE_STATIC);
	err = store_db_finish(db, add);
	row->id = sqlite3_last_insert_rowid(db->sqlite);
	row->next_epoch = 0;
	return err;
}

int store_channel_spend(struct store_db *db, const struct store_channel_row *row, uint64_t epoch)
{
	sqlite3_stmt *stmt = db->sql[SQL_CHANNEL_NEXT];

	if (epoch < row->next_epoch)
		return -ESTALE;
	if (epoch > STORE_EPOCH_MAX)
		return -ERANGE;
	sqlite3_bind_int64(stmt, 1, row->id);
	sqlite3_bind_int64(stmt, 2, (int64_t)epoch + 1);
	return store_db_finish(db, stmt);
}

void store_request_free_channels(struct store_request *request)
{
	for (size_t i = 0; i < request->channels_count; i++)
		free((char *)request->channels[i].spec);
	free(request->channels);
	request->channels = NULL;
	request->channels_count = 0;
}

/** Adds a channel to the answer. */
static int append(struct store_request *request, const char *name, int64_t id, uint64_t next_epoch,
		  const char *spec)
{
	size_t count = request->channels_count;
	struct store_channel *grown, *channel;
	char *copy = NULL;

	if (id <= 0 || id > UINT32_MAX || strlen(name) >= sizeof(channel->name))
		return -EIO;
	grown = reallocarray(request->channels, count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	request->channels = grown;
	if (spec) {
		copy = strdup(spec);
		if (!copy)
			return -ENOMEM;
	}
	channel = &grown[count];
	memset(channel, 0, sizeof(*channel));
	strcpy(channel->name, name); /* its length was checked */
	channel->id = (uint32_t)id;
	channel->next_epoch = next_epoch;
	channel->spec = copy;
	request->channels_count++;
	return 0;
}

int store_run_channel(struct store_db *db, struct store_request *request)
{
	sqlite3_stmt *stmt = db->sql[SQL_CHANNEL_FIND];
	struct store_channel_row row;
	int err;

	store_request_free_channels(request);
	err = store_channel_row(db, request->channel, &row);
	if (err)
		return err;
	sqlite3_bind_text(stmt, 1, request->channel, -1, SQLITE_STATIC);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		err = append(request, request->channel, row.id, row.next_epoch,
			     (const char *)sqlite3_column_text(stmt, 2));
	else
		err = -EIO;
	sqlite3_reset(stmt);
	return err;
}

int store_run_channel_specs(struct store_db *db, struct store_request *request)
{
	sqlite3_stmt *stmt = db->sql[SQL_CHANNEL_SPECS];
	int result, err = 0;

	store_request_free_channels(request);
	while (!err && (result = sqlite3_step(stmt)) == SQLITE_ROW)
		err = append(request, (const char *)sqlite3_column_text(stmt, 3),
			     sqlite3_column_int64(stmt, 0), (uint64_t)sqlite3_column_int64(stmt, 1),
			     (const char *)sqlite3_column_text(stmt, 2));
	if (!err && result != SQLITE_DONE)
		err = store_db_error(db, result);
	sqlite3_reset(stmt);
	return err;
}

int store_run_channel_set_spec(struct store_db *db, struct store_request *request)
{
	sqlite3_stmt *stmt = db->sql[SQL_CHANNEL_SPEC];
	struct store_channel_row row;
	int err;

	err = store_channel_row(db, request->channel, &row);
	if (err)
		return err;
	sqlite3_bind_text(stmt, 1, request->channel, -1, SQLITE_STATIC);
	if (request->spec)
		sqlite3_bind_text(stmt, 2, request->spec, -1, SQLITE_STATIC);
	return store_db_finish(db, stmt);
}
