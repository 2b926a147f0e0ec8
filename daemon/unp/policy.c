// SPDX-License-Identifier: GPL-2.0-or-later
/* The IPsec policies of the channels in the kernel; see policy.h. */
#include "unp/policy.h"
#include "unp/policy_kernel.h"
#include "unp/policy_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct inherited - policies of our request IDs that stood when they were last read
 * @list: each channel takes its own off when it is tidied
 *
 * Read once for all channels: with N of them, N times would be N * N policies.
 */
static struct inherited {
	struct policy_entry *list;
	size_t count;
	bool known;
} inherited;

/* What one call works on. */
struct job {
	struct policy_kernel *kernel;
	char *error;
	size_t error_len;
};

/* Whether trying again soon may help, for the caller's choice of when. */
static int soon(int err)
{
	return err == -ECONNREFUSED || err == -EINTR ? -EAGAIN : err;
}

static int explain(struct job *j, const struct policy_entry *entry, int err)
{
	char text[160];

	policy_entry_describe(entry, text, sizeof(text));
	snprintf(j->error, j->error_len, "%s: %s", text,
		 err == -EEXIST ? "there is another policy for the same traffic; remove it (ip "
				  "xfrm policy) or change the channel"
				: policy_kernel_reason(err));
	return soon(err);
}

static int begin(struct job *j, char *error, size_t error_len)
{
	*j = (struct job){.error = error, .error_len = error_len};
	return soon(policy_kernel_open(&j->kernel, error, error_len));
}

static void end(struct job *j)
{
	policy_kernel_close(j->kernel);
}

/* -------- putting -------- */

/*
 * Whether what stands for some traffic may be replaced: no two channels of
 * this process want the same, but an earlier key store numbered anew.
 */
static bool may_replace(const struct policy_entry *found, const struct policy_entry *entry)
{
	if (entry->protect)
		return policy_entry_is_fence(found) || policy_entry_protects(found);
	return policy_entry_allows(entry) && policy_entry_allows(found);
}

/* A fence has its purpose where something of ours is better already. */
static bool is_as_good(const struct policy_entry *found, const struct policy_entry *entry)
{
	return policy_entry_same_effect(found, entry) ||
	       (policy_entry_is_fence(entry) && policy_entry_protects(found));
}

static int put_over(struct job *j, const struct policy_entry *entry, bool whatever)
{
	struct policy_entry found;
	int err = policy_kernel_find(j->kernel, entry, &found);

	if (!err && is_as_good(&found, entry))
		return 0;
	if (!err && !whatever && !may_replace(&found, entry))
		return -EEXIST;
	/* Gone meanwhile is as good: an update adds what is not there. */
	return err && err != -ENOENT ? err : policy_kernel_put(j->kernel, entry, true);
}

/* @whatever: also over somebody else's, as it stood once. */
static int put(struct job *j, struct policy_want *want, bool whatever)
{
	int err = policy_kernel_put(j->kernel, &want->entry, false);

	if (err == -EEXIST)
		err = put_over(j, &want->entry, whatever);
	want->stands = want->stands || !err;
	return err ? explain(j, &want->entry, err) : 0;
}

/* What protects comes first in the list, and all of it is tried. */
static int put_all(struct job *j, const char *channel)
{
	struct policy_want *want = policy_table_of(channel);
	int first = 0;

	for (; want; want = want->next_owned) {
		int err;

		if (first && policy_entry_allows(&want->entry))
			break;
		err = put(j, want, false);
		if (err && !first)
			first = err;
	}
	return first;
}

static int refuse_double(const char *channel, const struct policy_entry *entries, size_t count,
			 char *error, size_t error_len)
{
	char text[160];
	size_t i;

	for (i = 0; i < count; i++) {
		const char *other = policy_entry_allows(&entries[i])
					    ? NULL
					    : policy_table_other(&entries[i], channel);

		if (!other)
			continue;
		policy_entry_describe(&entries[i], text, sizeof(text));
		snprintf(error, error_len, "%s: channel %s protects the same traffic", text, other);
		return -EEXIST;
	}
	return 0;
}

static int want_entries(const struct config *config, const struct config_channel *channel,
			uint32_t reqid, char *error, size_t error_len)
{
	struct policy_entry *entries;
	size_t count;
	int err = policy_entries(config, channel, reqid, &entries, &count);

	if (err) {
		snprintf(error, error_len,
			 "no policies can be made of local, remote, local_nets and remote_nets: %s",
			 strerror(-err));
		return err;
	}
	err = refuse_double(channel->name, entries, count, error, error_len);
	if (!err) {
		snprintf(error, error_len, "policies: %s", strerror(ENOMEM));
		err = policy_table_set(channel->name, entries, count);
	}
	free(entries);
	return err;
}

int policy_install(const struct config *config, const struct config_channel *channel,
		   uint32_t reqid, char *error, size_t error_len)
{
	struct job j;
	int err = want_entries(config, channel, reqid, error, error_len);

	if (err)
		return err;
	err = begin(&j, error, error_len);
	if (!err)
		err = put_all(&j, channel->name);
	end(&j);
	return err;
}

int policy_fence(const struct config *config, const struct config_channel *channel, char *error,
		 size_t error_len)
{
	return policy_install(config, channel, 0, error, error_len);
}

/* -------- what nobody wants -------- */

static void forget_inherited(void)
{
	free(inherited.list);
	inherited = (struct inherited){0};
}

void policy_forget(void)
{
	forget_inherited();
	policy_table_clear();
}

static int read_all(struct job *j, struct policy_entry **list, size_t *count)
{
	int err = policy_kernel_list(j->kernel, list, count);

	if (err)
		snprintf(j->error, j->error_len, "IPsec policies cannot be read: %s",
			 policy_kernel_reason(err));
	return soon(err);
}

static int inherit(struct job *j)
{
	int err;

	if (inherited.known)
		return 0;
	err = read_all(j, &inherited.list, &inherited.count);
	inherited.known = !err;
	return err;
}

static int take_out(struct job *j, const struct policy_entry *entry)
{
	char text[160];
	int err = policy_kernel_delete(j->kernel, entry);

	if (!err || err == -ENOENT)
		return 0;
	policy_entry_describe(entry, text, sizeof(text));
	snprintf(j->error, j->error_len, "%s cannot be removed: %s", text,
		 policy_kernel_reason(err));
	return soon(err);
}

static int remove_stale(struct job *j, uint32_t reqid)
{
	int err = inherit(j);
	size_t i = 0;

	while (!err && i < inherited.count) {
		const struct policy_entry *entry = &inherited.list[i];

		if (!entry->protect || entry->template.reqid != reqid) {
			i++;
			continue;
		}
		if (!policy_table_find(entry, NULL))
			err = take_out(j, entry);
		if (!err)
			inherited.list[i] = inherited.list[--inherited.count];
	}
	return err;
}

int policy_tidy(uint32_t reqid, char *error, size_t error_len)
{
	struct job j;
	int err = begin(&j, error, error_len);

	if (!err)
		err = remove_stale(&j, reqid);
	end(&j);
	return err;
}

int policy_remove_reqid(uint32_t reqid, char *error, size_t error_len)
{
	forget_inherited();
	return policy_tidy(reqid, error, error_len);
}

/* -------- a channel goes -------- */

static int remove_want(struct job *j, const struct policy_want *want, uint32_t reqid)
{
	const struct policy_entry *entry = &want->entry;
	struct policy_entry found;
	int err;

	if (policy_table_other(entry, want->channel))
		return 0;
	err = policy_kernel_find(j->kernel, entry, &found);
	if (err == -ENOENT)
		return 0;
	if (err)
		return explain(j, entry, err);
	if (found.protect ? found.template.reqid == reqid
			  : policy_entry_is_fence(&found) || policy_entry_allows(&found))
		err = take_out(j, entry);
	return err;
}

int policy_remove(const char *channel, uint32_t reqid, char *error, size_t error_len)
{
	struct policy_want *want;
	struct job j;
	int err;

	if (!policy_table_of(channel))
		return 0;
	forget_inherited(); /* what cannot be removed now is found by the next tidying */
	err = begin(&j, error, error_len);
	while (!err && (want = policy_table_of(channel))) {
		err = remove_want(&j, want, reqid);
		if (!err)
			policy_table_drop(channel, want);
	}
	end(&j);
	return err;
}

/* -------- mending -------- */

struct mending {
	struct job job;
	bool all_known;
	struct policy_mended *mended;
};

static int mend_altered(struct mending *m, struct policy_want *want,
			const struct policy_entry *found)
{
	int err;

	want->seen = true;
	if (is_as_good(found, &want->entry)) {
		want->stands = true;
		return 0;
	}
	/* Before ours was there: whose it is keeps it, and the channel says so. */
	if (!want->stands && !may_replace(found, &want->entry))
		return 0;
	err = put(&m->job, want, true);
	m->mended->altered += !err;
	return err;
}

static int mend_found(struct mending *m, const struct policy_entry *found)
{
	struct policy_want *want = policy_table_find(found, NULL);
	int err = 0;

	if (want) {
		for (; want && !err; want = policy_table_find(found, want))
			err = mend_altered(m, want, found);
		return err;
	}
	if (!m->all_known || !(policy_entry_is_fence(found) || policy_entry_allows(found)))
		return 0;
	err = take_out(&m->job, found);
	m->mended->stray += !err;
	return err;
}

static int mend_missing(struct policy_want *want, void *arg)
{
	struct mending *m = arg;
	int err = put(&m->job, want, false);

	if (err == -EEXIST)
		return 0; /* it came meanwhile: a change of its own */
	m->mended->missing += !err;
	return err;
}

int policy_mend(bool all_known, struct policy_mended *mended, char *error, size_t error_len)
{
	struct mending m = {.all_known = all_known, .mended = mended};
	struct policy_entry *list = NULL;
	size_t count = 0, i;
	int err = begin(&m.job, error, error_len);

	*mended = (struct policy_mended){0};
	if (!err)
		err = read_all(&m.job, &list, &count);
	policy_table_unsee();
	for (i = 0; i < count && !err; i++)
		err = mend_found(&m, &list[i]);
	if (!err)
		err = policy_table_unseen(mend_missing, &m);
	free(list);
	end(&m.job);
	return err;
}

static int is_one(struct policy_want *want, void *arg)
{
	return 1;
}

bool policy_wanted(void)
{
	policy_table_unsee();
	return policy_table_unseen(is_one, NULL);
}

bool policy_concerns(const struct policy_entry *entry, bool gone)
{
	const struct policy_want *want = policy_table_find(entry, NULL);

	return want && (gone || !is_as_good(entry, &want->entry));
}
