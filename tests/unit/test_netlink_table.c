// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The netlink backend's channels on a real loop, with the kernel's part
 * written down instead of done:
 *
 *   put N / use N / in- N / out- N     the steps of epoch N
 *   queue N                            its material is kept
 *   old-in / old-out                   SAs of an earlier process removed
 *   close                              the channel goes
 */
#include "km/secret.h"
#include "unp/netlink/table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct netlink_table *table;
static char did[2048];
static char heard[2048];
static int open_result, put_result, use_result, remove_result;
static bool stale_in, stale_out;
static struct netlink_limits limits; /* of the last SA in use */
static uint64_t sent_packets;
static int sent_result;

__attribute__((format(printf, 2, 3))) static void note(char list[2048], const char *format, ...)
{
	size_t len = strlen(list);
	va_list args;

	va_start(args, format);
	vsnprintf(list + len, 2048 - len, format, args);
	va_end(args);
	len = strlen(list);
	snprintf(list + len, 2048 - len, " ");
}

/* -------- in place of netlink/install.c -------- */

int netlink_install_open(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			 struct netlink_stale *stale)
{
	return open_result;
}

int netlink_install_put(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			struct netlink_stale *stale, const struct qkd_key *key,
			struct netlink_sa *sa)
{
	note(did, "put %llu", (unsigned long long)key->epoch);
	if (put_result)
		return put_result;
	sa->epoch = key->epoch;
	sa->spi_out = (uint32_t)key->epoch + 2000;
	assert_int_equal(key->in.key[0], 1);
	sa->out = secret_alloc(sizeof(*sa->out));
	assert_non_null(sa->out);
	*sa->out = key->out;
	return 0;
}

int netlink_install_queue(const struct qkd_key *key, struct netlink_sa *sa)
{
	note(did, "queue %llu", (unsigned long long)key->epoch);
	sa->queued = secret_alloc(sizeof(*sa->queued));
	assert_non_null(sa->queued);
	*sa->queued = *key;
	sa->epoch = key->epoch;
	return 0;
}

int netlink_install_queued(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			   struct netlink_stale *stale, struct netlink_sa *sa)
{
	int err;

	assert_non_null(sa->queued);
	err = netlink_install_put(kernel, channel, stale, sa->queued, sa);
	secret_free(sa->queued);
	sa->queued = NULL;
	sa->failed = err;
	return err;
}

int netlink_install_sent(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			 const struct netlink_sa *sa, uint64_t *packets, uint64_t *bytes)
{
	*packets = sent_packets;
	*bytes = 100 * sent_packets;
	return sent_result;
}

int netlink_install_activate(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			     struct netlink_sa *sa, const struct netlink_limits *sa_limits)
{
	limits = *sa_limits;
	note(did, "use %llu", (unsigned long long)sa->epoch);
	return use_result;
}

int netlink_install_remove_in(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			      const struct netlink_sa *sa)
{
	note(did, "in- %llu", (unsigned long long)sa->epoch);
	return remove_result;
}

int netlink_install_remove_out(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			       struct netlink_sa *sa)
{
	note(did, "out- %llu", (unsigned long long)sa->epoch);
	return remove_result;
}

void netlink_install_report(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			    const struct netlink_sa *sa, struct qkd_epoch *record)
{
	record->spi_in = (uint32_t)sa->epoch + 1000;
}

bool netlink_install_has_stale(const struct netlink_stale *stale, bool out)
{
	return out ? stale_out : stale_in;
}

int netlink_install_remove_stale(struct netlink_kernel *kernel, const struct qkd_channel *channel,
				 struct netlink_stale *stale, bool out)
{
	note(did, out ? "old-out" : "old-in");
	if (!remove_result)
		*(out ? &stale_out : &stale_in) = false;
	return remove_result;
}

int netlink_install_close(struct netlink_kernel *kernel, const struct qkd_channel *channel,
			  struct netlink_stale *stale)
{
	note(did, "close");
	return remove_result;
}

void netlink_sa_free(struct netlink_sa *sa)
{
	if (!sa)
		return;
	secret_free(sa->out);
	secret_free(sa->queued);
	free(sa);
}

/* -------- the table's world -------- */

static void on_event(const struct qkd_event *event, void *arg)
{
	static const char *const name[] = {
		[QKD_EVENT_INSTALLED] = "installed", [QKD_EVENT_ACTIVATED] = "activated",
		[QKD_EVENT_RETIRED] = "retired",     [QKD_EVENT_LOW] = "low",
		[QKD_EVENT_EXHAUSTED] = "exhausted", [QKD_EVENT_BLOCKED] = "blocked",
		[QKD_EVENT_FAILED] = "failed",	     [QKD_EVENT_PEER_MOVED] = "moved",
		[QKD_EVENT_ADDED] = "added",	     [QKD_EVENT_DELETED] = "deleted",
	};

	assert_int_equal(event->channel, 3);
	assert_in_range(event->type, 1, 10);
	if (event->type == QKD_EVENT_LOW)
		return;
	if (event->epoch == QKD_EPOCH_NONE)
		note(heard, "%s", name[event->type]);
	else
		note(heard, "%s %llu", name[event->type], (unsigned long long)event->epoch);
}

static int setup(void **state)
{
	did[0] = '\0';
	heard[0] = '\0';
	open_result = put_result = use_result = remove_result = sent_result = 0;
	sent_packets = 0;
	stale_in = stale_out = false;
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(netlink_table_create(loop, NULL, on_event, NULL, &table), 0);
	return 0;
}

static int teardown(void **state)
{
	netlink_table_destroy(table);
	loop_destroy(loop);
	return 0;
}

static void stop(void *arg)
{
	loop_stop(loop, 0);
}

static void run_for(unsigned int ms)
{
	struct loop_timer timer = {.fire = stop};

	assert_int_equal(loop_timer_set(loop, &timer, ms), 0);
	assert_int_equal(loop_run(loop), 0);
}

static struct qkd_channel esp_channel(void)
{
	return (struct qkd_channel){
		.id = 3,
		.kind = QKD_KIND_ESP_TUNNEL,
		.cipher = QKD_CIPHER_AES_256_GCM,
		.on_exhausted = QKD_EXHAUSTED_HOLD,
		.lookahead = 3,
		.family = AF_INET,
		.rollover_ms = 60000,
		.grace_ms = 100,
		.reqid = 9,
		.replay_window = 64,
		.local = {192, 0, 2, 1},
		.remote = {192, 0, 2, 2},
		.first_epoch = 5,
		.name = "office",
	};
}

static int add(struct qkd_channel channel)
{
	netlink_table_run(table, QKD_CMD_CHANNEL_ADD, &channel);
	return channel.status;
}

static int put(uint64_t epoch)
{
	/* The jitter comes from the first and the last four octets. */
	struct qkd_key key = {.channel = 3, .epoch = epoch, .key_id = {1, [12] = (uint8_t)epoch}};
	static const uint8_t zero[sizeof(struct qkd_material)];

	memset(key.in.key, 1, sizeof(key.in.key));
	memset(key.out.key, 2, sizeof(key.out.key));
	netlink_table_run(table, QKD_CMD_KEY_PUT, &key);
	/* Whatever came of it, the record has no key any more. */
	assert_memory_equal(&key.in, zero, sizeof(zero));
	assert_memory_equal(&key.out, zero, sizeof(zero));
	assert_int_equal(key.key_id[0], 0);
	assert_int_equal(key.epoch, epoch);
	return key.status;
}

static int watermark(uint64_t first, uint64_t last, uint64_t peer_out)
{
	struct qkd_watermark w = {.channel = 3, .first = first, .last = last, .peer_out = peer_out};

	netlink_table_run(table, QKD_CMD_WATERMARK, &w);
	return w.status;
}

static int rollover(uint64_t *epoch)
{
	struct qkd_rollover r = {.channel = 3};

	netlink_table_run(table, QKD_CMD_ROLLOVER, &r);
	*epoch = r.epoch;
	return r.status;
}

/* -------- tests -------- */

static void a_life(void **state)
{
	uint64_t epoch;

	assert_int_equal(add(esp_channel()), 0);
	assert_int_equal(put(5), 0);
	assert_int_equal(put(6), 0);
	assert_string_equal(did, "put 5 put 6 ");
	assert_int_equal(watermark(5, 5, QKD_EPOCH_NONE), 0);
	assert_string_equal(did, "put 5 put 6 use 5 ");
	assert_int_equal(rollover(&epoch), -EAGAIN);
	assert_int_equal(watermark(5, 6, 5), 0);
	assert_int_equal(rollover(&epoch), 0);
	assert_int_equal(epoch, 6);
	run_for(200);
	assert_string_equal(did, "put 5 put 6 use 5 use 6 out- 5 ");
	assert_int_equal(watermark(5, 6, 6), 0);
	run_for(200);
	assert_string_equal(did, "put 5 put 6 use 5 use 6 out- 5 in- 5 ");
	assert_string_equal(heard, "added installed 5 installed 6 activated 5 moved 5 activated 6 "
				   "moved 6 retired 5 ");
}

static void rolls_over_on_time_then_holds_then_blocks(void **state)
{
	struct qkd_channel channel = esp_channel();

	channel.rollover_ms = 150;
	channel.hard_ms = 100;
	assert_int_equal(add(channel), 0);
	assert_int_equal(put(5), 0);
	assert_int_equal(put(6), 0);
	assert_int_equal(watermark(5, 6, QKD_EPOCH_NONE), 0);
	run_for(1000);
	assert_string_equal(did, "put 5 put 6 use 5 use 6 out- 5 out- 6 ");
	assert_non_null(strstr(heard, "activated 5 activated 6 exhausted blocked 6 "));
}

static uint8_t state_of(void)
{
	struct qkd_channel *channels;
	size_t n;
	uint8_t state;

	assert_int_equal(netlink_table_channels(table, &channels, &n), 0);
	assert_int_equal(n, 1);
	state = channels[0].state;
	free(channels);
	return state;
}

/* Its last key encrypts still: it is not blocked, whatever the time is. */
static void is_not_blocked_while_its_sa_stands(void **state)
{
	struct qkd_channel channel = esp_channel();

	channel.rollover_ms = 150;
	channel.hard_ms = 100;
	assert_int_equal(add(channel), 0);
	assert_int_equal(put(5), 0);
	assert_int_equal(watermark(5, 5, QKD_EPOCH_NONE), 0);
	remove_result = -ENOBUFS;
	while (!strstr(did, "out- 5 out- 5 "))
		run_for(50);
	assert_int_equal(state_of(), QKD_CHANNEL_OVERDUE);
	assert_null(strstr(heard, "blocked"));
	assert_non_null(strstr(heard, "exhausted failed 5 "));
	assert_null(strstr(strstr(heard, "failed 5 ") + 1, "failed"));
	remove_result = 0;
	while (state_of() != QKD_CHANNEL_BLOCKED)
		run_for(50);
	assert_non_null(strstr(heard, "failed 5 blocked 5 "));
}

/* Nor does one that is over end what is in use. */
static void goes_on_while_an_old_sa_stands(void **state)
{
	uint64_t epoch;

	assert_int_equal(add(esp_channel()), 0);
	put(5);
	put(6);
	watermark(5, 6, QKD_EPOCH_NONE);
	remove_result = -ENOBUFS;
	assert_int_equal(rollover(&epoch), 0);
	while (!strstr(did, "out- 5 out- 5 "))
		run_for(50);
	assert_int_equal(put(7), 0);
	assert_int_equal(watermark(6, 7, 6), 0);
	assert_int_equal(rollover(&epoch), 0);
	assert_int_equal(epoch, 7);
	assert_null(strstr(heard, "retired"));
	remove_result = 0;
	while (!strstr(heard, "retired 5"))
		run_for(50);
}

static void what_stands_is_not_deleted(void **state)
{
	struct qkd_channel channel = {.id = 3};

	assert_int_equal(add(esp_channel()), 0);
	put(5);
	watermark(5, 5, QKD_EPOCH_NONE);
	remove_result = -EPERM;
	netlink_table_run(table, QKD_CMD_CHANNEL_DELETE, &channel);
	assert_int_equal(channel.status, -EPERM);
	assert_null(strstr(did, "in- "));
	assert_null(strstr(heard, "deleted"));
	remove_result = 0;
	netlink_table_run(table, QKD_CMD_CHANNEL_DELETE, &channel);
	assert_int_equal(channel.status, 0);
	assert_non_null(strstr(did, "out- 5 out- 5 in- 5 close "));
	assert_non_null(strstr(heard, "deleted"));
}

/* Of an earlier process: a channel that blocks sends with none of them. */
static void old_sas_that_stand_are_tried_again(void **state)
{
	struct qkd_channel channel = esp_channel();

	channel.rollover_ms = 150;
	channel.on_exhausted = QKD_EXHAUSTED_BLOCK;
	stale_out = true;
	remove_result = -ENOBUFS;
	assert_int_equal(add(channel), 0);
	while (!strstr(did, "old-out old-out "))
		run_for(50);
	assert_string_equal(heard, "added failed ");
	remove_result = 0;
	while (stale_out)
		run_for(50);
}

static void counts(void **state)
{
	struct qkd_counters counters = {.channel = 3};
	uint64_t epoch;

	assert_int_equal(add(esp_channel()), 0);
	put(5);
	put(6);
	watermark(5, 6, QKD_EPOCH_NONE);
	rollover(&epoch);
	netlink_table_run(table, QKD_CMD_COUNTERS, &counters);
	assert_int_equal(counters.status, 0);
	assert_int_equal(counters.channel, 3);
	assert_int_equal(counters.installed, 2);
	assert_int_equal(counters.rollovers, 1);
	assert_int_equal(counters.out_epoch, 6);
	assert_int_equal(counters.in_first, 5);
	assert_int_equal(counters.in_last, 6);
	assert_int_equal(counters.peer_last, 6);
	assert_int_equal(counters.ready, 0);
	assert_int_not_equal(counters.last_rollover_ns, 0);
}

static void lists(void **state)
{
	struct qkd_channel *channels;
	struct qkd_epoch *epochs;
	size_t count;

	assert_int_equal(netlink_table_epochs(table, 3, &epochs, &count), -ENOENT);
	assert_int_equal(add(esp_channel()), 0);
	put(5);
	put(7);
	watermark(5, 5, QKD_EPOCH_NONE);
	assert_int_equal(netlink_table_channels(table, &channels, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(channels[0].id, 3);
	assert_int_equal(channels[0].first_epoch, 8);
	assert_int_equal(channels[0].state, QKD_CHANNEL_ACTIVE);
	free(channels);
	assert_int_equal(netlink_table_epochs(table, 3, &epochs, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(epochs[0].epoch, 5);
	assert_int_equal(epochs[0].out, QKD_SA_ACTIVE);
	assert_int_equal(epochs[1].epoch, 7);
	assert_int_equal(epochs[1].out, QKD_SA_READY);
	assert_int_equal(epochs[1].in, QKD_SA_ACTIVE);
	assert_int_equal(epochs[1].spi_in, 1007);
	free(epochs);
}

static void refuses_as_the_module_does(void **state)
{
	struct qkd_channel channel = esp_channel();
	struct qkd_retire retire = {.channel = 3, .epoch = 5};
	uint64_t epoch;

	assert_int_equal(put(5), -ENOENT);
	assert_int_equal(watermark(1, 1, QKD_EPOCH_NONE), -ENOENT);
	channel.rollover_ms = 1;
	assert_int_equal(add(channel), -EINVAL);
	open_result = -EOPNOTSUPP;
	assert_int_equal(add(esp_channel()), -EOPNOTSUPP);
	open_result = 0;
	assert_int_equal(add(esp_channel()), 0);
	assert_int_equal(add(esp_channel()), -EEXIST);
	assert_int_equal(put(4), -ESTALE);
	assert_int_equal(watermark(2, 1, QKD_EPOCH_NONE), -EINVAL);
	assert_int_equal(rollover(&epoch), -EAGAIN);
	assert_int_equal(put(5), 0);
	assert_int_equal(put(6), 0);
	assert_int_equal(put(7), 0);
	assert_int_equal(put(8), -ENOBUFS);
	watermark(5, 5, QKD_EPOCH_NONE);
	netlink_table_run(table, QKD_CMD_RETIRE, &retire);
	assert_int_equal(retire.status, -EBUSY);
	retire.status = 0;
	retire.epoch = 6;
	netlink_table_run(table, QKD_CMD_RETIRE, &retire);
	assert_int_equal(retire.status, 0);
	assert_non_null(strstr(did, "out- 6 in- 6 "));
	/* What the kernel refuses is spent; its reasons do not look like ours. */
	put_result = -ESTALE;
	assert_int_equal(put(9), -EIO);
	put_result = -EEXIST;
	assert_int_equal(put(10), -EEXIST);
	put_result = 0;
	assert_int_equal(put(10), -ESTALE);
	assert_int_equal(put(11), 0);
}

static void a_failed_switch_tries_the_next(void **state)
{
	assert_int_equal(add(esp_channel()), 0);
	put(5);
	use_result = -EEXIST;
	watermark(5, 9, QKD_EPOCH_NONE);
	assert_non_null(strstr(heard, "failed 5 "));
	use_result = 0;
	put(6);
	assert_non_null(strstr(did, "use 6 "));
}

static void deletes_all(void **state)
{
	struct qkd_channel channel = {.id = 3};

	assert_int_equal(add(esp_channel()), 0);
	put(5);
	put(6);
	watermark(5, 5, QKD_EPOCH_NONE);
	did[0] = '\0';
	netlink_table_run(table, QKD_CMD_CHANNEL_DELETE, &channel);
	assert_int_equal(channel.status, 0);
	assert_string_equal(did, "out- 5 out- 6 in- 5 in- 6 close ");
	netlink_table_run(table, QKD_CMD_CHANNEL_DELETE, &channel);
	assert_int_equal(channel.status, -ENOENT);
}

/* What an earlier process left goes once what replaces it is in use, not before. */
static void old_sas_stay_until_new_ones_are_used(void **state)
{
	stale_in = stale_out = true;
	assert_int_equal(add(esp_channel()), 0);
	put(5);
	run_for(200);
	assert_string_equal(did, "put 5 ");
	watermark(5, 5, QKD_EPOCH_NONE);
	assert_string_equal(did, "put 5 use 5 ");
	run_for(300);
	assert_string_equal(did, "put 5 use 5 old-out ");
	watermark(5, 5, 4); /* the peer still sends with an old one */
	run_for(200);
	assert_string_equal(did, "put 5 use 5 old-out ");
	watermark(5, 5, 5);
	run_for(300);
	assert_string_equal(did, "put 5 use 5 old-out old-in ");
}

/* Without new keys it does what the configuration says, whoever began it. */
static void old_sas_do_not_outlive_the_policy_of_the_operator(void **state)
{
	struct qkd_channel channel = esp_channel();

	stale_out = true;
	channel.on_exhausted = QKD_EXHAUSTED_BLOCK;
	channel.rollover_ms = 150;
	assert_int_equal(add(channel), 0);
	run_for(500);
	assert_string_equal(did, "old-out ");
	channel.status = 0;
	netlink_table_run(table, QKD_CMD_CHANNEL_DELETE, &channel);
	did[0] = '\0';
	stale_out = true;
	channel.status = 0;
	channel.on_exhausted = QKD_EXHAUSTED_HOLD;
	assert_int_equal(add(channel), 0); /* hold, without a limit */
	run_for(500);
	assert_string_equal(did, "");
}

/* -------- limits of octets and packets -------- */

static struct qkd_counters counters(void)
{
	struct qkd_counters c = {.channel = 3};

	netlink_table_run(table, QKD_CMD_COUNTERS, &c);
	assert_int_equal(c.status, 0);
	return c;
}

static struct qkd_channel limited_channel(void)
{
	struct qkd_channel channel = esp_channel();

	channel.soft_packets = 1000;
	channel.hard_packets = 2000;
	channel.soft_bytes = 1 << 20;
	return channel;
}

/* The SA in use gets them; what the kernel then says of it brings the next one. */
static void a_soft_limit_brings_the_next(void **state)
{
	bool waits;

	assert_int_equal(add(limited_channel()), 0);
	put(5);
	put(6);
	put(7);
	watermark(5, 7, QKD_EPOCH_NONE);
	assert_int_equal(limits.soft_packets, 1000);
	assert_int_equal(limits.hard_packets, 2000);
	assert_int_equal(limits.soft_bytes, 1 << 20);
	assert_int_equal(limits.hard_bytes, 0);
	/* Of others, and of one that is not in use, it does not matter. */
	netlink_table_expired(table, 8, 2005, false);
	netlink_table_expired(table, 9, 2006, false);
	run_for(50);
	assert_string_equal(did, "put 5 put 6 put 7 use 5 ");
	netlink_table_expired(table, 9, 2005, false);
	assert_string_equal(did, "put 5 put 6 put 7 use 5 use 6 ");
	assert_int_equal(counters().rollovers, 1);
	assert_int_equal(counters().limit_rollovers, 1);
	assert_int_equal(counters().delayed, 0);
	assert_true(counters().activation_max_ns > 0);
	/* If it is too soon after that it waits a little, and is counted. */
	netlink_table_expired(table, 9, 2006, false);
	waits = !strstr(did, "use 7");
	while (!strstr(did, "use 7"))
		run_for(5);
	assert_int_equal(counters().delayed, waits);
	assert_int_equal(counters().limit_rollovers, 2);
}

/* Its sequence numbers end: the next key is used before they do, as in the module. */
static void without_esn_there_is_a_soft_limit(void **state)
{
	struct qkd_channel channel = esp_channel();

	assert_int_equal(add(channel), 0);
	put(5);
	put(6);
	watermark(5, 6, QKD_EPOCH_NONE);
	assert_int_equal(limits.soft_packets, 1U << 31);
	sent_packets = 1U << 31;
	netlink_table_look(table); /* as if the kernel's word on it was lost */
	while (!strstr(did, "use 6"))
		run_for(5);
	assert_int_equal(counters().limit_rollovers, 1);
}

static void with_esn_there_is_none(void **state)
{
	struct qkd_channel channel = esp_channel();

	channel.flags = QKD_CHANNEL_ESN;
	assert_int_equal(add(channel), 0);
	put(5);
	watermark(5, 5, QKD_EPOCH_NONE);
	assert_int_equal(limits.soft_packets, 0);
}

/* The kernel has removed the SA: the next one, if there is one. */
static void a_hard_limit_ends_it(void **state)
{
	assert_int_equal(add(limited_channel()), 0);
	put(5);
	put(6);
	watermark(5, 6, QKD_EPOCH_NONE);
	netlink_table_expired(table, 9, 2005, true);
	assert_non_null(strstr(did, "use 5 use 6 "));
	assert_int_equal(state_of(), QKD_CHANNEL_ACTIVE);
	netlink_table_expired(table, 9, 2006, true);
	assert_int_equal(state_of(), QKD_CHANNEL_BLOCKED);
	assert_int_equal(counters().hard_expiries, 2);
	assert_int_equal(counters().blocked, 1);
	assert_non_null(strstr(heard, "activated 5 activated 6 blocked 6 "));
	assert_int_equal(counters().out_epoch, QKD_EPOCH_NONE);
}

/* What the kernel said was lost: it is asked. */
static void lost_words_are_made_good(void **state)
{
	assert_int_equal(add(limited_channel()), 0);
	put(5);
	put(6);
	put(7);
	watermark(5, 7, QKD_EPOCH_NONE);
	run_for(20);
	sent_packets = 999;
	netlink_table_look(table);
	assert_null(strstr(did, "use 6"));
	sent_packets = 1000;
	netlink_table_look(table);
	assert_non_null(strstr(did, "use 6"));
	sent_result = -ESRCH;
	netlink_table_look(table);
	assert_non_null(strstr(heard, "activated 6 activated 7 "));
	assert_int_equal(counters().hard_expiries, 1);
}

static void limits_and_times_have_jitter(void **state)
{
	struct qkd_channel channel = limited_channel();
	uint64_t least = UINT64_MAX, most = 0, epoch = 5;
	unsigned int i;

	channel.jitter_ms = 30000;
	channel.soft_bytes = 64 << 20;
	channel.lookahead = 64;
	assert_int_equal(add(channel), 0);
	for (i = 0; i < 50; i++)
		assert_int_equal(put(5 + i), 0);
	watermark(5, 54, QKD_EPOCH_NONE);
	while (rollover(&epoch) == 0) {
		assert_int_equal(limits.soft_bytes, (64 << 20) - (1 << 20) * ((epoch ^ 1) % 33));
		least = limits.soft_bytes < least ? limits.soft_bytes : least;
		most = limits.soft_bytes > most ? limits.soft_bytes : most;
	}
	assert_in_range(least, 32 << 20, 50 << 20);
	assert_in_range(most, least + 1, 64 << 20);
	assert_int_equal(limits.hard_packets, 2000);
}

/* -------- MACsec -------- */

static struct qkd_channel macsec_channel(void)
{
	return (struct qkd_channel){
		.id = 3,
		.kind = QKD_KIND_MACSEC,
		.cipher = QKD_CIPHER_GCM_AES_XPN_256,
		.on_exhausted = QKD_EXHAUSTED_HOLD,
		.lookahead = 200,
		.rollover_ms = 60000,
		.grace_ms = 100,
		.ifindex = 2,
		.sci_peer = {2},
		.first_epoch = 5,
		.name = "port",
	};
}

/* Four have their numbers; the others wait, and are installed in order. */
static void macsec_queues(void **state)
{
	struct qkd_epoch *epochs;
	uint64_t epoch;
	size_t n;

	assert_int_equal(add(macsec_channel()), 0);
	for (epoch = 5; epoch < 11; epoch++)
		assert_int_equal(put(epoch), 0);
	assert_string_equal(did, "put 5 put 6 put 7 put 8 queue 9 queue 10 ");
	assert_string_equal(heard, "added installed 5 installed 6 installed 7 installed 8 ");
	assert_int_equal(counters().ready, 4);
	assert_int_equal(counters().queued, 2);
	assert_int_equal(counters().installed, 4);
	assert_int_equal(counters().in_last, 8);
	assert_int_equal(netlink_table_epochs(table, 3, &epochs, &n), 0);
	assert_int_equal(n, 6);
	assert_int_equal(epochs[4].epoch, 9);
	assert_int_equal(epochs[4].in, QKD_SA_QUEUED);
	assert_int_equal(epochs[4].out, QKD_SA_QUEUED);
	free(epochs);
	watermark(5, 10, 5);
	assert_int_equal(rollover(&epoch), 0);
	assert_int_equal(epoch, 6);
	watermark(5, 10, 6);
	while (!strstr(heard, "installed 9"))
		run_for(20);
	assert_non_null(strstr(did, "out- 5 in- 5 put 9 "));
	assert_null(strstr(heard, "installed 10"));
	assert_int_equal(counters().queued, 1);
	assert_int_equal(counters().installed, 5);
	assert_int_equal(counters().in_last, 9);
}

static void a_queued_epoch_may_fail(void **state)
{
	uint64_t epoch;

	assert_int_equal(add(macsec_channel()), 0);
	for (epoch = 5; epoch < 10; epoch++)
		put(epoch);
	watermark(5, 9, 5);
	rollover(&epoch);
	put_result = -EEXIST;
	watermark(5, 9, 6);
	while (!strstr(heard, "failed 9 "))
		run_for(20);
	assert_int_equal(counters().failed, 1);
	assert_int_equal(counters().queued, 0);
	/* That was the last word of it: 5 is retired, 9 never stood. */
	assert_null(strstr(heard, "retired 9"));
	assert_int_equal(counters().retired, 1);
}

/* Nothing of what waits is in the kernel. */
static void the_queue_is_deleted_too(void **state)
{
	struct qkd_channel channel = {.id = 3};
	uint64_t epoch;

	assert_int_equal(add(macsec_channel()), 0);
	for (epoch = 5; epoch < 10; epoch++)
		put(epoch);
	did[0] = '\0';
	netlink_table_run(table, QKD_CMD_CHANNEL_DELETE, &channel);
	assert_int_equal(channel.status, 0);
	assert_string_equal(did, "out- 5 out- 6 out- 7 out- 8 in- 5 in- 6 in- 7 in- 8 close ");
}

/* The device counts on from key to key; nobody says when a limit is reached. */
static void macsec_limits_are_looked_at(void **state)
{
	struct qkd_channel channel = macsec_channel();

	channel.soft_packets = 1000;
	channel.hard_packets = 3000;
	sent_packets = 5000;
	assert_int_equal(add(channel), 0);
	put(5);
	put(6);
	watermark(5, 6, QKD_EPOCH_NONE);
	sent_packets += 999;
	run_for(250);
	assert_null(strstr(did, "use 6"));
	sent_packets++;
	while (!strstr(did, "use 6"))
		run_for(20);
	assert_int_equal(counters().limit_rollovers, 1);
	/* There is no next one. */
	sent_packets += 1500;
	while (!strstr(heard, "exhausted"))
		run_for(20);
	assert_int_equal(state_of(), QKD_CHANNEL_OVERDUE);
	sent_packets += 1500;
	while (!strstr(heard, "blocked 6"))
		run_for(20);
	assert_non_null(strstr(did, "out- 6 "));
	assert_int_equal(counters().hard_expiries, 1);
	assert_int_equal(state_of(), QKD_CHANNEL_BLOCKED);
}

/* Its count is lost with the process that kept it: it begins anew. */
static void macsec_hard_limits_hold_for_old_sas(void **state)
{
	struct qkd_channel channel = macsec_channel();

	channel.soft_packets = 1000;
	channel.hard_packets = 3000;
	sent_packets = 5000;
	stale_out = true;
	assert_int_equal(add(channel), 0);
	sent_packets += 2999;
	run_for(250);
	assert_string_equal(did, "");
	sent_packets++;
	while (!strstr(did, "old-out "))
		run_for(20);
	run_for(250);
	assert_string_equal(did, "old-out ");
	assert_int_equal(counters().hard_expiries, 1);
	/* A new one has the whole of it. */
	put(5);
	watermark(5, 5, QKD_EPOCH_NONE);
	assert_non_null(strstr(did, "use 5 "));
	sent_packets += 2999;
	run_for(250);
	assert_int_equal(counters().hard_expiries, 1);
}

/* The old one is not looked at any more. */
static void a_new_macsec_sa_counts_for_itself(void **state)
{
	struct qkd_channel channel = macsec_channel();

	channel.soft_packets = 1000;
	channel.hard_packets = 3000;
	channel.grace_ms = 10000;
	stale_out = true;
	assert_int_equal(add(channel), 0);
	sent_packets += 2000;
	put(5);
	watermark(5, 5, QKD_EPOCH_NONE);
	sent_packets += 2000;
	run_for(250);
	assert_int_equal(counters().hard_expiries, 0);
	assert_int_equal(state_of(), QKD_CHANNEL_OVERDUE);
	sent_packets += 1000;
	while (!strstr(heard, "blocked 5"))
		run_for(20);
	assert_int_equal(counters().hard_expiries, 1);
	assert_non_null(strstr(did, "old-out out- 5 "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_life),
		TEST(rolls_over_on_time_then_holds_then_blocks),
		TEST(is_not_blocked_while_its_sa_stands),
		TEST(goes_on_while_an_old_sa_stands),
		TEST(what_stands_is_not_deleted),
		TEST(old_sas_that_stand_are_tried_again),
		TEST(counts),
		TEST(lists),
		TEST(refuses_as_the_module_does),
		TEST(a_failed_switch_tries_the_next),
		TEST(deletes_all),
		TEST(old_sas_stay_until_new_ones_are_used),
		TEST(old_sas_do_not_outlive_the_policy_of_the_operator),
		TEST(a_soft_limit_brings_the_next),
		TEST(without_esn_there_is_a_soft_limit),
		TEST(with_esn_there_is_none),
		TEST(a_hard_limit_ends_it),
		TEST(lost_words_are_made_good),
		TEST(limits_and_times_have_jitter),
		TEST(macsec_queues),
		TEST(a_queued_epoch_may_fail),
		TEST(the_queue_is_deleted_too),
		TEST(macsec_limits_are_looked_at),
		TEST(macsec_hard_limits_hold_for_old_sas),
		TEST(a_new_macsec_sa_counts_for_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
