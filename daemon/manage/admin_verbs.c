// SPDX-License-Identifier: GPL-2.0-or-later
/* What each verb of the admin socket does. Messages for people name the way out. */
#include "manage/admin_parts.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MISTAKES_MAX 100

static void run_status(struct admin_call *call)
{
	admin_call_ok(call, view_status(call->node));
}

static void run_links(struct admin_call *call)
{
	admin_call_ok(call, view_links(call->node));
}

static void run_keys(struct admin_call *call)
{
	admin_call_ok(call, view_keys(call->node));
}

static void run_follow(struct admin_call *call)
{
	/* before the answer: nothing may be lost between it and the first event */
	call->conn->follows = true;
	admin_call_ok(call, NULL);
}

/* -------- arguments -------- */

/* Takes args' fields against the names given, ended by NULL. Answers if one is strange. */
static bool known_args(struct admin_call *call, const char *const *names)
{
	const char *key;
	json_t *value;

	json_object_foreach(call->args, key, value) {
		const char *const *name = names;

		while (*name && strcmp(*name, key))
			name++;
		if (*name)
			continue;
		admin_call_fail(call, "bad_request", NULL, "args has an unknown field: %.40s", key);
		return false;
	}
	return true;
}

static bool get_flag(struct admin_call *call, const char *name, bool *flag)
{
	const json_t *value = json_object_get(call->args, name);

	*flag = json_is_true(value);
	if (!value || json_is_boolean(value))
		return true;
	admin_call_fail(call, "bad_request", NULL, "args.%s must be true or false", name);
	return false;
}

/* args.channel as a channel that is there. Answers if not. */
static bool get_channel(struct admin_call *call, struct channel_view *view)
{
	const char *name = json_string_value(json_object_get(call->args, "channel"));

	if (!name) {
		admin_call_fail(call, "bad_request", NULL, "args.channel is missing: a name");
		return false;
	}
	if (channels_view(call->node->channels, name, view))
		return true;
	admin_call_fail(call, "no_such_object", NULL,
			"there is no channel %.60s; `qkdctl channel list` shows what there is",
			name);
	return false;
}

/* -------- lists over channels -------- */

static void list_channel(const struct channel_view *view, void *arg)
{
	struct admin_call *call = arg;

	admin_call_list_entry(call, view_channel(call->node, view, false));
}

static void run_channels(struct admin_call *call)
{
	admin_call_list_begin(call, "channels");
	channels_visit(call->node->channels, list_channel, call);
	admin_call_list_end(call);
}

static void run_show(struct admin_call *call)
{
	static const char *const names[] = {"channel", NULL};
	struct channel_view view;

	if (!known_args(call, names) || !get_channel(call, &view))
		return;
	admin_call_ok(call, json_pack("{s:o}", "channel", view_channel(call->node, &view, true)));
}

static void next_sas(struct admin_call *call);

static void sas_came(void *arg, int err, const void *records, size_t count)
{
	struct admin_call *call = arg;
	const struct qkd_epoch *epochs = records;
	struct channel_view view;

	/* a channel that is gone meanwhile has no SAs; the others are still wanted */
	call->error = err == -ENOENT ? 0 : err;
	if (err || !call->conn ||
	    !channels_view(call->node->channels, call->names[call->name_at - 1], &view))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		admin_call_list_entry(call, view_sa(call->node, &view, &epochs[i], false));
		admin_call_list_entry(call, view_sa(call->node, &view, &epochs[i], true));
	}
	call->came = true;
	if (!call->asking)
		next_sas(call);
}

/*
 * Asks for one channel after the other; ends the call after the last. A
 * channel that is not in the kernel answers within the call: then the loop here
 * goes on, so that the stack does not grow with the number of channels.
 */
static void next_sas(struct admin_call *call)
{
	while (!call->error && call->conn && call->name_at < call->name_count) {
		int err;

		call->came = false;
		call->asking = true;
		err = channels_epochs(call->node->channels, call->names[call->name_at++], sas_came,
				      call);
		call->asking = false;
		if (err && err != -ENOENT)
			call->error = err;
		if (!err && !call->came)
			return;
	}
	if (call->error)
		admin_call_fail(call, "failed", NULL, "the SAs of channel %s cannot be listed: %s",
				call->names[call->name_at - 1], strerror(-call->error));
	else
		admin_call_list_end(call);
}

static bool add_name(struct admin_call *call, const char *name)
{
	char **names = reallocarray(call->names, call->name_count + 1, sizeof(*names));

	if (!names)
		return false;
	call->names = names;
	names[call->name_count] = strdup(name);
	if (!names[call->name_count])
		return false;
	call->name_count++;
	return true;
}

static void collect_name(const struct channel_view *view, void *arg)
{
	struct admin_call *call = arg;

	if (!add_name(call, view->config->name))
		call->text.failed = true;
}

static void run_sas(struct admin_call *call)
{
	static const char *const names[] = {"channel", NULL};
	struct channel_view view;

	if (!known_args(call, names))
		return;
	if (json_object_get(call->args, "channel")) {
		if (!get_channel(call, &view))
			return;
		collect_name(&view, call);
	} else {
		channels_visit(call->node->channels, collect_name, call);
	}
	admin_call_list_begin(call, "sas");
	next_sas(call);
}

/* -------- changes -------- */

static const char *error_code(int err)
{
	switch (err) {
	case -ENOENT:
		return "no_such_object";
	case -EEXIST:
		return "exists";
	case -EAGAIN:
	case -EBUSY:
		return "not_now";
	default:
		return "failed";
	}
}

static const char *error_text(int err)
{
	switch (err) {
	case -EAGAIN:
		return "not now: the channel is not in the kernel yet, or no epoch is ready; see "
		       "`qkdctl channel show`";
	case -EBUSY:
		return "not now: the channel is just being changed; try again";
	default:
		return strerror(-err);
	}
}

/* How a change ended. A person should know @text and call->subject even if it went well. */
static void changed(void *arg, int err, const char *text)
{
	struct admin_call *call = arg;
	json_t *data = NULL;

	text = text && *text ? text : NULL;
	if (err) {
		admin_call_fail(call, error_code(err), NULL, "%s", text ? text : error_text(err));
		return;
	}
	if (call->quiet)
		data = json_pack("{s:s*}", "result", text);
	else if (text || call->subject)
		data = json_pack("{s:s++}", "note", text ? text : "",
				 text && call->subject ? "; " : "",
				 call->subject ? call->subject : "");
	admin_call_ok(call, data);
}

/* A change that could not even begin. */
static void began(struct admin_call *call, int err)
{
	if (err)
		changed(call, err, NULL);
}

__attribute__((format(printf, 2, 3))) static void say(struct admin_call *call, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&call->subject, fmt, ap) < 0)
		call->subject = NULL;
	va_end(ap);
}

/* With dry_run, ends the call with call->subject. */
static bool stop_here(struct admin_call *call)
{
	if (!call->dry_run)
		return false;
	changed(call, 0, NULL);
	return true;
}

static void run_delete(struct admin_call *call)
{
	static const char *const names[] = {"channel", "dry_run", NULL};
	struct channel_view view;
	const char *name;

	if (!known_args(call, names) || !get_flag(call, "dry_run", &call->dry_run) ||
	    !get_channel(call, &view))
		return;
	name = view.config->name;
	if (call->dry_run)
		say(call,
		    "would take down channel %s (%s, %s): its SAs and policies go, and nothing "
		    "protects its traffic then%s",
		    name, config_kind_name(view.config->kind), view_state(&view),
		    view.from_file ? "; it is in the configuration file and comes back at the "
				     "next start"
				   : "");
	else if (view.from_file)
		say(call,
		    "channel %s is in the configuration file: it comes back at the next start "
		    "unless it is removed there",
		    name);
	if (!stop_here(call))
		began(call, channels_delete(call->node->channels, name, changed, call));
}

static void run_rollover(struct admin_call *call)
{
	static const char *const names[] = {"channel", "dry_run", NULL};
	struct channel_view view;

	if (!known_args(call, names) || !get_flag(call, "dry_run", &call->dry_run) ||
	    !get_channel(call, &view))
		return;
	if (call->dry_run)
		say(call, "would switch the outbound SA of channel %s; %llu epochs stand ready",
		    view.config->name,
		    view.counters ? (unsigned long long)view.counters->ready : 0ULL);
	call->quiet = !call->dry_run;
	if (!stop_here(call))
		began(call,
		      channels_rollover(call->node->channels, view.config->name, changed, call));
}

static void collect_mistake(const char *line, void *arg)
{
	json_t *mistakes = arg;
	json_t *text = json_string(line);

	if (json_array_size(mistakes) < MISTAKES_MAX)
		json_array_append_new(mistakes, text ? text : json_string("(not UTF-8)"));
	else
		json_decref(text);
}

/* The checked channel of args.yaml. Answers if it is not good. */
static struct config_channel *get_spec(struct admin_call *call, const char **yaml)
{
	const json_t *text = json_object_get(call->args, "yaml");
	const char *origin = json_string_value(json_object_get(call->args, "origin"));
	struct config_channel *channel;
	json_t *mistakes;
	int err;

	*yaml = json_string_value(text);
	if (!*yaml) {
		admin_call_fail(call, "bad_request", NULL,
				"args.yaml is missing: the channel's fields as YAML");
		return NULL;
	}
	mistakes = json_array();
	err = config_channel_load(call->node->config, *yaml, json_string_length(text),
				  origin ? origin : "request", collect_mistake, mistakes, &channel);
	if (!err) {
		json_decref(mistakes);
		return channel;
	}
	admin_call_fail(call, "invalid_config", mistakes, "the channel was not added");
	return NULL;
}

static void run_add(struct admin_call *call)
{
	static const char *const names[] = {"yaml", "origin", "dry_run", NULL};
	struct config_channel *channel;
	struct channel_view view;
	const char *yaml;

	if (!known_args(call, names) || !get_flag(call, "dry_run", &call->dry_run))
		return;
	channel = get_spec(call, &yaml);
	if (!channel)
		return;
	if (channels_view(call->node->channels, channel->name, &view)) {
		admin_call_fail(call, "exists", NULL,
				"there is a channel %s already; delete it first, or take another "
				"name",
				channel->name);
		config_channel_free(channel);
		return;
	}
	if (call->dry_run) {
		say(call, "would add channel %s (%s) on link %s", channel->name,
		    config_kind_name(channel->kind), channel->link);
		config_channel_free(channel);
		stop_here(call);
		return;
	}
	began(call, channels_add(call->node->channels, channel, yaml, changed, call));
}

/* -------- dispatch -------- */

static const struct {
	const char *name;
	void (*run)(struct admin_call *call);
} verbs[] = {
	{"status", run_status},
	{"link.list", run_links},
	{"channel.list", run_channels},
	{"channel.show", run_show},
	{"channel.add", run_add},
	{"channel.delete", run_delete},
	{"channel.rollover", run_rollover},
	{"key.stats", run_keys},
	{"sa.list", run_sas},
	{"event.follow", run_follow},
};

void admin_verb_run(struct admin_call *call, const char *verb)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, verb))
			continue;
		verbs[i].run(call);
		return;
	}
	admin_call_fail(call, "no_such_verb", NULL,
			"there is no verb %.40s; this is qkdkeyd " NODE_VERSION, verb);
}
