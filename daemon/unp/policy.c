// SPDX-License-Identifier: GPL-2.0-or-later
/* The IPsec policies of a channel in the kernel; see policy.h. */
#include "unp/policy.h"
#include "unp/policy_kernel.h"
#include "unp/policy_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE_PORT 0xffff

/**
 * struct inherited - policies of our request IDs that stood when they were last read
 * @list: each channel takes its own off when it is installed
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
	const struct config_channel *config;
	struct config_address local;
	struct config_address remote;
	struct policy_rule *rules;
	size_t count;
	uint32_t reqid;
	char *error;
	size_t error_len;
};

static void describe(const struct policy_rule *rule, char *text, size_t len)
{
	static const char *const direction[] = {"in", "out", "fwd"};
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	inet_ntop(rule->source.address.family, rule->source.address.octet, from, sizeof(from));
	inet_ntop(rule->destination.address.family, rule->destination.address.octet, to,
		  sizeof(to));
	snprintf(text, len, "policy %s %s/%u to %s/%u", direction[rule->direction], from,
		 rule->source.prefix, to, rule->destination.prefix);
}

/* Whether trying again soon may help, for the caller's choice of when. */
static int soon(int err)
{
	return err == -ECONNREFUSED || err == -EINTR ? -EAGAIN : err;
}

static int explain(struct job *j, const struct policy_rule *rule, int err)
{
	char text[160];

	describe(rule, text, sizeof(text));
	snprintf(j->error, j->error_len, "%s: %s", text,
		 err == -EEXIST ? "there is another policy for the same traffic; remove it (ip "
				  "xfrm policy) or change the channel"
				: policy_kernel_reason(err));
	return soon(err);
}

/* -------- building -------- */

static xfrm_address_t make_address(const struct config_address *address)
{
	xfrm_address_t made = {0};

	memcpy(&made, address->octet, address->family == AF_INET6 ? 16 : 4);
	return made;
}

/* The kernel compares selectors with their padding, which only memset() clears. */
static void set_selector(struct xfrm_selector *sel, const struct policy_rule *rule)
{
	memset(sel, 0, sizeof(*sel));
	sel->family = (uint16_t)rule->source.address.family;
	sel->saddr = make_address(&rule->source.address);
	sel->daddr = make_address(&rule->destination.address);
	sel->prefixlen_s = (uint8_t)rule->source.prefix;
	sel->prefixlen_d = (uint8_t)rule->destination.prefix;
	sel->proto = rule->protocol;
	sel->sport = htons(rule->source_port);
	sel->sport_mask = htons(rule->source_port ? ONE_PORT : 0);
	sel->dport = htons(rule->destination_port);
	sel->dport_mask = htons(rule->destination_port ? ONE_PORT : 0);
}

static bool same_address(const xfrm_address_t *a, const xfrm_address_t *b)
{
	return !memcmp(a->a6, b->a6, sizeof(a->a6));
}

static bool same_selector(const struct xfrm_selector *a, const struct xfrm_selector *b)
{
	return a->family == b->family && same_address(&a->saddr, &b->saddr) &&
	       same_address(&a->daddr, &b->daddr) && a->prefixlen_s == b->prefixlen_s &&
	       a->prefixlen_d == b->prefixlen_d && a->proto == b->proto && a->sport == b->sport &&
	       a->sport_mask == b->sport_mask && a->dport == b->dport &&
	       a->dport_mask == b->dport_mask && a->ifindex == b->ifindex && a->user == b->user;
}

/* Outer addresses in the direction of the packet. Not optional: no SA, no packet. */
static struct xfrm_user_tmpl make_template(const struct job *j, const struct policy_rule *rule)
{
	bool out = rule->direction == POLICY_OUT;

	return (struct xfrm_user_tmpl){
		.id = {.daddr = make_address(out ? &j->remote : &j->local), .proto = IPPROTO_ESP},
		.saddr = make_address(out ? &j->local : &j->remote),
		.family = (uint16_t)j->local.family,
		.reqid = j->reqid,
		.mode = j->config->kind == QKD_KIND_ESP_TUNNEL ? XFRM_MODE_TUNNEL
							       : XFRM_MODE_TRANSPORT,
		.aalgos = ~0U,
		.ealgos = ~0U,
		.calgos = ~0U,
	};
}

static void make_policy(struct policy_entry *entry, const struct job *j,
			const struct policy_rule *rule)
{
	const struct config_esp *esp = j->config->esp;

	memset(entry, 0, sizeof(*entry));
	set_selector(&entry->info.sel, rule);
	entry->info.lft.soft_byte_limit = XFRM_INF;
	entry->info.lft.hard_byte_limit = XFRM_INF;
	entry->info.lft.soft_packet_limit = XFRM_INF;
	entry->info.lft.hard_packet_limit = XFRM_INF;
	entry->info.priority = rule->protect ? POLICY_PRIORITY_PROTECT : POLICY_PRIORITY_ALLOW;
	entry->info.dir = (uint8_t)rule->direction;
	entry->info.action = XFRM_POLICY_ALLOW;
	entry->protect = rule->protect;
	if (rule->protect)
		entry->template = make_template(j, rule);
	if (esp->mark_mask)
		entry->mark = (struct xfrm_mark){.v = esp->mark, .m = esp->mark_mask};
	entry->if_id = esp->if_id;
}

/* -------- one rule -------- */

/*
 * Whether what stands for a rule's traffic may be replaced: another channel of
 * ours cannot have the same traffic, but an earlier key store numbered anew.
 */
static bool is_ours(const struct policy_entry *found, const struct policy_rule *rule,
		    uint32_t reqid)
{
	if (rule->protect != found->protect)
		return false;
	return rule->protect ? !((found->template.reqid ^ reqid) & POLICY_REQID_MASK)
			     : found->info.priority == POLICY_PRIORITY_ALLOW;
}

static int install_rule(struct job *j, const struct policy_rule *rule)
{
	struct policy_entry entry, found;
	int err;

	make_policy(&entry, j, rule);
	err = policy_kernel_put(j->kernel, &entry, false);
	if (err == -EEXIST) {
		err = policy_kernel_find(j->kernel, &entry, &found);
		if (!err && !is_ours(&found, rule, j->reqid))
			err = -EEXIST;
		/* Gone meanwhile is as good: an update adds what is not there. */
		if (!err || err == -ENOENT)
			err = policy_kernel_put(j->kernel, &entry, true);
	}
	return err ? explain(j, rule, err) : 0;
}

static int remove_rule(struct job *j, const struct policy_rule *rule)
{
	struct policy_entry entry, found;
	int err;

	make_policy(&entry, j, rule);
	err = policy_kernel_find(j->kernel, &entry, &found);
	if (!err && is_ours(&found, rule, j->reqid) &&
	    (!rule->protect || found.template.reqid == j->reqid))
		err = policy_kernel_delete(j->kernel, &entry);
	return err && err != -ENOENT ? explain(j, rule, err) : 0;
}

/* -------- what the channel no longer has -------- */

void policy_forget(void)
{
	free(inherited.list);
	inherited = (struct inherited){0};
}

static int inherit(struct job *j)
{
	int err;

	if (inherited.known)
		return 0;
	err = policy_kernel_list(j->kernel, &inherited.list, &inherited.count);
	if (err) {
		snprintf(j->error, j->error_len, "IPsec policies cannot be read: %s",
			 policy_kernel_reason(err));
		return soon(err);
	}
	inherited.known = true;
	return 0;
}

static bool is_wanted(const struct job *j, const struct policy_entry *entry)
{
	size_t i;

	for (i = 0; i < j->count; i++) {
		struct policy_entry own;

		make_policy(&own, j, &j->rules[i]);
		if (own.protect && own.info.dir == entry->info.dir && own.if_id == entry->if_id &&
		    own.mark.m == entry->mark.m && own.mark.v == entry->mark.v &&
		    same_selector(&own.info.sel, &entry->info.sel))
			return true;
	}
	return false;
}

static int remove_stale(struct job *j)
{
	int err = inherit(j);
	size_t i = 0;

	while (!err && i < inherited.count) {
		const struct policy_entry *entry = &inherited.list[i];

		if (!entry->protect || entry->template.reqid != j->reqid) {
			i++;
			continue;
		}
		if (!is_wanted(j, entry))
			err = policy_kernel_delete(j->kernel, entry);
		if (err == -ENOENT)
			err = 0;
		if (err)
			snprintf(j->error, j->error_len, "an old policy cannot be removed: %s",
				 policy_kernel_reason(err));
		else
			inherited.list[i] = inherited.list[--inherited.count];
	}
	return soon(err);
}

/* -------- jobs -------- */

static void end(struct job *j)
{
	policy_kernel_close(j->kernel);
	free(j->rules);
}

static int open_kernel(struct job *j)
{
	return soon(policy_kernel_open(&j->kernel, j->error, j->error_len));
}

static int begin(struct job *j, const struct config_channel *config, const struct config_peer *peer,
		 uint16_t kx_port, uint32_t reqid, char *error, size_t error_len)
{
	int err;

	memset(j, 0, sizeof(*j));
	j->config = config;
	j->reqid = reqid;
	j->error = error;
	j->error_len = error_len;
	err = policy_rules(config, peer, kx_port, &j->rules, &j->count);
	if (err) {
		snprintf(error, error_len,
			 "no policies can be made of local, remote, local_nets and remote_nets: %s",
			 strerror(-err));
		return err;
	}
	config_address_parse(config->esp->local, &j->local);
	config_address_parse(config->esp->remote, &j->remote);
	return open_kernel(j);
}

static int install_rules(struct job *j, bool protect)
{
	int err = 0;
	size_t i;

	for (i = 0; i < j->count && !err; i++)
		if (j->rules[i].protect == protect)
			err = install_rule(j, &j->rules[i]);
	return err;
}

int policy_install(const struct config_channel *config, const struct config_peer *peer,
		   uint16_t kx_port, uint32_t reqid, char *error, size_t error_len)
{
	struct job j;
	int err = begin(&j, config, peer, kx_port, reqid, error, error_len);

	/*
	 * What protects comes first: whatever fails after it, nothing passes in
	 * the clear. Nothing needs to be read before.
	 */
	err = err ? err : install_rules(&j, true);
	if (!err)
		err = install_rules(&j, false);
	if (!err)
		err = remove_stale(&j);
	end(&j);
	return err;
}

int policy_remove(const struct config_channel *config, const struct config_peer *peer,
		  uint16_t kx_port, uint32_t reqid, char *error, size_t error_len)
{
	struct job j;
	int err = begin(&j, config, peer, kx_port, reqid, error, error_len);
	size_t i;

	policy_forget(); /* what cannot be removed now is found by the next install */
	/* The allow rules come first in the list, and go last. */
	for (i = j.count; i > 0 && !err; i--)
		err = remove_rule(&j, &j.rules[i - 1]);
	end(&j);
	return err;
}

int policy_remove_reqid(uint32_t reqid, char *error, size_t error_len)
{
	struct job j = {.reqid = reqid, .error = error, .error_len = error_len};
	int err = open_kernel(&j);

	policy_forget();
	if (!err)
		err = remove_stale(&j);
	end(&j);
	return err;
}
