/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policies of a channel as the kernel takes them, from its rules; and
 * whose a policy is that stands there. Pure logic.
 */
#ifndef UNP_POLICY_ENTRY_H
#define UNP_POLICY_ENTRY_H

#include "config/config.h"
#include "unp/policy_kernel.h"

/** Policies of lower numbers come first. */
#define POLICY_PRIORITY_ALLOW	0x5100
#define POLICY_PRIORITY_PROTECT 0x5200
#define POLICY_PRIORITY_FENCE	0x5300

/** Request IDs of all channels of a node are alike in the bits of the mask. */
#define POLICY_REQID	  0x51000000U
#define POLICY_REQID_MASK 0xff000000U

/**
 * policy_entries - what a channel wants in the kernel: what protects, then what allows
 * @reqid: of its SAs; 0: not known yet, then a fence stands in the place of
 *         each policy that protects, and blocks
 * @entries: gets an array, the caller's to free()
 * Return: 0, -ENOMEM, -EINVAL: see policy_rules().
 */
int policy_entries(const struct config *config, const struct config_channel *channel,
		   uint32_t reqid, struct policy_entry **entries, size_t *count);

/** The kernel has one policy for this: selector, direction, mark, interface ID. */
bool policy_entry_same_traffic(const struct policy_entry *a, const struct policy_entry *b);

/** What happens to that traffic. */
bool policy_entry_same_effect(const struct policy_entry *a, const struct policy_entry *b);

/** A hash of what policy_entry_same_traffic() compares. */
uint32_t policy_entry_hash(const struct policy_entry *entry);

/* What it is, if one of us put it: known by priority and shape. */
bool policy_entry_is_fence(const struct policy_entry *entry);
bool policy_entry_allows(const struct policy_entry *entry);
/** Of whichever channel of this node, of an earlier key store even. */
bool policy_entry_protects(const struct policy_entry *entry);

/** "policy out 10.1.0.0/24 to 10.2.0.0/24" */
void policy_entry_describe(const struct policy_entry *entry, char *text, size_t len);

#endif
