// SPDX-License-Identifier: GPL-2.0-or-later
/* The key store: what it promises in km/store.h, also after kill -9 and on a full disk. */
#include "km/store.h"
#include "km_helpers.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct loop *loop;
static struct store *store;
static char directory[PATH_BYTES];
static char master[PATH_BYTES + 16];
static char database[PATH_BYTES + 16];
static char message[600];

static int open_store(void)
{
	return store_open(loop, directory, master, &store, message, sizeof(message));
}

static void close_store(void)
{
	store_close(store);
	store = NULL;
}

static int set_up(void **state)
{
	make_directory(directory);
	snprintf(master, sizeof(master), "%s/master.key", directory);
	snprintf(database, sizeof(database), "%s/keys.db", directory);
	assert_int_equal(store_make_master_key(master), 0);
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(open_store(), 0);
	return 0;
}

static int tear_down(void **state)
{
	close_store();
	loop_destroy(loop);
	remove_directory(directory);
	return 0;
}

/* -------- what was made durable -------- */

static ino_t synced[64]; /* inodes, the last ones */
static size_t synced_count;
static ino_t unsyncable;

/** Instead of the C library's, for all of this program. */
int fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_ino == unsyncable) {
		errno = EIO;
		return -1;
	}
	synced[synced_count++ % 64] = st.st_ino;
	return (int)syscall(SYS_fsync, fd);
}

static bool was_synced(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	for (size_t i = 0; i < 64; i++)
		if (synced[i] == st.st_ino)
			return true;
	return false;
}

/* -------- requests that wait for their answer -------- */

static struct {
	int err;
	uint64_t epoch;
	struct km_key keys[600];
	struct store_found found[8];
	size_t count;
	struct store_counts counts;
	struct store_channel channel;
	char spec[8][64];
} got;

static void on_done(void *arg, int err)
{
	got.err = err;
	loop_stop(loop, 0);
}

static void on_key(void *arg, int err, uint64_t epoch, const struct km_key *key)
{
	got.err = err;
	got.epoch = epoch;
	assert_true(!err == !!key);
	if (key)
		got.keys[0] = *key;
	loop_stop(loop, 0);
}

static void on_keys(void *arg, int err, const struct km_key *keys, size_t count)
{
	got.err = err;
	got.count = count;
	for (size_t i = 0; i < count; i++)
		got.keys[i] = keys[i];
	loop_stop(loop, 0);
}

static void on_found(void *arg, int err, const struct store_found *found, size_t count)
{
	got.err = err;
	got.count = count;
	for (size_t i = 0; i < count; i++)
		got.found[i] = found[i];
	loop_stop(loop, 0);
}

static void on_counts(void *arg, int err, const struct store_counts *counts)
{
	got.err = err;
	if (counts)
		got.counts = *counts;
	loop_stop(loop, 0);
}

static void on_channels(void *arg, int err, const struct store_channel *channels, size_t count)
{
	got.err = err;
	got.count = count;
	if (count)
		got.channel = channels[0];
	for (size_t i = 0; i < count; i++)
		snprintf(got.spec[i], sizeof(got.spec[i]), "%s=%s", channels[i].name,
			 channels[i].spec ? channels[i].spec : "-");
	loop_stop(loop, 0);
}

/** Waits for the answer of a request that was taken. */
static int answer(int taken)
{
	if (taken)
		return taken;
	got.err = 1;
	assert_int_equal(loop_run(loop), 0);
	assert_true(got.err <= 0);
	return got.err;
}

static int add(const char *link, const struct km_key *keys, size_t count,
	       enum store_key_state state)
{
	return answer(store_add(store, link, keys, count, state, on_done, NULL));
}

static int set_state(const char *link, const struct km_key *key, enum store_key_state state)
{
	return answer(store_set_state(store, link, &key->id, 1, state, on_done, NULL));
}

static int take(const char *link, const char *channel, uint64_t min_epoch)
{
	return answer(store_take(store, link, channel, min_epoch, on_key, NULL));
}

static int take_id(const char *link, const char *channel, uint64_t epoch, const struct km_key *key)
{
	return answer(store_take_id(store, link, channel, epoch, &key->id, on_key, NULL));
}

static int list(const char *link, enum store_key_state state, size_t max)
{
	return answer(store_list(store, link, state, max, on_keys, NULL));
}

static uint64_t told_discarded;

static void on_peer(void *arg, int err, uint64_t discarded)
{
	got.err = err;
	told_discarded = discarded;
	loop_stop(loop, 0);
}

static int tell_peer(const char *link, const uint8_t peer[16])
{
	int err = answer(store_peer(store, link, peer, on_peer, NULL));

	return err ? err : (int)told_discarded;
}

static void expect_counts(const char *link, unsigned int pending, unsigned int ready,
			  unsigned int used, unsigned int discarded)
{
	assert_int_equal(answer(store_count(store, link, on_counts, NULL)), 0);
	assert_int_equal(got.counts.pending, pending);
	assert_int_equal(got.counts.ready, ready);
	assert_int_equal(got.counts.used, used);
	assert_int_equal(got.counts.discarded, discarded);
}

static void random_keys(struct km_key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		random_key(&keys[i]);
}

static void assert_same_key(const struct km_key *a, const struct km_key *b)
{
	assert_memory_equal(&a->id, &b->id, sizeof(a->id));
	assert_memory_equal(a->value, b->value, sizeof(a->value));
	assert_int_equal(a->simulated, b->simulated);
}

/** Runs SQL on the closed database; with a query, returns its first integer. */
static long long sql(const char *text)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	long long value = 0;

	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	sqlite3_close(db);
	return value;
}

/** The same, for a text. */
static void sql_text(const char *query, char *text, size_t size)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;

	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_true(sqlite3_column_bytes(stmt, 0) > 0);
	assert_in_range(snprintf(text, size, "%s", (const char *)sqlite3_column_text(stmt, 0)), 1,
			size - 1);
	assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	sqlite3_close(db);
}

/* -------- the life of a key -------- */

static void test_oldest_first(void **state)
{
	struct km_key keys[5];

	random_keys(keys, 5);
	keys[1].simulated = true;
	assert_int_equal(take("link", "ch", 0), -ENOKEY);
	assert_int_equal(add("link", keys, 5, STORE_READY), 0);
	expect_counts("link", 0, 5, 0, 0);
	assert_true(got.counts.simulated);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_int_equal(got.epoch, 0);
	assert_same_key(&got.keys[0], &keys[0]);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_int_equal(got.epoch, 1);
	assert_same_key(&got.keys[0], &keys[1]);
	assert_int_equal(take("link", "ch", 100), 0); /* gaps are allowed */
	assert_int_equal(got.epoch, 100);
	assert_same_key(&got.keys[0], &keys[2]);
	assert_int_equal(take("link", "other", 0), 0); /* each channel counts for itself */
	assert_int_equal(got.epoch, 0);
	assert_int_equal(take("link", "ch", 7), 0);
	assert_int_equal(got.epoch, 101);
	assert_int_equal(take("link", "ch", 0), -ENOKEY);
	expect_counts("link", 0, 0, 5, 0);
	assert_false(got.counts.simulated);
	assert_int_equal(answer(store_channel(store, "ch", on_channels, NULL)), 0);
	assert_int_equal(got.channel.next_epoch, 102);
}

static void test_pending(void **state)
{
	struct km_key keys[3];

	random_keys(keys, 3);
	assert_int_equal(add("link", keys, 3, STORE_PENDING), 0);
	expect_counts("link", 3, 0, 0, 0);
	assert_int_equal(take("link", "ch", 0), -ENOKEY);
	assert_int_equal(take_id("link", "ch", 0, &keys[0]), -ENOKEY);
	assert_int_equal(list("link", STORE_PENDING, 2), 0);
	assert_int_equal(got.count, 2);
	assert_same_key(&got.keys[0], &keys[0]);
	assert_same_key(&got.keys[1], &keys[1]);
	assert_int_equal(set_state("link", &keys[1], STORE_READY), 0);
	assert_int_equal(set_state("link", &keys[2], STORE_DISCARDED), 0);
	expect_counts("link", 1, 1, 0, 1);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_same_key(&got.keys[0], &keys[1]);
	/* Neither a used nor a discarded key comes back. */
	assert_int_equal(set_state("link", &keys[1], STORE_READY), 0);
	assert_int_equal(set_state("link", &keys[2], STORE_READY), 0);
	assert_int_equal(set_state("link", &keys[1], STORE_DISCARDED), 0);
	expect_counts("link", 1, 0, 1, 1);
	/* Nor does another link's peer change our keys. */
	assert_int_equal(add("second", &keys[0], 1, STORE_READY), 0);
	assert_int_equal(set_state("second", &keys[0], STORE_DISCARDED), 0);
	expect_counts("link", 1, 0, 1, 1);
	expect_counts("second", 0, 0, 0, 0);
	expect_counts("unknown", 0, 0, 0, 0);
}

static void test_take_id(void **state)
{
	struct km_key keys[3], unknown;

	random_keys(keys, 3);
	random_key(&unknown);
	assert_int_equal(add("link", keys, 3, STORE_READY), 0);
	assert_int_equal(take_id("link", "ch", 5, &unknown), -ENOKEY);
	assert_int_equal(take_id("other", "ch", 5, &keys[0]), -ENOKEY);
	assert_int_equal(take_id("link", "ch", 5, &keys[1]), 0);
	assert_int_equal(got.epoch, 5);
	assert_same_key(&got.keys[0], &keys[1]);
	assert_int_equal(take_id("link", "ch", 6, &keys[1]), -ESTALE);
	assert_int_equal(take_id("link", "two", 0, &keys[1]), -ESTALE);
	assert_int_equal(take_id("link", "ch", 5, &keys[0]), -ESTALE);
	assert_int_equal(take_id("link", "ch", 0, &keys[0]), -ESTALE);
	expect_counts("link", 0, 2, 1, 0); /* a stale epoch costs no key */
	assert_int_equal(take_id("link", "ch", 6, &keys[0]), 0);
	assert_int_equal(take_id("link", "ch", UINT64_MAX, &keys[2]), -ERANGE);
	assert_int_equal(take("link", "ch", UINT64_MAX), -ERANGE);
	expect_counts("link", 0, 1, 2, 0);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_int_equal(got.epoch, 7);
}

static void test_enters_once(void **state)
{
	struct km_key keys[2], other;

	random_keys(keys, 2);
	other = keys[0];
	memset(other.value, 7, sizeof(other.value));
	assert_int_equal(add("link", &keys[0], 1, STORE_READY), 0);
	assert_int_equal(add("link", &other, 1, STORE_PENDING), 0);
	expect_counts("link", 0, 1, 0, 0);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_same_key(&got.keys[0], &keys[0]);
	assert_int_equal(add("link", keys, 2, STORE_READY), 0);
	expect_counts("link", 0, 1, 1, 0);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_same_key(&got.keys[0], &keys[1]);
	assert_int_equal(take("link", "ch", 0), -ENOKEY);
}

static void test_find(void **state)
{
	struct km_key keys[5];
	struct km_key_id ids[5];

	random_keys(keys, 5);
	keys[1].simulated = true;
	keys[3].simulated = true;
	for (int i = 0; i < 5; i++)
		ids[i] = keys[i].id;
	assert_int_equal(answer(store_find(store, "link", ids, 5, on_found, NULL)), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(got.found[i].state, 0);
	assert_int_equal(add("link", &keys[0], 3, STORE_READY), 0);
	assert_int_equal(add("other", &keys[3], 1, STORE_READY), 0);
	assert_int_equal(take_id("link", "ch", 0, &keys[1]), 0);
	assert_int_equal(set_state("link", &keys[2], STORE_DISCARDED), 0);
	assert_int_equal(answer(store_find(store, "link", ids, 5, on_found, NULL)), 0);
	assert_int_equal(got.count, 5);
	assert_int_equal(got.found[0].state, STORE_READY);
	assert_same_key(&got.found[0].key, &keys[0]);
	assert_int_equal(got.found[1].state, STORE_USED);
	assert_int_equal(got.found[1].key.value[0] | got.found[1].key.value[31], 0);
	assert_int_equal(got.found[2].state, STORE_DISCARDED);
	assert_true(got.found[3].other_link);
	/* The mark outlives the value, and is known of other links' keys. */
	for (int i = 0; i < 4; i++)
		assert_true(got.found[i].key.simulated == keys[i].simulated);
	assert_int_equal(got.found[3].key.value[0] | got.found[3].key.value[31], 0);
	assert_int_equal(got.found[4].state, 0);
	for (int i = 0; i < 5; i++)
		assert_memory_equal(&got.found[i].key.id, &ids[i], sizeof(ids[i]));
}

static void test_arguments(void **state)
{
	static const char name32[] = "01234567890123456789012345678901";
	struct km_key key;

	random_key(&key);
	assert_int_equal(store_add(store, name32, &key, 1, STORE_READY, on_done, NULL), -EINVAL);
	assert_int_equal(store_add(store, "", &key, 1, STORE_READY, on_done, NULL), -EINVAL);
	assert_int_equal(store_add(store, "l", &key, 0, STORE_READY, on_done, NULL), -EINVAL);
	assert_int_equal(store_add(store, "l", &key, 1, STORE_USED, on_done, NULL), -EINVAL);
	assert_int_equal(
		store_add(store, "l", &key, STORE_BATCH_MAX + 1, STORE_READY, on_done, NULL),
		-EINVAL);
	assert_int_equal(store_set_state(store, "l", &key.id, 1, STORE_USED, on_done, NULL),
			 -EINVAL);
	assert_int_equal(store_take(store, "l", name32, 0, on_key, NULL), -EINVAL);
	assert_int_equal(store_list(store, "l", STORE_READY, 0, on_keys, NULL), -EINVAL);
	assert_int_equal(add(name32 + 1, &key, 1, STORE_READY), 0); /* 31 octets fit */
	assert_int_equal(take(name32 + 1, name32 + 1, 0), 0);
}

static void test_channels(void **state)
{
	uint32_t first;

	assert_int_equal(answer(store_channel(store, "one", on_channels, NULL)), 0);
	first = got.channel.id;
	assert_int_not_equal(first, 0);
	assert_string_equal(got.channel.name, "one");
	assert_int_equal(got.channel.next_epoch, 0);
	assert_string_equal(got.spec[0], "one=-");
	assert_int_equal(answer(store_channel_set_spec(store, "two", "b: 2", on_done, NULL)), 0);
	assert_int_equal(answer(store_channel_set_spec(store, "one", "a: 1", on_done, NULL)), 0);
	close_store();
	assert_int_equal(open_store(), 0);
	assert_int_equal(answer(store_channel_specs(store, on_channels, NULL)), 0);
	assert_int_equal(got.count, 2);
	assert_string_equal(got.spec[0], "one=a: 1");
	assert_string_equal(got.spec[1], "two=b: 2");
	assert_int_equal(answer(store_channel_set_spec(store, "one", NULL, on_done, NULL)), 0);
	assert_int_equal(answer(store_channel_specs(store, on_channels, NULL)), 0);
	assert_int_equal(got.count, 1);
	assert_int_equal(answer(store_channel(store, "one", on_channels, NULL)), 0);
	assert_int_equal(got.channel.id, first);
	assert_int_equal(answer(store_channel(store, "three", on_channels, NULL)), 0);
	assert_int_not_equal(got.channel.id, first);
}

/* -------- the thread -------- */

static int answered, failed;

static void count_done(void *arg, int err)
{
	assert_int_equal((intptr_t)arg, answered); /* in order */
	answered++;
	failed += err != 0;
}

static void count_key(void *arg, int err, uint64_t epoch, const struct km_key *key)
{
	count_done(arg, err);
}

/** One that fails does not take those with it that were committed in one group. */
static void count_ping(void *arg, int err)
{
	assert_int_equal(err, 0);
	++*(int *)arg;
}

/** A new store of the peer ends what was shared with its old one, once. */
static void test_peer(void **state)
{
	static const uint8_t first[16] = {1}, second[16] = {2};
	struct km_key keys[8];

	random_keys(keys, 8);
	keys[4].simulated = true;
	assert_int_equal(add("link", keys, 2, STORE_PENDING), 0);
	assert_int_equal(add("link", keys + 2, 4, STORE_READY), 0);
	assert_int_equal(add("other", keys + 6, 2, STORE_READY), 0);
	assert_int_equal(take("link", "ch", 0), 0);
	/* The first that is heard of: nothing is known of any before. */
	assert_int_equal(tell_peer("link", first), 0);
	assert_int_equal(tell_peer("link", first), 0);
	expect_counts("link", 2, 3, 1, 0);
	close_store();
	assert_int_equal(open_store(), 0);
	assert_int_equal(tell_peer("link", first), 0);
	assert_int_equal(tell_peer("link", second), 3);
	expect_counts("link", 2, 0, 1, 3);
	assert_false(got.counts.simulated);
	assert_int_equal(take("link", "ch", 0), -ENOKEY);
	assert_int_equal(tell_peer("link", second), 0);
	/* Other links have peers of their own, and what comes after is shared with the new one. */
	assert_int_equal(tell_peer("other", second), 0);
	expect_counts("other", 0, 2, 0, 0);
	assert_int_equal(set_state("link", &keys[0], STORE_READY), 0);
	assert_int_equal(tell_peer("link", second), 0);
	expect_counts("link", 1, 1, 1, 3);
	assert_int_equal(tell_peer("link", first), 1);
	assert_int_equal(tell_peer("none", first), 0);
	assert_int_equal(tell_peer("none", second), 0);
	assert_int_equal(store_peer(store, "", first, on_peer, NULL), -EINVAL);
	assert_int_equal(store_peer(store, NULL, first, on_peer, NULL), -EINVAL);
}

/** A sign of life comes in its turn, and at the latest with the end. */
static void test_ping(void **state)
{
	struct km_key key;
	int pings = 0;

	assert_int_equal(answer(store_ping(store, on_done, NULL)), 0);
	random_key(&key);
	assert_int_equal(store_add(store, "link", &key, 1, STORE_READY, NULL, NULL), 0);
	assert_int_equal(store_ping(store, count_ping, &pings), 0);
	close_store();
	assert_int_equal(pings, 1);
	assert_int_equal(open_store(), 0);
	expect_counts("link", 0, 1, 0, 0);
}

static void test_group(void **state)
{
	struct km_key keys[1000], unknown;
	intptr_t n = 0;

	random_keys(keys, 1000);
	random_key(&unknown);
	answered = failed = 0;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(
			store_add(store, "link", &keys[i], 1, STORE_READY, count_done, (void *)n++),
			0);
		assert_int_equal(store_take_id(store, "link", "ch", (uint64_t)i, &unknown.id,
					       count_key, (void *)n++),
				 0);
	}
	assert_int_equal(add("link", keys, 1, STORE_READY), 0);
	assert_int_equal(answered, 2000);
	assert_int_equal(failed, 1000);
	expect_counts("link", 0, 1000, 0, 0);
}

static void test_close_answers(void **state)
{
	struct km_key keys[100];

	random_keys(keys, 100);
	answered = failed = 0;
	for (intptr_t i = 0; i < 100; i++)
		assert_int_equal(
			store_add(store, "link", &keys[i], 1, STORE_READY, count_done, (void *)i),
			0);
	close_store();
	assert_int_equal(answered, 100);
	assert_int_equal(failed, 0);
	assert_int_equal(open_store(), 0);
	expect_counts("link", 0, 100, 0, 0);
}

static void test_reopen(void **state)
{
	struct km_key keys[3];
	uint8_t id[16];
	char print[2][KM_KEY_FINGERPRINT_TEXT];

	random_keys(keys, 3);
	keys[2].simulated = true;
	memcpy(id, store_id(store), sizeof(id));
	assert_int_equal(id[6] >> 4, 4);
	assert_int_equal(store_fingerprint(store, &keys[0], print[0]), 0);
	assert_int_equal(add("link", keys, 3, STORE_READY), 0);
	assert_int_equal(take("link", "ch", 0), 0);
	close_store();
	assert_int_equal(open_store(), 0);
	assert_memory_equal(store_id(store), id, sizeof(id));
	assert_int_equal(store_fingerprint(store, &keys[0], print[1]), 0);
	assert_string_equal(print[0], print[1]);
	expect_counts("link", 0, 2, 1, 0);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_int_equal(got.epoch, 1);
	assert_same_key(&got.keys[0], &keys[1]);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_same_key(&got.keys[0], &keys[2]);
}

/* -------- what is on the disk -------- */

static bool on_disk(const void *octets, size_t len)
{
	static uint8_t content[8 << 20];
	static const char *const names[] = {"keys.db", "keys.db-wal", "keys.db-shm"};
	bool there = false;

	for (int i = 0; i < 3; i++) {
		char path[PATH_BYTES + 32];
		ssize_t size;
		int fd;

		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		size = read(fd, content, sizeof(content));
		assert_in_range(size, 0, sizeof(content) - 1);
		there |= memmem(content, (size_t)size, octets, len) != NULL;
		close(fd);
	}
	return there;
}

static void test_on_disk(void **state)
{
	struct km_key keys[20];
	uint8_t sealed[76];
	sqlite3_stmt *stmt;
	struct stat st;
	sqlite3 *db;

	random_keys(keys, 20);
	assert_int_equal(add("link", keys, 20, STORE_READY), 0);
	for (int i = 0; i < 20; i++) {
		assert_true(on_disk(&keys[i].id, sizeof(keys[i].id)));
		assert_false(on_disk(keys[i].value, 8));
		assert_false(on_disk(keys[i].value + 24, 8));
	}
	assert_int_equal(stat(database, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	/* The sealed value of a used key is gone too. */
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT sealed FROM keys ORDER BY seq LIMIT 1", -1,
					    &stmt, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_int_equal(sqlite3_column_bytes(stmt, 0), sizeof(sealed));
	memcpy(sealed, sqlite3_column_blob(stmt, 0), sizeof(sealed));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	assert_true(on_disk(sealed + 16, 60));
	assert_int_equal(take("link", "ch", 0), 0);
	close_store();
	assert_false(on_disk(sealed + 16, 60));
	assert_int_equal(sql("SELECT count(*) FROM keys WHERE state = 3 AND sealed IS NULL"), 1);
	assert_int_equal(sql("SELECT count(*) FROM used WHERE channel = 'ch' AND epoch = 0"), 1);
	assert_int_equal(open_store(), 0);
}

/** The database itself refuses, whatever code talks to it. */
static void test_constraints(void **state)
{
	static const char *const forbidden[] = {
		"UPDATE keys SET state = 2, sealed = x'00', channel = NULL, epoch = NULL"
		" WHERE state = 3",
		"UPDATE keys SET epoch = 5 WHERE state = 3",
		"DELETE FROM keys",
		"DELETE FROM channels",
		"UPDATE channels SET next_epoch = 0",
		"UPDATE keys SET state = 3, sealed = NULL, channel = 1, epoch = 0 WHERE state = 2",
		"INSERT INTO keys(key_id, link, state, simulated, sealed, added, changed)"
		" SELECT key_id, link, 2, 0, x'00', 0, 0 FROM keys",
		/* OR REPLACE removes what is in its way, and fires no delete trigger. */
		"INSERT OR REPLACE INTO keys(key_id, link, state, simulated, sealed, added, "
		"changed)"
		" SELECT key_id, link, 2, 0, x'00', 0, 0 FROM keys WHERE state = 3",
		"INSERT OR REPLACE INTO keys(seq, key_id, link, state, simulated, sealed, added,"
		" changed) SELECT seq, randomblob(16), link, 2, 0, x'00', 0, 0 FROM keys",
		"INSERT OR REPLACE INTO keys(key_id, link, state, simulated, channel, epoch, added,"
		" changed) SELECT randomblob(16), link, 3, 0, channel, epoch, 0, 0 FROM keys"
		" WHERE state = 3",
		"UPDATE OR REPLACE keys SET key_id = (SELECT key_id FROM keys WHERE state = 3)"
		" WHERE state = 2",
		"UPDATE OR REPLACE keys SET seq = (SELECT seq FROM keys WHERE state = 3)"
		" WHERE state = 2",
		"UPDATE OR REPLACE keys SET state = 3, sealed = NULL, channel = 1, epoch = 0"
		" WHERE state = 2",
		"INSERT OR REPLACE INTO channels(name, next_epoch) VALUES ('ch', 0)",
		"INSERT OR REPLACE INTO channels(id, name, next_epoch) VALUES (1, 'other', 0)",
		"UPDATE OR REPLACE channels SET name = 'ch' WHERE name = 'second'",
		"UPDATE channels SET name = 'third'",
	};
	static const char rows[] = "SELECT group_concat(hex(key_id) || state || ifnull(epoch, '-'))"
				   " FROM (SELECT * FROM keys ORDER BY seq)";
	char before[256], after[256];
	struct km_key keys[2];
	sqlite3 *db;

	random_keys(keys, 2);
	assert_int_equal(add("link", keys, 2, STORE_READY), 0);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_int_equal(answer(store_channel(store, "second", on_channels, NULL)), 0);
	close_store();
	sql_text(rows, before, sizeof(before));
	assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		if (sqlite3_exec(db, forbidden[i], NULL, NULL, NULL) != SQLITE_CONSTRAINT)
			fail_msg("was not refused: %s", forbidden[i]);
	/* IGNORE passes no trigger either. */
	assert_int_equal(sqlite3_exec(db,
				      "UPDATE OR IGNORE keys SET state = 3, sealed = NULL,"
				      " channel = 1, epoch = 0 WHERE state = 2",
				      NULL, NULL, NULL),
			 SQLITE_CONSTRAINT);
	sqlite3_close(db);
	sql_text(rows, after, sizeof(after));
	assert_string_equal(before, after);
	assert_int_equal(open_store(), 0);
	assert_int_equal(add("link", keys, 2, STORE_READY), 0); /* as ever: it changes nothing */
	expect_counts("link", 0, 1, 1, 0);
}

static void test_changed_value(void **state)
{
	struct km_key keys[4];

	random_keys(keys, 4);
	assert_int_equal(add("link", keys, 4, STORE_READY), 0);
	close_store();
	/* The first's value is another's, the second claims to be simulated, the third is cut. */
	sql("UPDATE keys SET sealed = (SELECT sealed FROM keys WHERE seq = 4) WHERE seq = 1");
	sql("UPDATE keys SET simulated = 1 WHERE seq = 2");
	assert_int_equal(open_store(), 0);
	/* Whatever meets them first discards them. */
	assert_int_equal(take_id("link", "ch", 0, &keys[1]), -ENOKEY);
	expect_counts("link", 0, 3, 0, 1);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_same_key(&got.keys[0], &keys[2]);
	assert_int_equal(got.epoch, 0);
	expect_counts("link", 0, 1, 1, 2);
}

/** Damaged keys do not count for keys, in a list or a search: PENDING ones too. */
static void test_changed_value_listed(void **state)
{
	struct km_key keys[6];

	random_keys(keys, 6);
	assert_int_equal(add("link", keys, 3, STORE_PENDING), 0);
	assert_int_equal(add("link", keys + 3, 3, STORE_READY), 0);
	close_store();
	sql("UPDATE keys SET sealed = (SELECT sealed FROM keys WHERE seq = 4) WHERE seq = 1");
	sql("UPDATE keys SET sealed = x'00' WHERE seq = 3"); /* cut */
	sql("UPDATE keys SET simulated = 1 WHERE seq = 5");
	assert_int_equal(open_store(), 0);
	assert_int_equal(list("link", STORE_PENDING, 10), 0);
	assert_int_equal(got.count, 1);
	assert_same_key(&got.keys[0], &keys[1]);
	expect_counts("link", 1, 3, 0, 2);
	assert_int_equal(list("link", STORE_PENDING, 10), 0);
	assert_int_equal(got.count, 1);
	expect_counts("link", 1, 3, 0, 2);
	assert_int_equal(list("link", STORE_DISCARDED, 10), 0);
	assert_int_equal(got.count, 2);
	assert_int_equal(set_state("link", &keys[0], STORE_READY), 0);
	expect_counts("link", 1, 3, 0, 2);
	assert_int_equal(answer(store_find(store, "link", &keys[4].id, 1, on_found, NULL)), 0);
	assert_int_equal(got.found[0].state, STORE_DISCARDED);
	expect_counts("link", 1, 2, 0, 3);
	/* Not one that is another link's. */
	close_store();
	sql("UPDATE keys SET sealed = x'00' WHERE seq = 6");
	assert_int_equal(open_store(), 0);
	assert_int_equal(answer(store_find(store, "none", &keys[5].id, 1, on_found, NULL)), 0);
	assert_true(got.found[0].other_link);
	expect_counts("link", 1, 2, 0, 3);
}

/* -------- what cannot be opened -------- */

static void refused(int err, const char *text)
{
	assert_int_equal(open_store(), err);
	assert_null(store);
	if (!strstr(message, text) || !strstr(message, directory))
		fail_msg("message \"%s\" lacks \"%s\"", message, text);
}

/** A store that the first release made, before the triggers of schema 2. */
static void make_schema_1(void)
{
	static const char *const triggers[] = {"keys_once", "keys_same", "keys_epoch_once",
					       "channels_once", "channels_same"};
	char text[80];

	for (size_t i = 0; i < sizeof(triggers) / sizeof(triggers[0]); i++) {
		snprintf(text, sizeof(text), "DROP TRIGGER %s", triggers[i]);
		sql(text);
	}
	sql("UPDATE meta SET value = 1 WHERE name = 'schema'");
}

static void test_migration(void **state)
{
	static const char schema[] =
		"SELECT group_concat(name || sql) FROM"
		" (SELECT * FROM sqlite_schema WHERE sql NOT NULL ORDER BY name)";
	static char before[8192], after[8192];
	struct km_key keys[3];

	random_keys(keys, 3);
	assert_int_equal(add("link", keys, 3, STORE_READY), 0);
	assert_int_equal(take("link", "ch", 7), 0);
	close_store();
	sql_text(schema, before, sizeof(before));
	make_schema_1();
	assert_int_equal(open_store(), 0);
	expect_counts("link", 0, 2, 1, 0);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_int_equal(got.epoch, 8);
	assert_same_key(&got.keys[0], &keys[1]);
	close_store();
	/* As a new one, and once only. */
	sql_text(schema, after, sizeof(after));
	assert_string_equal(before, after);
	assert_int_equal(sql("SELECT value FROM meta WHERE name = 'schema'"), 2);
	assert_int_equal(open_store(), 0);
}

/** A step that cannot be done leaves nothing of itself, and no way around it. */
static void test_migration_fails(void **state)
{
	struct km_key key;

	random_key(&key);
	assert_int_equal(add("link", &key, 1, STORE_READY), 0);
	close_store();
	make_schema_1();
	/* In the way of the step's last part. */
	sql("CREATE TRIGGER channels_same BEFORE UPDATE ON channels BEGIN SELECT 1; END");
	refused(-EIO, "has schema 1, which cannot be brought to 2");
	assert_int_equal(sql("SELECT value FROM meta WHERE name = 'schema'"), 1);
	assert_int_equal(sql("SELECT count(*) FROM sqlite_schema WHERE name = 'keys_once'"), 0);
	sql("DROP TRIGGER channels_same");
	assert_int_equal(open_store(), 0);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_same_key(&got.keys[0], &key);
}

static void test_wrong_master_key(void **state)
{
	char old[PATH_BYTES + 32];
	struct km_key key;

	random_key(&key);
	assert_int_equal(add("link", &key, 1, STORE_READY), 0);
	close_store();
	snprintf(old, sizeof(old), "%s.old", master);
	rename(master, old);
	refused(-ENOENT, "no master key");
	assert_int_equal(store_make_master_key(master), 0);
	refused(-EKEYREJECTED, "made with another master key");
	rename(old, master);
	assert_int_equal(open_store(), 0);
	assert_int_equal(take("link", "ch", 0), 0);
	assert_same_key(&got.keys[0], &key);
}

static void test_second_opener(void **state)
{
	struct store *first = store;

	store = NULL;
	refused(-EBUSY, "another qkdkeyd has the store");
	store = first;
	close_store();
	assert_int_equal(open_store(), 0);
}

static void test_damaged(void **state)
{
	uint8_t garbage[8192];
	struct km_key keys[500];
	int fd;

	random_keys(keys, 500);
	assert_int_equal(add("link", keys, 500, STORE_READY), 0);
	close_store();
	/* Pages in the middle. */
	memset(garbage, 0x5a, sizeof(garbage));
	fd = open(database, O_RDWR);
	assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 4096 * 9), sizeof(garbage));
	close(fd);
	refused(-EIO, "is damaged");
	/* The head. */
	write_file(database, garbage, sizeof(garbage));
	refused(-EIO, "is damaged");
	/* Not ours. */
	unlink(database);
	sql("CREATE TABLE meta (name TEXT PRIMARY KEY, value)");
	refused(-EPROTONOSUPPORT, "schema -1");
	unlink(database);
	assert_int_equal(open_store(), 0);
	expect_counts("link", 0, 0, 0, 0);
	close_store();
	sql("UPDATE meta SET value = value + 1 WHERE name = 'schema'");
	refused(-EPROTONOSUPPORT, "a newer qkdkeyd wrote it. Install that version again");
	sql("UPDATE meta SET value = value - 1 WHERE name = 'schema'");
	sql("DELETE FROM meta WHERE name = 'probe'");
	refused(-EIO, "is damaged");
	unlink(database);
	assert_int_equal(open_store(), 0);
}

static void test_directory(void **state)
{
	close_store();
	chmod(directory, 0770);
	refused(-EPERM, "others may write to the store's directory (mode 0770)");
	chmod(directory, 0700);
	assert_int_equal(
		store_open(loop, "/proc/nonexistent", master, &store, message, sizeof(message)),
		-ENOENT);
	assert_non_null(strstr(message, "cannot make the store's directory"));
	assert_int_equal(store_open(loop, "/dev/null", master, &store, message, sizeof(message)),
			 -ENOTDIR);
	assert_int_equal(open_store(), 0);
}

/** A new directory is there after a power cut, with what is in it. */
static void test_new_directory(void **state)
{
	char path[PATH_BYTES + 16];
	struct stat st;

	close_store();
	snprintf(path, sizeof(path), "%s/new", directory);
	memset(synced, 0, sizeof(synced));
	assert_int_equal(store_open(loop, path, master, &store, message, sizeof(message)), 0);
	assert_true(was_synced(directory));
	assert_true(was_synced(path));
	close_store();
	/* Where it cannot be made durable, it is not there: the next start tries again. */
	snprintf(path, sizeof(path), "%s/other/", directory);
	assert_int_equal(stat(directory, &st), 0);
	unsyncable = st.st_ino;
	assert_int_equal(store_open(loop, path, master, &store, message, sizeof(message)), -EIO);
	unsyncable = 0;
	assert_non_null(strstr(message, "cannot be made durable"));
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(store_open(loop, path, master, &store, message, sizeof(message)), 0);
	assert_true(was_synced(directory));
	close_store();
	assert_int_equal(open_store(), 0);
}

static void test_read_only(void **state)
{
	uid_t uid = geteuid();

	close_store();
	/* Root ignores modes: be somebody else for a moment. */
	if (uid == 0) {
		assert_int_equal(chown(directory, 65534, 65534), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	chmod(directory, 0500);
	chmod(database, 0400);
	assert_int_equal(open_store(), -EACCES);
	assert_non_null(strstr(message, directory));
	chmod(directory, 0700);
	assert_int_equal(seteuid(uid), 0);
	chmod(database, 0600);
	assert_int_equal(open_store(), 0);
}

/* -------- kill -9 -------- */

struct proof {
	uint64_t epoch;
	struct km_key_id id;
};

static int proofs;

static void on_taken(void *arg, int err, uint64_t epoch, const struct km_key *key)
{
	struct proof proof = {.epoch = epoch};

	if (err)
		_exit(3);
	proof.id = key->id;
	/* Atomic: shorter than PIPE_BUF. What was handed out is told before all else. */
	if (write(proofs, &proof, sizeof(proof)) != sizeof(proof))
		_exit(4);
	if (store_take(store, "link", "ch", 0, on_taken, NULL))
		_exit(5);
}

static void keep_adding(void *arg, int err)
{
	struct km_key keys[16];

	if (err)
		_exit(6);
	random_keys(keys, 16);
	if (store_add(store, "link", keys, 16, STORE_READY, keep_adding, NULL))
		_exit(7);
}

/** Takes and adds as fast as it can, until it is killed. */
static void victim(void)
{
	if (loop_create(&loop) || open_store())
		_exit(2);
	keep_adding(NULL, 0);
	for (int i = 0; i < 8; i++)
		store_take(store, "link", "ch", 0, on_taken, NULL);
	loop_run(loop);
	_exit(8);
}

static int by_epoch(const void *a, const void *b)
{
	const struct proof *x = a, *y = b;

	return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(&((const struct proof *)a)->id, &((const struct proof *)b)->id, 16);
}

static void test_kill(void **state)
{
	static struct proof proof[200000];
	size_t count = 0;

	close_store();
	loop_destroy(loop);
	for (int round = 0; round < 12; round++) {
		size_t before = count, enough = 20 + (size_t)round * 13;
		int ends[2], status;
		pid_t pid;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (pid == 0) {
			close(ends[0]);
			proofs = ends[1];
			victim();
		}
		close(ends[1]);
		while (count - before < enough) {
			assert_int_equal(read(ends[0], &proof[count], sizeof(proof[0])),
					 sizeof(proof[0]));
			count++;
		}
		kill(pid, SIGKILL);
		while (read(ends[0], &proof[count], sizeof(proof[0])) == sizeof(proof[0]))
			count++;
		close(ends[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_in_range(count, 1, sizeof(proof) / sizeof(proof[0]) - 10000);
	}
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(open_store(), 0);
	/* Nothing twice, across all lives of the store. */
	qsort(proof, count, sizeof(proof[0]), by_id);
	for (size_t i = 1; i < count; i++)
		assert_int_not_equal(by_id(&proof[i - 1], &proof[i]), 0);
	qsort(proof, count, sizeof(proof[0]), by_epoch);
	for (size_t i = 1; i < count; i++)
		assert_int_not_equal(proof[i - 1].epoch, proof[i].epoch);
	/* What was handed out is durable, and the next epoch lies behind it. */
	for (size_t i = 0; i < count; i += 17) {
		struct km_key key = {.id = proof[i].id};

		assert_int_equal(take_id("link", "ch2", i, &key), -ESTALE);
	}
	assert_int_equal(take("link", "ch", 0), 0);
	assert_true(got.epoch > proof[count - 1].epoch);
	assert_int_equal(answer(store_count(store, "link", on_counts, NULL)), 0);
	assert_true(got.counts.used > count);
	close_store();
	/* The counts that are kept are the counts that are. */
	assert_int_equal(
		sql("SELECT (SELECT used FROM links) - count(*) FROM keys WHERE state = 3"), 0);
	assert_int_equal(
		sql("SELECT (SELECT ready FROM links) - count(*) FROM keys WHERE state = 2"), 0);
	assert_int_equal(open_store(), 0);
}

/* -------- a full disk -------- */

/** In a namespace of its own, on a tmpfs of 1 MiB. Exit status: which step failed. */
static int on_full_disk(void)
{
	static char filler[1 << 20];
	char path[PATH_BYTES + 16];
	struct km_key keys[64];
	uint64_t epoch;
	int fd;

	if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", directory, "tmpfs", 0, "size=1m,mode=0700") < 0)
		return 77;
	if (store_make_master_key(master) || loop_create(&loop) || open_store())
		return 1;
	random_keys(keys, 64);
	if (add("link", keys, 64, STORE_READY) || take("link", "ch", 0))
		return 2;
	epoch = got.epoch;
	snprintf(path, sizeof(path), "%s/filler", directory);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	while (write(fd, filler, sizeof(filler)) > 0)
		;
	close(fd);
	/* A few may fit into what SQLite has; then each is refused, and nothing is lost. */
	for (int i = 0; i < 1000; i++) {
		int err = take("link", "ch", 0);

		if (err == -ENOSPC)
			break;
		if (err || got.epoch != epoch + 1)
			return 3;
		epoch++;
	}
	if (got.err != -ENOSPC || take("link", "ch", 0) != -ENOSPC)
		return 4;
	random_keys(keys, 64);
	if (add("link", keys, 64, STORE_READY) != -ENOSPC)
		return 5;
	if (list("link", STORE_READY, 64) || got.count != 63 - epoch)
		return 6; /* reading goes on */
	unlink(path);
	if (take("link", "ch", 0) || got.epoch != epoch + 1)
		return 7;
	close_store();
	loop_destroy(loop);
	return 0;
}

static void test_full_disk(void **state)
{
	int status;
	pid_t pid;

	close_store();
	loop_destroy(loop);
	pid = fork();
	if (pid == 0)
		_exit(on_full_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(open_store(), 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* may not mount here */
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define store_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		store_test(test_oldest_first),
		store_test(test_pending),
		store_test(test_take_id),
		store_test(test_enters_once),
		store_test(test_find),
		store_test(test_arguments),
		store_test(test_channels),
		store_test(test_group),
		store_test(test_ping),
		store_test(test_peer),
		store_test(test_close_answers),
		store_test(test_reopen),
		store_test(test_on_disk),
		store_test(test_constraints),
		store_test(test_changed_value),
		store_test(test_changed_value_listed),
		store_test(test_wrong_master_key),
		store_test(test_second_opener),
		store_test(test_damaged),
		store_test(test_new_directory),
		store_test(test_directory),
		store_test(test_read_only),
		store_test(test_migration),
		store_test(test_migration_fails),
		store_test(test_kill),
		store_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
