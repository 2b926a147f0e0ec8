// SPDX-License-Identifier: GPL-2.0-or-later
/* Channels that nobody configured; see orphans.h. */
#include "unp/orphans.h"
#include "log.h"
#include "unp/mark.h"
#include "unp/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct orphan
 * @record: as listed
 * @config: what the record tells of its configuration; has no link
 * @simulated: a key of its SAs is
 * @deleting: the backend was asked to; the answer says whether it goes
 * @error: of the last try to delete it, "" if none
 * @name: printable
 */
struct orphan {
	struct orphan *next;
	struct qkd_channel record;
	struct config_channel config;
	bool simulated;
	bool deleting;
	char error[384];
	char name[QKD_NAME_BYTES];
};

/**
 * struct orphans
 * @seen: of standing_ask()
 * @refs: the owner's one, and one per answer to come
 * @dead: destroyed while one was; @env is gone
 */
struct orphans {
	struct channel_env *env;
	struct orphan *first;
	uint32_t seen;
	unsigned int refs;
	bool dead;
};

/* -------- the list -------- */

static void free_all(struct orphan **list)
{
	struct orphan *o;

	while ((o = *list)) {
		*list = o->next;
		free(o);
	}
}

static struct orphan *find(struct orphan *list, const char *name)
{
	while (list && strcmp(list->name, name))
		list = list->next;
	return list;
}

static struct orphan *find_id(struct orphan *list, uint32_t id)
{
	while (list && list->record.id != id)
		list = list->next;
	return list;
}

/* Those with this name, or with this number if @name is NULL. */
static void drop(struct orphan **list, const char *name, uint32_t id)
{
	struct orphan *o;

	while ((o = *list)) {
		if (name ? strcmp(o->name, name) : o->record.id != id) {
			list = &o->next;
			continue;
		}
		*list = o->next;
		free(o);
	}
}

struct orphans *orphans_create(struct channel_env *env)
{
	struct orphans *os = calloc(1, sizeof(*os));

	if (!os)
		return NULL;
	os->env = env;
	os->refs = 1;
	return os;
}

static void put(struct orphans *os)
{
	if (--os->refs)
		return;
	free_all(&os->first);
	free(os);
}

void orphans_destroy(struct orphans *os)
{
	if (!os)
		return;
	os->dead = true;
	put(os);
}

const struct orphan *orphans_find(const struct orphans *os, const char *name)
{
	return find(os->first, name);
}

uint32_t orphan_id(const struct orphan *o)
{
	return o->record.id;
}

void orphans_take_in(struct orphans *os, const char *name)
{
	drop(&os->first, name, 0);
}

void orphans_gone(struct orphans *os, uint32_t id)
{
	const struct orphan *o = find_id(os->first, id);

	if (o && !o->deleting)
		drop(&os->first, NULL, id);
}

/* -------- whether its keys are simulated -------- */

struct mark_call {
	struct orphans *orphans;
	uint32_t id;
};

static void mark_came(void *arg, int err, bool simulated)
{
	struct mark_call *call = arg;
	struct orphan *o = find_id(call->orphans->first, call->id);

	if (o && !err)
		o->simulated = simulated;
	put(call->orphans);
	free(call);
}

/* Of which link its keys came is not known; the store finds them all the same. */
static void read_mark(struct orphans *os, const struct orphan *o)
{
	struct mark_call *call = malloc(sizeof(*call));

	if (!call)
		return;
	*call = (struct mark_call){os, o->record.id};
	os->refs++;
	if (mark_ask(os->env->backend, os->env->store, o->record.id, "orphan", mark_came, call)) {
		put(os);
		free(call);
	}
}

/* -------- looking for them -------- */

/* It may be anybody's who had the device: no more than print is taken from it. */
static void copy_name(char name[QKD_NAME_BYTES], const struct qkd_channel *record)
{
	size_t i;

	for (i = 0; i < QKD_NAME_BYTES - 1 && record->name[i]; i++)
		name[i] = (char)(isgraph((unsigned char)record->name[i]) ? record->name[i] : '?');
	name[i] = '\0';
}

static struct orphan *make(const struct qkd_channel *record)
{
	static char no_link[] = "";
	struct orphan *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	copy_name(o->name, record);
	o->record = *record;
	o->config = (struct config_channel){
		.name = o->name,
		.link = no_link,
		.kind = (enum qkd_kind)record->kind,
		.cipher = (enum qkd_cipher)record->cipher,
		.rollover_ms = record->rollover_ms,
		.grace_ms = record->grace_ms,
		.hard_ms = record->hard_ms,
		.jitter_ms = record->jitter_ms,
		.soft_bytes = record->soft_bytes,
		.soft_packets = record->soft_packets,
		.hard_bytes = record->hard_bytes,
		.hard_packets = record->hard_packets,
		.lookahead = record->lookahead,
		.on_exhausted = (enum qkd_exhausted)record->on_exhausted,
	};
	return o;
}

static void add(struct orphans *os, struct orphan *known, const struct qkd_channel *record)
{
	struct orphan *o = make(record);

	if (!o) {
		log_err("out of memory: a channel in the kernel that is not configured is not "
			"listed");
		return;
	}
	o->next = os->first;
	os->first = o;
	if (!find_id(known, record->id))
		log_warn("channel %s (number %u) is in the kernel but not configured: its SAs stay "
			 "as long as their keys last; `qkdctl channel delete %s` removes it, to "
			 "keep it configure it again and restart",
			 o->name, record->id, o->name);
	if (os->env->backend)
		read_mark(os, o);
}

static void list_came(void *arg, int err, const void *records, size_t count)
{
	const struct qkd_channel *standing = records;
	struct orphans *os = arg;
	struct orphan *known = os->first;
	char name[QKD_NAME_BYTES];
	size_t i;

	if (err || os->dead)
		goto out; /* whoever opens the backend again looks again */
	os->first = NULL;
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)sizeof(name) - 1, standing[i].name);
		if (standing[i].id && !os->env->knows(os->env->list, name))
			add(os, known, &standing[i]);
	}
	free_all(&known);
out:
	put(os);
}

int orphans_look(struct orphans *os)
{
	uint32_t seen = os->seen;
	int err;

	os->refs++;
	err = standing_ask(os->env->standing, os->env->backend, &os->seen, list_came, os);
	if (err) {
		os->seen = seen;
		put(os);
	}
	return err;
}

/* -------- deleting -------- */

struct delete_call {
	struct orphans *orphans;
	channels_done_fn done;
	void *arg;
	struct qkd_channel record;
};

static int remove_policies(const struct qkd_channel *record, char *text, size_t len)
{
	char error[256] = "";
	int err;

	if (record->kind == QKD_KIND_MACSEC || (record->reqid & POLICY_REQID_MASK) != POLICY_REQID)
		return 0;
	err = policy_remove_reqid(record->reqid, error, sizeof(error));
	if (err)
		snprintf(text, len,
			 "%s; its SAs are gone, and what stays of its policies blocks its traffic: "
			 "delete it again",
			 error);
	return err;
}

/* As of a channel: SAs first, then the policies. */
static void deleted(void *arg, int err, const void *answer)
{
	struct delete_call *call = arg;
	struct orphan *o = find_id(call->orphans->first, call->record.id);
	const struct qkd_channel *r = answer;
	char text[384] = "";

	if (!err)
		err = r->status;
	if (err == -ENOENT)
		err = 0;
	if (err)
		snprintf(text, sizeof(text), "the kernel did not take its SAs down: %s",
			 strerror(-err));
	else
		err = remove_policies(&call->record, text, sizeof(text));
	if (o)
		o->deleting = false;
	if (!err)
		drop(&call->orphans->first, NULL, call->record.id);
	else if (o)
		snprintf(o->error, sizeof(o->error), "%s", text);
	call->done(call->arg, err, text);
	put(call->orphans);
	free(call);
}

static int delete_it(struct orphans *os, struct orphan *o, channels_done_fn done, void *arg)
{
	struct delete_call *call = malloc(sizeof(*call));
	struct qkd_channel record = {.id = o->record.id};
	int err;

	if (!call)
		return -ENOMEM;
	*call = (struct delete_call){os, done, arg, o->record};
	o->deleting = true;
	os->refs++;
	standing_forget(os->env->standing, record.id);
	err = backend_submit(os->env->backend, QKD_CMD_CHANNEL_DELETE, &record, deleted, call);
	if (err) {
		o->deleting = false;
		put(os);
		free(call);
	}
	return err;
}

int orphans_delete(struct orphans *os, const char *name, channels_done_fn done, void *arg)
{
	struct orphan *o = find(os->first, name);
	char text[384];

	if (!o)
		return -ENOENT;
	if (o->deleting)
		return -EBUSY;
	if (os->env->backend)
		return delete_it(os, o, done, arg);
	snprintf(text, sizeof(text),
		 "its SAs cannot be reached, so its policies stay: %s; mend that, then delete it "
		 "again",
		 *os->env->trouble ? os->env->trouble : "the kernel has not answered yet");
	done(arg, -ENODEV, text);
	return 0;
}

/* -------- views -------- */

void orphan_fill_view(const struct orphan *o, struct channel_view *view)
{
	*view = (struct channel_view){
		.config = &o->config,
		.peer = "",
		.orphaned = true,
		.simulated = o->simulated,
		.state = o->record.state,
		.waits = CHANNEL_WAITS_NOTHING,
		.id = o->record.id,
		.reqid = o->record.reqid,
		.last_error = o->error[0]
				      ? o->error
				      : "it is in the kernel but not configured: qkdctl channel "
					"delete removes it; to keep it, configure it again and "
					"restart",
	};
}

void orphans_visit(const struct orphans *os,
		   void (*visit)(const struct channel_view *view, void *arg), void *arg)
{
	const struct orphan *o;
	struct channel_view view;

	for (o = os->first; o; o = o->next) {
		orphan_fill_view(o, &view);
		visit(&view, arg);
	}
}
