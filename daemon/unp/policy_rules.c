// SPDX-License-Identifier: GPL-2.0-or-later
/* Which IPsec policies a channel needs; see policy_rules.h. */
#include "unp/policy_rules.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* What one channel's rules are made of. */
struct plan {
	bool tunnel;
	struct config_address local;
	struct config_address remote;
	struct config_address km; /* where the peer KM is, as far as known */
	uint16_t km_port;	  /* 0: we do not connect to it */
	uint16_t our_port;
	struct config_address device; /* the QKD device; family 0: not known by address */
	uint16_t device_port;
	struct policy_rule *rules;
	size_t count;
	size_t room;
};

bool policy_net_contains(const struct config_net *net, const struct config_address *address)
{
	struct config_net host = {.address = *address, .prefix = net->prefix};
	struct config_net masked = *net;

	if (net->address.family != address->family)
		return false;
	config_net_mask(&host);
	config_net_mask(&masked);
	return !memcmp(host.address.octet, masked.address.octet, sizeof(host.address.octet));
}

static struct config_net host_net(const struct config_address *address)
{
	return (struct config_net){
		.address = *address,
		.prefix = address->family == AF_INET6 ? 128 : 32,
	};
}

static int add(struct plan *p, const struct policy_rule *rule)
{
	if (p->count == p->room) {
		size_t room = p->room ? 2 * p->room : 16;
		struct policy_rule *more = reallocarray(p->rules, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		p->rules = more;
		p->room = room;
	}
	p->rules[p->count++] = *rule;
	return 0;
}

/* An allow rule in both directions: @local_port is ours, 0: any. */
static int allow(struct plan *p, const struct config_net *here, const struct config_net *there,
		 uint8_t protocol, uint16_t local_port, uint16_t remote_port)
{
	struct policy_rule rule = {
		.direction = POLICY_OUT,
		.source = *here,
		.destination = *there,
		.protocol = protocol,
		.source_port = local_port,
		.destination_port = remote_port,
	};
	int err = add(p, &rule);

	if (err)
		return err;
	rule.direction = POLICY_IN;
	rule.source = *there;
	rule.destination = *here;
	rule.source_port = remote_port;
	rule.destination_port = local_port;
	return add(p, &rule);
}

/* For ICMPv6 the type stands in the place of the source port, both ways. */
static int allow_neighbour(struct plan *p, const struct config_net *here,
			   const struct config_net *there, uint16_t type)
{
	struct policy_rule rule = {
		.direction = POLICY_OUT,
		.source = *here,
		.destination = *there,
		.protocol = IPPROTO_ICMPV6,
		.source_port = type,
	};
	int err = add(p, &rule);

	if (err)
		return err;
	rule.direction = POLICY_IN;
	rule.source = *there;
	rule.destination = *here;
	return add(p, &rule);
}

static int allow_rules(struct plan *p, const struct config_net *here,
		       const struct config_net *there)
{
	struct config_net km = host_net(&p->km);
	int err = 0;

	if (policy_net_contains(there, &p->km)) {
		err = allow(p, here, &km, IPPROTO_TCP, p->our_port, 0);
		if (!err && p->km_port)
			err = allow(p, here, &km, IPPROTO_TCP, 0, p->km_port);
	}
	if (!err && p->device.family && policy_net_contains(there, &p->device)) {
		struct config_net device = host_net(&p->device);

		err = allow(p, here, &device, IPPROTO_TCP, 0, p->device_port);
	}
	if (err || p->local.family != AF_INET6 || !policy_net_contains(here, &p->local) ||
	    !policy_net_contains(there, &p->remote))
		return err;
	err = allow_neighbour(p, here, there, ND_NEIGHBOR_SOLICIT);
	return err ? err : allow_neighbour(p, here, there, ND_NEIGHBOR_ADVERT);
}

static int protect_rules(struct plan *p, const struct config_net *here,
			 const struct config_net *there)
{
	struct policy_rule rule = {
		.direction = POLICY_OUT,
		.protect = true,
		.source = *here,
		.destination = *there,
	};
	int err = add(p, &rule);

	rule.direction = POLICY_IN;
	rule.source = *there;
	rule.destination = *here;
	if (!err)
		err = add(p, &rule);
	rule.direction = POLICY_FORWARD;
	return err || !p->tunnel ? err : add(p, &rule);
}

typedef int (*pair_fn)(struct plan *p, const struct config_net *here,
		       const struct config_net *there);

/* Calls @fn for each pair of networks of one family. Return: -EINVAL: there is none. */
static int each_pair(struct plan *p, const struct config_esp *esp, pair_fn fn)
{
	struct config_net here, there;
	unsigned int i, k, pairs = 0;
	int err = 0;

	if (!p->tunnel) {
		here = host_net(&p->local);
		there = host_net(&p->remote);
		return fn(p, &here, &there);
	}
	for (i = 0; i < esp->local_nets_count && !err; i++) {
		for (k = 0; k < esp->remote_nets_count && !err; k++) {
			if (config_net_parse(esp->local_nets[i], &here) ||
			    config_net_parse(esp->remote_nets[k], &there))
				return -EINVAL;
			if (here.address.family != there.address.family)
				continue;
			config_net_mask(&here);
			config_net_mask(&there);
			pairs++;
			err = fn(p, &here, &there);
		}
	}
	return !err && !pairs ? -EINVAL : err;
}

/* A peer that connects to us, or has a DNS name, may be the channel's remote end. */
static void find_km(struct plan *p, const struct config_peer *peer)
{
	if (!peer->address || config_address_parse(peer->address, &p->km))
		p->km = p->remote;
	p->km_port = peer->address ? peer->port : 0;
}

static void find_device(struct plan *p, const struct config_source *source)
{
	char host[256];

	if (!source->url || config_url_parse(source->url, host, &p->device_port) ||
	    config_address_parse(host, &p->device))
		p->device = (struct config_address){0};
}

static int make_plan(struct plan *p, const struct config *config,
		     const struct config_channel *channel)
{
	const struct config_link *link = config_find_link(config, channel->link);
	const struct config_peer *peer = link ? config_find_peer(config, link->peer) : NULL;

	memset(p, 0, sizeof(*p));
	p->tunnel = channel->kind == QKD_KIND_ESP_TUNNEL;
	p->our_port = config->kx.port;
	if (!peer || !channel->esp || config_address_parse(channel->esp->local, &p->local) ||
	    config_address_parse(channel->esp->remote, &p->remote) ||
	    p->local.family != p->remote.family)
		return -EINVAL;
	find_km(p, peer);
	find_device(p, &link->source);
	return 0;
}

int policy_rules(const struct config *config, const struct config_channel *channel,
		 struct policy_rule **rules, size_t *count)
{
	struct plan plan;
	int err = make_plan(&plan, config, channel);

	if (!err)
		err = each_pair(&plan, channel->esp, allow_rules);
	if (!err)
		err = each_pair(&plan, channel->esp, protect_rules);
	if (err) {
		free(plan.rules);
		return err;
	}
	*rules = plan.rules;
	*count = plan.count;
	return 0;
}
