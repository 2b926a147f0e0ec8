// SPDX-License-Identifier: GPL-2.0-or-later
/* The policies of a channel as the kernel takes them; see policy_entry.h. */
#include "unp/policy_entry.h"
#include "unp/policy_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE_PORT 0xffff

/* What the entries of one channel are made of. */
struct mould {
	const struct config_channel *config;
	struct config_address local;
	struct config_address remote;
	uint32_t reqid;
};

/* -------- making -------- */

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

/* Outer addresses in the direction of the packet. Not optional: no SA, no packet. */
static struct xfrm_user_tmpl make_template(const struct mould *m, const struct policy_rule *rule)
{
	bool out = rule->direction == POLICY_OUT;

	return (struct xfrm_user_tmpl){
		.id = {.daddr = make_address(out ? &m->remote : &m->local), .proto = IPPROTO_ESP},
		.saddr = make_address(out ? &m->local : &m->remote),
		.family = (uint16_t)m->local.family,
		.reqid = m->reqid,
		.mode = m->config->kind == QKD_KIND_ESP_TUNNEL ? XFRM_MODE_TUNNEL
							       : XFRM_MODE_TRANSPORT,
		.aalgos = ~0U,
		.ealgos = ~0U,
		.calgos = ~0U,
	};
}

static void set_effect(struct policy_entry *entry, const struct mould *m,
		       const struct policy_rule *rule)
{
	entry->info.action = XFRM_POLICY_ALLOW;
	if (!rule->protect) {
		entry->info.priority = POLICY_PRIORITY_ALLOW;
	} else if (m->reqid) {
		entry->info.priority = POLICY_PRIORITY_PROTECT;
		entry->protect = true;
		entry->template = make_template(m, rule);
	} else {
		entry->info.priority = POLICY_PRIORITY_FENCE;
		entry->info.action = XFRM_POLICY_BLOCK;
	}
}

static void make_entry(struct policy_entry *entry, const struct mould *m,
		       const struct policy_rule *rule)
{
	const struct config_esp *esp = m->config->esp;

	memset(entry, 0, sizeof(*entry));
	set_selector(&entry->info.sel, rule);
	entry->info.lft.soft_byte_limit = XFRM_INF;
	entry->info.lft.hard_byte_limit = XFRM_INF;
	entry->info.lft.soft_packet_limit = XFRM_INF;
	entry->info.lft.hard_packet_limit = XFRM_INF;
	entry->info.dir = (uint8_t)rule->direction;
	set_effect(entry, m, rule);
	if (esp->mark_mask)
		entry->mark = (struct xfrm_mark){.v = esp->mark, .m = esp->mark_mask};
	entry->if_id = esp->if_id;
}

int policy_entries(const struct config *config, const struct config_channel *channel,
		   uint32_t reqid, struct policy_entry **entries, size_t *count)
{
	struct mould m = {.config = channel, .reqid = reqid};
	struct policy_rule *rules;
	struct policy_entry *made;
	size_t rules_count, n = 0, i;
	int err = policy_rules(config, channel, &rules, &rules_count);

	if (err)
		return err;
	made = calloc(rules_count, sizeof(*made));
	if (!made) {
		free(rules);
		return -ENOMEM;
	}
	config_address_parse(channel->esp->local, &m.local);
	config_address_parse(channel->esp->remote, &m.remote);
	for (i = 0; i < rules_count; i++)
		if (rules[i].protect)
			make_entry(&made[n++], &m, &rules[i]);
	for (i = 0; i < rules_count; i++)
		if (!rules[i].protect)
			make_entry(&made[n++], &m, &rules[i]);
	free(rules);
	*entries = made;
	*count = n;
	return 0;
}

/* -------- comparing -------- */

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

bool policy_entry_same_traffic(const struct policy_entry *a, const struct policy_entry *b)
{
	return a->info.dir == b->info.dir && a->if_id == b->if_id && a->mark.m == b->mark.m &&
	       a->mark.v == b->mark.v && same_selector(&a->info.sel, &b->info.sel);
}

static bool same_template(const struct xfrm_user_tmpl *a, const struct xfrm_user_tmpl *b)
{
	return same_address(&a->id.daddr, &b->id.daddr) && same_address(&a->saddr, &b->saddr) &&
	       a->id.spi == b->id.spi && a->id.proto == b->id.proto && a->reqid == b->reqid &&
	       a->mode == b->mode && a->optional == b->optional;
}

bool policy_entry_same_effect(const struct policy_entry *a, const struct policy_entry *b)
{
	return a->info.action == b->info.action && a->info.priority == b->info.priority &&
	       a->protect == b->protect &&
	       (!a->protect || same_template(&a->template, &b->template));
}

/* FNV-1a */
static uint32_t mix(uint32_t hash, const void *octets, size_t len)
{
	const uint8_t *at = octets;

	while (len--)
		hash = (hash ^ *at++) * 16777619U;
	return hash;
}

uint32_t policy_entry_hash(const struct policy_entry *e)
{
	const struct xfrm_selector *sel = &e->info.sel;
	uint32_t hash = mix(2166136261U, &sel->saddr, sizeof(sel->saddr));

	hash = mix(hash, &sel->daddr, sizeof(sel->daddr));
	hash = mix(hash, &sel->sport, sizeof(sel->sport));
	hash = mix(hash, &sel->dport, sizeof(sel->dport));
	hash = mix(hash, &sel->prefixlen_s, 1);
	hash = mix(hash, &sel->prefixlen_d, 1);
	hash = mix(hash, &e->info.dir, sizeof(e->info.dir));
	hash = mix(hash, &e->mark.v, sizeof(e->mark.v));
	return mix(hash, &e->if_id, sizeof(e->if_id));
}

/* -------- whose it is -------- */

bool policy_entry_is_fence(const struct policy_entry *e)
{
	return !e->protect && e->info.priority == POLICY_PRIORITY_FENCE &&
	       e->info.action == XFRM_POLICY_BLOCK && !e->info.sel.proto;
}

static bool is_neighbour(const struct xfrm_selector *sel)
{
	return sel->proto == IPPROTO_ICMPV6 && (ntohs(sel->sport) == ND_NEIGHBOR_SOLICIT ||
						ntohs(sel->sport) == ND_NEIGHBOR_ADVERT);
}

static bool is_one_service(const struct xfrm_selector *sel)
{
	return sel->proto == IPPROTO_TCP && (sel->sport || sel->dport);
}

bool policy_entry_allows(const struct policy_entry *e)
{
	return !e->protect && e->info.priority == POLICY_PRIORITY_ALLOW &&
	       e->info.action == XFRM_POLICY_ALLOW &&
	       (is_neighbour(&e->info.sel) || is_one_service(&e->info.sel));
}

bool policy_entry_protects(const struct policy_entry *e)
{
	return e->protect && (e->template.reqid & POLICY_REQID_MASK) == POLICY_REQID;
}

void policy_entry_describe(const struct policy_entry *e, char *text, size_t len)
{
	static const char *const direction[] = {"in", "out", "fwd"};
	const struct xfrm_selector *sel = &e->info.sel;
	char from[INET6_ADDRSTRLEN] = "?", to[INET6_ADDRSTRLEN] = "?";

	inet_ntop(sel->family, &sel->saddr, from, sizeof(from));
	inet_ntop(sel->family, &sel->daddr, to, sizeof(to));
	snprintf(text, len, "policy %s %s/%u to %s/%u", direction[e->info.dir % 3], from,
		 sel->prefixlen_s, to, sel->prefixlen_d);
}
