// SPDX-License-Identifier: GPL-2.0-or-later
/* A node's life: made in the order of node.h, run, taken apart in reverse. */
#include "node_run.h"
#include "km/secret.h"
#include "log.h"
#include "manage/admin.h"
#include "manage/notify.h"
#include "quantum/source.h"
#include "unp/fence.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ERROR_MAX 512
#define STATUS_MS 2000

/**
 * struct running
 * @asked: the store was asked for a sign of life
 * @told: what systemd was told last
 */
struct running {
	struct node node;
	struct admin *admin;
	struct loop_timer watchdog;
	struct loop_timer status;
	uint32_t watchdog_ms;
	bool asked;
	char told[160];
};

/* -------- telling systemd -------- */

static void store_answered(void *arg, int err)
{
	struct running *run = arg;

	/* What it says of the disk is for its log: that it answers is enough here. */
	run->asked = false;
	notify_send("WATCHDOG=1");
}

/*
 * The way to the store and back is part of our life: without it no key is ever
 * handed out again, however well the loop turns.
 */
static void tick_watchdog(void *arg)
{
	struct running *run = arg;

	if (run->asked)
		log_warn("the key store has not answered for %u ms", run->watchdog_ms);
	else
		run->asked = store_ping(run->node.store, store_answered, run) == 0;
	if (loop_timer_set(run->node.loop, &run->watchdog, run->watchdog_ms))
		log_err("out of memory; systemd's watchdog will end us");
}

struct tally {
	unsigned int channels;
	unsigned int active;
	bool simulated;
};

static void count_channel(const struct channel_view *view, void *arg)
{
	struct tally *tally = arg;

	if (view->orphaned)
		return;
	tally->channels++;
	tally->active += view->state == QKD_CHANNEL_ACTIVE;
	tally->simulated = tally->simulated || view->simulated;
}

static void tell_status(struct running *run)
{
	struct tally tally = {0};
	uint64_t ready = 0;
	char text[sizeof(run->told)];

	channels_visit(run->node.channels, count_channel, &tally);
	for (unsigned int i = 0; i < run->node.config->links_count; i++) {
		struct pool_status pool;

		pool_status(run->node.pools[i], &pool);
		ready += pool.ready;
		tally.simulated = tally.simulated || pool.simulated;
	}
	snprintf(text, sizeof(text), "%u of %u channels active, %llu keys ready%s", tally.active,
		 tally.channels, (unsigned long long)ready,
		 tally.simulated ? ", SIM (simulated keys)" : "");
	if (!strcmp(text, run->told))
		return;
	memcpy(run->told, text, sizeof(text));
	notify_status(text);
}

static void tick_status(void *arg)
{
	struct running *run = arg;

	tell_status(run);
	loop_timer_set(run->node.loop, &run->status, STATUS_MS);
}

static void start_telling(struct running *run)
{
	int err = notify_send("READY=1");

	if (err)
		log_warn("systemd cannot be told that we are ready (NOTIFY_SOCKET): %s",
			 strerror(-err));
	run->status.fire = tick_status;
	run->status.arg = run;
	tick_status(run);
	run->watchdog_ms = notify_watchdog_ms();
	run->watchdog.fire = tick_watchdog;
	run->watchdog.arg = run;
	if (run->watchdog_ms)
		tick_watchdog(run);
}

/* -------- what happens -------- */

static void on_signal(int signo, void *arg)
{
	struct running *run = arg;

	if (signo == SIGHUP) {
		log_info("SIGHUP: the configuration is read at start only; `systemctl restart "
			 "qkdkeyd` takes it over, and the SAs stay while it does");
		return;
	}
	log_info("%s: ending; SAs and policies stay in the kernel",
		 signo == SIGTERM ? "SIGTERM" : "SIGINT");
	notify_send("STOPPING=1\nSTATUS=ending; SAs stay in the kernel");
	loop_stop(run->node.loop, 0);
}

/*
 * Two events want a person. The others are the normal life of a channel, or the
 * channel itself logs them with their reason.
 */
static bool is_trouble(const char *type)
{
	return !strcmp(type, "exhausted") || !strcmp(type, "blocked");
}

static void log_event(const struct channel_event *event)
{
	static struct log_limit limit = {.burst = 20, .interval_ms = 60000};
	const char *text = event->text ? event->text : "";
	const char *name = event->channel ? event->channel : "?";
	char epoch[32] = "";

	if (event->epoch != QKD_EPOCH_NONE)
		snprintf(epoch, sizeof(epoch), " epoch %llu", (unsigned long long)event->epoch);
	if (is_trouble(event->type))
		log_limited(LOG_LEVEL_WARNING, &limit, "channel %s: %s%s%s%s", name, event->type,
			    epoch, *text ? ": " : "", text);
	else
		log_debug("channel %s: %s%s%s%s", name, event->type, epoch, *text ? ": " : "",
			  text);
}

static void on_event(const struct channel_event *event, void *arg)
{
	struct running *run = arg;

	log_event(event);
	if (run->admin)
		admin_event(run->admin, event);
}

static struct pool *pool_of(void *arg, const char *link)
{
	const struct running *run = arg;

	for (unsigned int i = 0; i < run->node.config->links_count; i++)
		if (!strcmp(run->node.config->links[i].name, link))
			return run->node.pools[i];
	return NULL;
}

/* -------- making -------- */

static int make_loop(struct running *run, char *error)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	int err = loop_create(&run->node.loop);

	if (err) {
		snprintf(error, ERROR_MAX, "%s", loop_create_error(err));
		return err;
	}
	err = loop_signals(run->node.loop, signals, 3, on_signal, run);
	if (err)
		snprintf(error, ERROR_MAX, "signals cannot be received: %s", strerror(-err));
	return err;
}

static int make_links(struct node *node, char *error)
{
	unsigned int count = node->config->links_count;
	int err = -ENOMEM;

	node->sources = calloc(count ? count : 1, sizeof(struct source *));
	node->pools = calloc(count ? count : 1, sizeof(struct pool *));
	snprintf(error, ERROR_MAX, "out of memory");
	if (!node->sources || !node->pools)
		return err;
	for (unsigned int i = 0; i < count; i++) {
		const struct config_link *link = &node->config->links[i];

		err = source_create(node->loop, link, &node->sources[i], error, ERROR_MAX);
		if (err)
			return err;
		err = pool_create(node->loop, link, node->store, node->kx, node->sources[i],
				  &node->pools[i]);
		if (err) {
			snprintf(error, ERROR_MAX, "link %s: its key pool cannot be made: %s",
				 link->name, strerror(-err));
			return err;
		}
	}
	return 0;
}

/* The one mistake that everybody makes on a new host gets its own words. */
static int check_master_key(const struct running *run, char *error)
{
	const char *key = run->node.config->master_key;

	if (!access(key, F_OK) || errno != ENOENT)
		return 0;
	snprintf(error, ERROR_MAX,
		 "master_key: there is no %s yet; on a new host run once: qkdkeyd --config %s "
		 "--init",
		 key, run->node.config_path);
	return -ENOENT;
}

static int make_node(struct running *run, char *error)
{
	struct node *node = &run->node;
	const struct config *config = node->config;
	int err;

	err = check_master_key(run, error);
	if (!err)
		err = secret_init(error, ERROR_MAX);
	if (!err)
		err = make_loop(run, error);
	if (!err)
		err = store_open(node->loop, config->state_directory, config->master_key,
				 &node->store, error, ERROR_MAX);
	if (!err)
		err = kx_create(node->loop, config, store_id(node->store), &node->kx, error,
				ERROR_MAX);
	if (!err)
		err = make_links(node, error);
	if (err)
		return err;
	err = channels_create(node->loop, config, node->kx, node->store, pool_of, run, on_event,
			      &node->channels);
	if (err) {
		snprintf(error, ERROR_MAX, "the channels cannot be made: %s", strerror(-err));
		return err;
	}
	err = admin_create(node, &run->admin, error, ERROR_MAX);
	if (!err)
		err = kx_start(node->kx, error, ERROR_MAX);
	if (!err)
		err = channels_start(node->channels, error, ERROR_MAX);
	return err;
}

static void take_apart(struct running *run)
{
	struct node *node = &run->node;
	unsigned int count = node->config->links_count;

	admin_destroy(run->admin);
	channels_destroy(node->channels);
	for (unsigned int i = 0; node->pools && i < count; i++)
		pool_destroy(node->pools[i]);
	for (unsigned int i = 0; node->sources && i < count; i++)
		source_destroy(node->sources[i]);
	kx_destroy(node->kx);
	store_close(node->store);
	if (node->loop)
		loop_destroy(node->loop);
	free(node->pools);
	free(node->sources);
}

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int node_run(struct config *config, const char *config_path)
{
	struct running run = {
		.node = {.config = config, .config_path = config_path, .started_ns = real_ns()},
	};
	char error[ERROR_MAX] = "";
	int err;

	/* Before anything that can fail; the channels come back to what cannot be done now. */
	fence_raise(config);
	err = make_node(&run, error);
	if (err) {
		log_err("%s", *error ? error : strerror(-err));
	} else {
		log_info("qkdkeyd " NODE_VERSION ": node %s runs", config->node);
		start_telling(&run);
		err = loop_run(run.node.loop);
		if (err)
			log_err("the event loop failed: %s", strerror(err < 0 ? -err : err));
	}
	take_apart(&run);
	return err ? NODE_EXIT_FAILED : NODE_EXIT_DONE;
}
