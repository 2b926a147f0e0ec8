/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which IPsec policies a channel needs: worked out from its configuration, as
 * pure logic. policy.c brings them into the kernel.
 *
 * Each pair of local and remote network gets "protect" rules: what matches
 * goes through the channel's SAs or not at all. A transport channel has one
 * pair, the two hosts.
 *
 * Some things must pass in the clear where the pair would catch them, or the
 * channel could never get its first key; they get "allow" rules:
 *  - the KM link to the peer (TLS 1.3, mutually authenticated): the peer's
 *    address and the two TCP ports of Kx
 *  - the QKD device of the link (TLS too), if it is configured by address
 *  - IPv6 neighbour solicitation and advertisement between the two outer
 *    addresses (ICMPv6 135, 136); IPv4 has ARP, which IPsec does not see
 */
#ifndef UNP_POLICY_RULES_H
#define UNP_POLICY_RULES_H

#include "config/config.h"
#include "config/config_address.h"

/** Values are those of XFRM_POLICY_*. */
enum policy_direction {
	POLICY_IN = 0,
	POLICY_OUT = 1,
	POLICY_FORWARD = 2,
};

/**
 * struct policy_rule
 * @protect: through the channel's SAs; else allow in the clear
 * @source: of the packet
 * @destination: of the packet
 * @protocol: IP protocol, 0: any
 * @source_port: 0: any; ICMPv6: the type
 * @destination_port: 0: any
 */
struct policy_rule {
	enum policy_direction direction;
	bool protect;
	struct config_net source;
	struct config_net destination;
	uint8_t protocol;
	uint16_t source_port;
	uint16_t destination_port;
};

/**
 * policy_rules - the rules of an ESP channel, allow rules first
 * @config: has the channel's link, its peer KM and QKD device, and our Kx port
 * @rules: gets an array, the caller's to free()
 * Return: 0, -ENOMEM, -EINVAL (an address cannot be read, no pair of networks
 * of one family, no such link).
 */
int policy_rules(const struct config *config, const struct config_channel *channel,
		 struct policy_rule **rules, size_t *count);

/** Whether @address is in @net. */
bool policy_net_contains(const struct config_net *net, const struct config_address *address);

#endif
