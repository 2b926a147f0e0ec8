// SPDX-License-Identifier: GPL-2.0-or-later
/* All channels of this node; see channels.h. */
#include "unp/channels.h"
#include "km/backoff.h"
#include "log.h"
#include "unp/channel.h"
#include "unp/orphans.h"
#include "unp/policy.h"
#include "unp/policy_keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MS      1000
#define REOPEN_MIN_MS 500
#define REOPEN_MAX_MS 30000
#define CLOSING_MS    50 /* until the device lets go of our buffer */

/* A link's pool tells here that it has keys again. */
struct listener {
	struct channels *channels;
	const char *link;
};

/**
 * struct channels
 * @first: in order of name
 * @turn: which channel asks first when keys come, so that none starves
 * @backend: open; env.backend only once it has answered
 * @which: of the configuration, or the one that was open first: what the module
 *         holds netlink does not know
 * @opening: open, and has yet to answer
 * @reopen: when to try for a backend again
 * @failures: to open one, one after the other
 * @trouble: what is wrong with it, "" if nothing; as it was logged
 * @seen: of standing_ask()
 * @orphans: see orphans.h
 * @listing: the backend was asked for its channels, as events were lost
 * @list_again: and more were lost since
 * @look_for_orphans: at the next count, when the channels have attached
 * @specs_known: all channels are known
 * @keeper: of the policies
 * @refs: the owner's one, and one per answer to come
 * @dead: destroyed while one was
 */
struct channels {
	struct channel_env env;
	struct channel *first;
	struct pool *(*pool_of)(void *arg, const char *link);
	void *pool_arg;
	struct backend *backend;
	enum config_backend which;
	bool opening;
	struct loop_timer reopen;
	unsigned int failures;
	char trouble[256];
	uint32_t seen;
	struct orphans *orphans;
	bool listing;
	bool list_again;
	bool look_for_orphans;
	bool specs_known;
	struct policy_keeper *keeper;
	struct listener *listeners;
	struct loop_timer count;
	struct kx_handler handler;
	unsigned int turn;
	unsigned int refs;
	bool dead;
};

static void put(struct channels *cs)
{
	if (--cs->refs)
		return;
	free(cs);
}

static struct channel *find(const struct channels *cs, const char *name)
{
	struct channel *c;

	for (c = cs->first; c; c = c->next)
		if (!strcmp(c->config->name, name))
			return c;
	return NULL;
}

static struct channel *find_id(const struct channels *cs, uint32_t id)
{
	struct channel *c;

	for (c = cs->first; c; c = c->next)
		if (c->record.id == id)
			return c;
	return NULL;
}

static bool knows(void *list, const char *name)
{
	return find(list, name);
}

static void insert(struct channels *cs, struct channel *c)
{
	struct channel **link = &cs->first;

	while (*link && strcmp((*link)->config->name, c->config->name) < 0)
		link = &(*link)->next;
	c->next = *link;
	*link = c;
}

static void unlink_channel(struct channel *c, void *list)
{
	struct channels *cs = list;
	struct channel **link = &cs->first;

	while (*link && *link != c)
		link = &(*link)->next;
	if (*link)
		*link = c->next;
}

/* Before its number is known; what fails here is told when it is installed. */
static void fence(const struct channels *cs, const struct channel *c)
{
	char error[256] = "";

	if (c->config->esp && policy_fence(cs->env.config, c->config, error, sizeof(error)))
		log_warn("channel %s: %s", c->config->name, error);
}

static int make(struct channels *cs, struct config_channel *config, bool from_file,
		struct channel **result)
{
	struct pool *pool = cs->pool_of(cs->pool_arg, config->link);
	struct channel *c;

	if (!pool)
		return -ENOENT;
	c = channel_create(&cs->env, config, from_file, pool);
	if (!c)
		return -ENOMEM;
	if (!c->peer) {
		c->from_file = true; /* the caller keeps @config */
		channel_release(c);
		return -ENOENT;
	}
	orphans_take_in(cs->orphans, config->name); /* it is taken in again */
	insert(cs, c);
	fence(cs, c);
	*result = c;
	return 0;
}

/* -------- KM links -------- */

static void link_up(struct kx_peer *peer, void *arg)
{
	struct channels *cs = arg;
	struct channel *c;

	for (c = cs->first; c; c = c->next) {
		if (c->peer != peer)
			continue;
		channel_emit(c, "link_up", QKD_EPOCH_NONE, kx_peer_name(peer));
		if (c->agree)
			agree_link_up(c->agree);
	}
}

static void link_down(struct kx_peer *peer, void *arg)
{
	struct channels *cs = arg;
	struct channel *c;

	for (c = cs->first; c; c = c->next) {
		if (c->peer != peer)
			continue;
		channel_emit(c, "link_down", QKD_EPOCH_NONE, kx_peer_name(peer));
		if (c->agree)
			agree_link_down(c->agree);
	}
}

static const char *channel_of(const struct kx_frame *frame)
{
	switch (frame->type) {
	case KX_EPOCH_OFFER:
		return frame->offer.channel;
	case KX_EPOCH_ANSWER:
		return frame->answer.channel;
	case KX_CHANNEL_STATE:
		return frame->state.channel;
	case KX_CHANNEL_GONE:
		return frame->gone.channel;
	default:
		return NULL;
	}
}

/* A peer hears nothing of channels that it has no part in. */
static int frame_came(struct kx_peer *peer, const struct kx_frame *frame, void *arg)
{
	struct kx_frame gone = {.type = KX_CHANNEL_GONE};
	struct channels *cs = arg;
	const char *name = channel_of(frame);
	struct channel *c = name ? find(cs, name) : NULL;

	if (!name)
		return -EPROTO;
	if (c && c->peer == peer && c->phase < CHANNEL_DELETING)
		return channel_frame(c, frame);
	if (frame->type != KX_EPOCH_OFFER && frame->type != KX_CHANNEL_STATE)
		return 0;
	snprintf(gone.gone.channel, sizeof(gone.gone.channel), "%s", name);
	kx_send(peer, &gone);
	return 0;
}

/* -------- pools -------- */

static void keys_ready(void *arg)
{
	const struct listener *listener = arg;
	struct channels *cs = listener->channels;
	unsigned int n = 0, i, start;
	struct channel *c;

	for (c = cs->first; c; c = c->next)
		n++;
	if (!n)
		return;
	start = cs->turn++ % n;
	for (i = 0, c = cs->first; i < 2 * n; i++, c = c->next ? c->next : cs->first)
		if (i >= start && i < start + n && c->agree &&
		    !strcmp(c->config->link, listener->link))
			agree_keys_ready(c->agree);
}

static int listen_to_pools(struct channels *cs)
{
	const struct config *config = cs->env.config;
	unsigned int i;

	cs->listeners = calloc(config->links_count + 1, sizeof(*cs->listeners));
	if (!cs->listeners)
		return -ENOMEM;
	for (i = 0; i < config->links_count; i++) {
		struct pool *pool = cs->pool_of(cs->pool_arg, config->links[i].name);
		int err;

		cs->listeners[i].channels = cs;
		cs->listeners[i].link = config->links[i].name;
		err = pool ? pool_on_ready(pool, keys_ready, &cs->listeners[i]) : -ENOENT;
		if (err)
			return err;
	}
	return 0;
}

/* -------- the backend -------- */

static void list_anew(struct channels *cs);

static void listed_anew(void *arg, int err, const void *records, size_t count)
{
	const struct qkd_channel *standing = records;
	struct channels *cs = arg;
	size_t i;

	cs->listing = false;
	if (cs->dead)
		goto out;
	if (err)
		log_err("the channels in the kernel cannot be listed: %s", strerror(-err));
	for (i = 0; i < count && !err; i++) {
		struct channel *c = find_id(cs, standing[i].id);

		if (c)
			channel_listed(c, &standing[i]);
	}
	if (cs->list_again)
		list_anew(cs);
out:
	put(cs);
}

/* What is read of it is not older than the events that were lost. */
static void list_anew(struct channels *cs)
{
	cs->list_again = cs->listing;
	if (cs->listing || !cs->env.backend)
		return;
	cs->listing = true;
	cs->refs++;
	if (backend_list_channels(cs->env.backend, listed_anew, cs)) {
		cs->listing = false;
		cs->refs--;
	}
}

static void events_lost(void *list, uint64_t lost)
{
	struct channels *cs = list;
	static struct log_limit limit = {.burst = 5, .interval_ms = 60000};
	struct channel *c;

	log_limited(LOG_LEVEL_WARNING, &limit,
		    "%llu events of the kernel were lost: channels and epochs are read anew",
		    (unsigned long long)lost);
	cs->env.events_lost += lost;
	cs->look_for_orphans = true;
	standing_drop(cs->env.standing);
	list_anew(cs);
	for (c = cs->first; c; c = c->next)
		channel_events_lost(c);
}

static void backend_event(const struct qkd_event *event, void *arg)
{
	struct channels *cs = arg;
	struct channel *c = find_id(cs, event->channel);

	if (event->lost)
		events_lost(cs, event->lost);
	if (event->type == QKD_EVENT_DELETED) {
		standing_forget(cs->env.standing, event->channel);
		orphans_gone(cs->orphans, event->channel);
	}
	if (c)
		channel_backend_event(c, event);
}

static bool is_absent(int err)
{
	return err == -ENOENT || err == -ENXIO || err == -ENODEV;
}

/* Said once for as long as it stays the same; tried again until it goes well. */
static void no_backend(struct channels *cs, const char *text)
{
	struct channel *c;

	if (strcmp(text, cs->trouble))
		log_err("%s; it is tried again until it works", text);
	snprintf(cs->trouble, sizeof(cs->trouble), "%s", text);
	cs->opening = false;
	cs->env.backend = NULL;
	standing_drop(cs->env.standing);
	for (c = cs->first; c; c = c->next)
		channel_backend_lost(c);
	if (loop_timer_set(cs->env.loop, &cs->reopen,
			   km_backoff_ms(++cs->failures, REOPEN_MIN_MS, REOPEN_MAX_MS)))
		log_err("out of memory for a timer: restart qkdkeyd to reach the kernel again");
}

/* What stands goes on by itself while its keys last. The timer closes it. */
static void backend_failed(int err, const char *text, void *arg)
{
	no_backend(arg, text);
}

static void backend_up(struct channels *cs)
{
	struct channel *c;

	if (cs->which == CONFIG_BACKEND_AUTO && !strcmp(backend_name(cs->backend), "netlink"))
		log_warn(
			"/dev/qkd is not there, so SAs are installed by netlink: whoever may dump "
			"them (`ip xfrm state`) sees their keys, and no rollover happens while "
			"qkdkeyd is away. Load qkd.ko, or say `backend: netlink` if this is meant");
	else
		log_info("SAs are installed by %s", backend_name(cs->backend));
	cs->opening = false;
	cs->trouble[0] = '\0';
	cs->failures = 0;
	cs->which = strcmp(backend_name(cs->backend), "netlink") ? CONFIG_BACKEND_MODULE
								 : CONFIG_BACKEND_NETLINK;
	cs->env.backend = cs->backend;
	cs->env.lost_before = UINT64_MAX;
	cs->look_for_orphans = true;
	for (c = cs->first; c; c = c->next)
		channel_backend_up(c);
}

/* The first answer: it works, and what all channels need is there. */
static void backend_answered(void *arg, int err, const void *records, size_t count)
{
	struct channels *cs = arg;
	char text[128];

	if (cs->dead || !cs->opening)
		goto out; /* its failure was told already */
	if (err) {
		snprintf(text, sizeof(text), "the channels in the kernel cannot be listed: %s",
			 strerror(-err));
		no_backend(cs, text);
	} else {
		backend_up(cs);
	}
out:
	put(cs);
}

static int open_backend(struct channels *cs, char *error, size_t error_len)
{
	struct backend_events events = {
		.event = backend_event,
		.failed = backend_failed,
		.arg = cs,
	};
	int err = -ENOENT;

	if (cs->which != CONFIG_BACKEND_NETLINK)
		err = backend_open_device(cs->env.loop, &events, &cs->backend, error, error_len);
	if (cs->which == CONFIG_BACKEND_NETLINK ||
	    (cs->which == CONFIG_BACKEND_AUTO && is_absent(err)))
		err = backend_open_netlink(cs->env.loop, &events, &cs->backend, error, error_len);
	if (err)
		return err;
	standing_drop(cs->env.standing);
	cs->opening = true;
	cs->refs++;
	err = standing_ask(cs->env.standing, cs->backend, &cs->seen, backend_answered, cs);
	if (err) {
		snprintf(error, error_len, "the channels in the kernel cannot be listed: %s",
			 strerror(-err));
		cs->opening = false;
		cs->refs--;
	}
	return err;
}

/* First lets go of the old one, whose last operation may still have our buffer. */
static void reopen(void *arg)
{
	struct channels *cs = arg;
	char error[256] = "";

	if (cs->backend) {
		backend_close(cs->backend);
		cs->backend = NULL;
		if (!loop_timer_set(cs->env.loop, &cs->reopen, CLOSING_MS))
			return;
	}
	if (open_backend(cs, error, sizeof(error)))
		no_backend(cs, error);
}

/* -------- every second -------- */

static void look_for_orphans(struct channels *cs)
{
	if (cs->look_for_orphans && cs->specs_known && cs->env.backend)
		cs->look_for_orphans = orphans_look(cs->orphans) != 0;
}

static void count_all(void *arg)
{
	struct channels *cs = arg;
	struct channel *c;

	look_for_orphans(cs);
	for (c = cs->first; c; c = c->next)
		channel_count(c);
	if (loop_timer_set(cs->env.loop, &cs->count, COUNT_MS))
		log_err("out of memory for a timer: counters stand still");
}

/* -------- start and end -------- */

int channels_create(struct loop *loop, const struct config *config, struct kx *kx,
		    struct store *store, struct pool *(*pool_of)(void *arg, const char *link),
		    void *arg, void (*event)(const struct channel_event *event, void *arg),
		    struct channels **channels)
{
	struct channels *cs = calloc(1, sizeof(*cs));
	int err;

	if (!cs)
		return -ENOMEM;
	cs->env = (struct channel_env){
		.standing = standing_create(loop),
		.loop = loop,
		.config = config,
		.kx = kx,
		.store = store,
		.off_list = unlink_channel,
		.knows = knows,
		.list = cs,
		.lost_before = UINT64_MAX,
		.lost = events_lost,
		.event = event,
		.event_arg = arg,
	};
	cs->pool_of = pool_of;
	cs->pool_arg = arg;
	cs->refs = 1;
	cs->which = config->backend;
	cs->env.trouble = cs->trouble;
	cs->reopen.fire = reopen;
	cs->reopen.arg = cs;
	cs->count.fire = count_all;
	cs->count.arg = cs;
	cs->handler = (struct kx_handler){
		.type_first = KX_EPOCH_OFFER,
		.type_last = KX_CHANNEL_GONE,
		.up = link_up,
		.down = link_down,
		.frame = frame_came,
		.arg = cs,
	};
	cs->orphans = orphans_create(&cs->env);
	err = cs->env.standing && cs->orphans ? kx_add_handler(kx, &cs->handler) : -ENOMEM;
	if (err) {
		orphans_destroy(cs->orphans);
		standing_destroy(cs->env.standing);
		free(cs);
		return err;
	}
	*channels = cs;
	return 0;
}

static void report_mistake(const char *line, void *arg)
{
	log_err("%s", line);
}

/* A channel that qkdctl added, from the store. */
static void restore(struct channels *cs, const struct store_channel *row)
{
	struct config_channel *config = NULL;
	struct channel *c = NULL;
	int err;

	if (find(cs, row->name)) {
		log_warn("channel %s is in the configuration file and was also added by qkdctl: "
			 "the file counts",
			 row->name);
		return;
	}
	err = config_channel_load(cs->env.config, row->spec, strlen(row->spec), row->name,
				  report_mistake, NULL, &config);
	if (err) {
		log_err("channel %s, added by qkdctl, no longer fits the configuration: left out",
			row->name);
		return;
	}
	err = make(cs, config, false, &c);
	if (err) {
		log_err("channel %s: %s", row->name, strerror(-err));
		config_channel_free(config);
		return;
	}
	channel_start(c);
}

static void specs_came(void *arg, int err, const struct store_channel *rows, size_t count)
{
	struct channels *cs = arg;
	size_t i;

	if (err && !cs->dead)
		log_err("channels added by qkdctl cannot be read from the store: %s",
			strerror(-err));
	for (i = 0; i < count && !err && !cs->dead; i++)
		if (rows[i].spec)
			restore(cs, &rows[i]);
	cs->specs_known = !err;
	if (cs->specs_known && !cs->dead)
		policy_keeper_all_known(cs->keeper);
	put(cs);
}

int channels_start(struct channels *cs, char *error, size_t error_len)
{
	const struct config *config = cs->env.config;
	struct channel *c;
	unsigned int i;
	int err;

	err = open_backend(cs, error, error_len);
	/* The module may be loaded later; the policies need not wait for it. */
	if (is_absent(err) && cs->which == CONFIG_BACKEND_MODULE)
		no_backend(cs, error);
	else if (err)
		return err;
	snprintf(error, error_len, "the channels cannot be started");
	cs->keeper = policy_keeper_create(cs->env.loop);
	if (!cs->keeper)
		return -ENOMEM;
	for (i = 0; i < config->channels_count; i++) {
		err = make(cs, &config->channels[i], true, &c);
		if (err)
			return err;
	}
	err = listen_to_pools(cs);
	if (!err)
		err = store_channel_specs(cs->env.store, specs_came, cs);
	if (!err)
		cs->refs++;
	if (!err)
		err = loop_timer_set(cs->env.loop, &cs->count, COUNT_MS);
	for (c = cs->first; c && !err; c = c->next)
		channel_start(c);
	return err;
}

void channels_destroy(struct channels *cs)
{
	struct channel *c, *next;

	if (!cs)
		return;
	cs->env.event = NULL;
	for (c = cs->first; c; c = next) {
		next = c->next;
		channel_release(c);
	}
	loop_timer_cancel(cs->env.loop, &cs->count);
	loop_timer_cancel(cs->env.loop, &cs->reopen);
	cs->dead = true;
	orphans_destroy(cs->orphans);
	policy_keeper_destroy(cs->keeper);
	backend_close(cs->backend);
	standing_destroy(cs->env.standing);
	free(cs->listeners);
	put(cs);
}

/* -------- for manage/ -------- */

const struct backend *channels_backend(const struct channels *cs)
{
	return cs->trouble[0] ? NULL : cs->backend;
}

void channels_visit(struct channels *cs, void (*visit)(const struct channel_view *view, void *arg),
		    void *arg)
{
	struct channel_view view;
	struct channel *c;

	for (c = cs->first; c; c = c->next) {
		channel_fill_view(c, &view);
		visit(&view, arg);
	}
	orphans_visit(cs->orphans, visit, arg);
}

bool channels_view(struct channels *cs, const char *name, struct channel_view *view)
{
	const struct channel *c = find(cs, name);
	const struct orphan *o = c ? NULL : orphans_find(cs->orphans, name);

	if (c)
		channel_fill_view(c, view);
	else if (o)
		orphan_fill_view(o, view);
	return c || o;
}

int channels_add(struct channels *cs, struct config_channel *config, const char *spec,
		 channels_done_fn done, void *arg)
{
	struct channel *c = find(cs, config->name);
	int err;

	if (c)
		err = c->phase == CHANNEL_DELETING ? -EBUSY : -EEXIST;
	else
		err = make(cs, config, false, &c);
	if (err) {
		config_channel_free(config);
		return err;
	}
	c->spec = strdup(spec);
	if (!c->spec) {
		char error[256];

		policy_remove(c->config->name, 0, error, sizeof(error));
		unlink_channel(c, cs);
		channel_release(c); /* frees @config too */
		return -ENOMEM;
	}
	c->done = done;
	c->done_arg = arg;
	channel_start(c);
	return 0;
}

int channels_delete(struct channels *cs, const char *name, channels_done_fn done, void *arg)
{
	struct channel *c = find(cs, name);

	if (!c)
		return orphans_delete(cs->orphans, name, done, arg);
	if (c->done)
		return -EBUSY; /* it is being added, or deleted */
	channel_delete(c, done, arg);
	return 0;
}

/* -------- rollover -------- */

struct rollover {
	channels_done_fn done;
	void *arg;
};

static void rolled_over(void *arg, int err, const void *record)
{
	struct rollover *call = arg;
	const struct qkd_rollover *r = record;
	char text[96] = "";

	if (!err)
		err = r->status;
	if (err == -EAGAIN)
		snprintf(text, sizeof(text), "no epoch is ready that the peer holds too");
	else if (err)
		snprintf(text, sizeof(text), "%s", strerror(-err));
	else
		snprintf(text, sizeof(text), "epoch %llu is in use", (unsigned long long)r->epoch);
	call->done(call->arg, err, text);
	free(call);
}

int channels_rollover(struct channels *cs, const char *name, channels_done_fn done, void *arg)
{
	const struct channel *c = find(cs, name);
	struct qkd_rollover record = {.channel = c ? c->record.id : 0};
	struct rollover *call;
	int err;

	if (!c)
		return -ENOENT;
	if (c->phase != CHANNEL_STANDS || !cs->env.backend)
		return -EAGAIN;
	call = malloc(sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->done = done;
	call->arg = arg;
	err = backend_submit(cs->env.backend, QKD_CMD_ROLLOVER, &record, rolled_over, call);
	if (err)
		free(call);
	return err;
}

int channels_epochs(struct channels *cs, const char *name, backend_list_fn done, void *arg)
{
	const struct channel *c = find(cs, name);
	const struct orphan *o = c ? NULL : orphans_find(cs->orphans, name);

	if (!c && !o)
		return -ENOENT;
	if ((c && c->phase != CHANNEL_STANDS) || !cs->env.backend) {
		done(arg, 0, NULL, 0); /* it has none */
		return 0;
	}
	return backend_list_epochs(cs->env.backend, c ? c->record.id : orphan_id(o), done, arg);
}
