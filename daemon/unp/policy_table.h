/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which policies the channels of this process want in the kernel. Two may want
 * the same one, such as the way to a peer KM that they share: it stays as long
 * as one of them does. Pure logic, of one thread.
 */
#ifndef UNP_POLICY_TABLE_H
#define UNP_POLICY_TABLE_H

#include "unp/policy_entry.h"

/**
 * struct policy_want - one policy that one channel wants
 * @channel: who wants it
 * @stands: it was put into the kernel like this
 * @seen: for policy_table_unseen()
 */
struct policy_want {
	struct policy_want *next_alike;
	struct policy_want *next_owned;
	const char *channel;
	struct policy_entry entry;
	bool stands;
	bool seen;
};

/**
 * policy_table_set - what a channel wants, in the place of what it wanted
 * @channel: its name
 * Return: 0, or -ENOMEM: what it wanted before is still wanted.
 */
int policy_table_set(const char *channel, const struct policy_entry *entries, size_t count);

/** What it wants, in the order of policy_table_set(), linked by next_owned. NULL: nothing. */
struct policy_want *policy_table_of(const char *channel);

/** It no longer wants @want. */
void policy_table_drop(const char *channel, struct policy_want *want);

/** The first that is wanted for this traffic after @after (NULL: at all), whoever wants it. */
struct policy_want *policy_table_find(const struct policy_entry *like,
				      const struct policy_want *after);

/** Another channel than @channel that wants a policy for this traffic, or NULL. */
const char *policy_table_other(const struct policy_entry *like, const char *channel);

/** Clears @seen of all. */
void policy_table_unsee(void);
/** Calls @fn for each that is not @seen; ends at what is not 0, and returns it. */
int policy_table_unseen(int (*fn)(struct policy_want *want, void *arg), void *arg);

/** Nothing is wanted by anybody. */
void policy_table_clear(void);

#endif
