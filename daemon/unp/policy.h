/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IPsec policies of the channels in the kernel (libnl). They are there
 * before the first key and stay when the daemon ends, so that traffic that is
 * to be encrypted never goes in the clear. Policies of others are left alone:
 * ours are known by their template's request ID, or by priority and shape.
 *
 * A channel has a fence first: policies that block its traffic. They need
 * nothing but the configuration. Once its number is known each is replaced, in
 * one step, by the policy that sends the same traffic through the SAs.
 *
 * What is wanted is kept in policy_table.h for the whole process.
 */
#ifndef UNP_POLICY_H
#define UNP_POLICY_H

#include "unp/policy_entry.h"

/**
 * policy_fence - blocks the channel's traffic, but for what it needs to get its keys
 * @error: gets a sentence that names the policy
 *
 * What protects already stays. Each policy is tried, whatever becomes of the others.
 * Return: as policy_install().
 */
int policy_fence(const struct config *config, const struct config_channel *channel, char *error,
		 size_t error_len);

/**
 * policy_install - brings in what is missing, in the place of the fence
 * @reqid: of the channel's SAs
 * @error: gets a sentence that names the policy
 *
 * What protects is installed first, before anything is allowed; nothing is
 * read. A failure leaves traffic blocked, not in the clear.
 *
 * Return: 0; -EEXIST: somebody else, or another channel, has a policy for the
 * same traffic; -EAGAIN: the kernel is busy or its XFRM is just being loaded,
 * try again soon; or another negative errno.
 */
int policy_install(const struct config *config, const struct config_channel *channel,
		   uint32_t reqid, char *error, size_t error_len);

/**
 * policy_tidy - takes out what has @reqid and nobody wants: the channel was other before
 *
 * Only for a channel that stands in the backend: before that, the number may
 * be that of a channel that still protects traffic.
 */
int policy_tidy(uint32_t reqid, char *error, size_t error_len);

/**
 * policy_remove - takes out what the channel wants and no other does
 * @channel: its name
 * @reqid: of its SAs
 * Return: 0 or negative errno; what could not be removed is wanted still, and
 * another call goes on.
 */
int policy_remove(const char *channel, uint32_t reqid, char *error, size_t error_len);

/** Takes out all that have @reqid in a template and nobody wants: of an orphan. */
int policy_remove_reqid(uint32_t reqid, char *error, size_t error_len);

/** struct policy_mended - how many were missing, altered, ours and wanted by nobody */
struct policy_mended {
	unsigned int missing;
	unsigned int altered;
	unsigned int stray;
};

/**
 * policy_mend - makes the kernel have what is wanted
 * @all_known: no channel is missing in what is wanted: takes out fences and
 *             exceptions (not what protects) that nobody wants
 *
 * One of somebody else's that was there before ours is left alone.
 */
int policy_mend(bool all_known, struct policy_mended *mended, char *error, size_t error_len);

/** Whether any channel wants any policy. */
bool policy_wanted(void);

/** Whether a policy that was put by anybody, or is @gone, is other than it is wanted. */
bool policy_concerns(const struct policy_entry *entry, bool gone);

/** Forgets what is wanted and what was read. The kernel forgets nothing. */
void policy_forget(void);

#endif
