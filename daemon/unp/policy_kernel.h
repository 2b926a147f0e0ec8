/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XFRM policies in the kernel, one message each (libnl). libnl-xfrm's own
 * policy objects are not used: those of 3.7 leak the addresses of every policy
 * that is read, and know no interface IDs.
 */
#ifndef UNP_POLICY_KERNEL_H
#define UNP_POLICY_KERNEL_H

#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_kernel;

/**
 * struct policy_entry - one policy
 * @protect: @template is valid: one, not optional, so that without an SA nothing passes
 * @mark: .m 0: none
 * @if_id: 0: none
 */
struct policy_entry {
	struct xfrm_userpolicy_info info;
	bool protect;
	struct xfrm_user_tmpl template;
	struct xfrm_mark mark;
	uint32_t if_id;
};

/**
 * policy_kernel_open - for the network namespace of the calling thread
 * @error: gets a sentence
 * Return: 0, or negative errno; -EPROTONOSUPPORT: the kernel has no XFRM user interface.
 */
int policy_kernel_open(struct policy_kernel **kernel, char *error, size_t error_len);
void policy_kernel_close(struct policy_kernel *kernel);

/**
 * policy_kernel_event - what an event of XFRMNLGRP_POLICY is about
 * @gone: it was deleted; @entry says for which traffic, no more
 * Return: 0, or -EPROTO: not about one policy that it describes.
 */
int policy_kernel_event(const struct nlmsghdr *header, struct policy_entry *entry, bool *gone);

/** What the last call's negative errno means and what to do about it. */
const char *policy_kernel_reason(int err);

/**
 * policy_kernel_put - adds it; with @replace, in the place of one for the same traffic
 *
 * All calls: 0 or the kernel's negative errno. -EAGAIN: only for now, try again.
 * Here -EEXIST: there is one, and not @replace.
 */
int policy_kernel_put(struct policy_kernel *kernel, const struct policy_entry *entry, bool replace);

/** The one for the traffic (selector, direction, mark, interface ID) of @like. -ENOENT. */
int policy_kernel_find(struct policy_kernel *kernel, const struct policy_entry *like,
		       struct policy_entry *found);

/** Takes the one for the traffic of @like out. -ENOENT. */
int policy_kernel_delete(struct policy_kernel *kernel, const struct policy_entry *like);

/**
 * policy_kernel_list - all policies of the namespace
 * @list: the caller's to free()
 *
 * A list that changes while it is read is read again, some times; then -EAGAIN.
 */
int policy_kernel_list(struct policy_kernel *kernel, struct policy_entry **list, size_t *count);

#endif
