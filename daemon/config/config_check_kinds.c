// SPDX-License-Identifier: GPL-2.0-or-later
/* The fields of an ESP channel and of a MACsec channel. */
#include "config/config_address.h"
#include "config/config_parts.h"
#include <net/if.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_ESP_MAX 4096
#define NETS_MAX       64 /* on each side of a tunnel: 64 times 64 policies */

/* Of one host: neither unspecified nor multicast nor broadcast. */
static bool is_unicast(const struct config_address *address)
{
	static const uint8_t zero[16];

	if (!memcmp(address->octet, zero, sizeof(zero)))
		return false;
	if (address->family == AF_INET6)
		return address->octet[0] != 0xff;
	return address->octet[0] != 0 && address->octet[0] < 224;
}

static bool check_address(const char *text, const struct config_node *node, const char *field,
			  const char *what, struct config_address *address,
			  struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];

	address->family = 0;
	if (!config_check_given(text, node, field, what, reports))
		return false;
	if (config_address_parse(text, address)) {
		address->family = 0;
		config_report(reports, node, field,
			      "%s is no IP address; write an IPv4 or IPv6 address",
			      config_quote(text, quoted));
		return false;
	}
	if (!is_unicast(address)) {
		config_report(reports, node, field,
			      "%s is not the address of one host; an SA needs a unicast address",
			      config_quote(text, quoted));
		return false;
	}
	return true;
}

static void check_ends(const struct config_esp *esp, const struct config_node *node,
		       struct config_reports *reports)
{
	struct config_address local;
	struct config_address remote;
	bool good;

	good = check_address(esp->local, node, "local", "give the outer address of this end",
			     &local, reports);
	good &= check_address(esp->remote, node, "remote", "give the outer address of the peer",
			      &remote, reports);
	if (!good)
		return;
	if (local.family != remote.family)
		config_report(reports, node, "remote",
			      "is %s but local is %s; both must be of one family",
			      remote.family == AF_INET ? "IPv4" : "IPv6",
			      local.family == AF_INET ? "IPv4" : "IPv6");
	else if (!memcmp(local.octet, remote.octet, sizeof(local.octet)))
		config_report(reports, node, "remote",
			      "is the same as local; give the address of the peer");
}

static void suggest_masked(const struct config_node *entry, const char *text,
			   const struct config_net *net, struct config_reports *reports)
{
	char address[INET6_ADDRSTRLEN];
	char quoted[CONFIG_QUOTE];

	inet_ntop(net->address.family, net->address.octet, address, sizeof(address));
	config_report(reports, entry, NULL,
		      "%s has bits set behind the prefix; the network is %s/%u",
		      config_quote(text, quoted), address, net->prefix);
}

#define FAMILY_IPV4    1U
#define FAMILY_IPV6    2U
#define FAMILY_UNKNOWN 4U

/* Return: FAMILY_*, of all entries. */
static unsigned int check_nets(char **nets, unsigned int count, const struct config_node *list,
			       struct config_reports *reports)
{
	unsigned int families = 0;
	char quoted[CONFIG_QUOTE];

	if (count > NETS_MAX) {
		config_report(reports, list, NULL, "has %u networks; the most is %d, sum them up",
			      count, NETS_MAX);
		return FAMILY_UNKNOWN;
	}
	for (unsigned int i = 0; i < count; i++) {
		const struct config_node *entry = config_node_at(list, i);
		struct config_net net;

		if (config_net_parse(nets[i], &net)) {
			config_report(reports, entry, NULL,
				      "%s is no network; write ADDRESS/PREFIX, such as 10.1.0.0/16 "
				      "or 2001:db8:1::/48",
				      config_quote(nets[i], quoted));
			families |= FAMILY_UNKNOWN;
			continue;
		}
		families |= net.address.family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
		if (config_net_mask(&net))
			suggest_masked(entry, nets[i], &net, reports);
	}
	return families;
}

static void check_tunnel_nets(const struct config_esp *esp, const struct config_node *node,
			      struct config_reports *reports)
{
	unsigned int local;
	unsigned int remote;

	if (!esp->local_nets_count)
		config_report(reports, node, "local_nets",
			      "is missing or empty; list the networks behind this end, such as "
			      "[10.1.0.0/16]");
	if (!esp->remote_nets_count)
		config_report(reports, node, "remote_nets",
			      "is missing or empty; list the networks behind the peer");
	local = check_nets(esp->local_nets, esp->local_nets_count,
			   config_node_get(node, "local_nets"), reports);
	remote = check_nets(esp->remote_nets, esp->remote_nets_count,
			    config_node_get(node, "remote_nets"), reports);
	if (local && remote && local != remote && !((local | remote) & FAMILY_UNKNOWN))
		config_report(reports, node, "remote_nets",
			      "local_nets and remote_nets must both have IPv4 networks or both "
			      "IPv6 networks (or both of each); one has nothing to reach");
}

static void check_no_nets(const struct config_node *node, struct config_reports *reports)
{
	static const char *const fields[] = {"local_nets", "remote_nets"};

	for (int i = 0; i < 2; i++)
		if (config_node_get(node, fields[i]))
			config_report(reports, node, fields[i],
				      "is not for kind esp-transport, which protects the traffic "
				      "between local and remote themselves; remove it");
}

static void check_mark(struct config_esp *esp, const struct config_node *node,
		       struct config_reports *reports)
{
	if (config_node_get(node, "mark") && !config_node_get(node, "mark_mask"))
		esp->mark_mask = UINT32_MAX;
	if (esp->mark & ~esp->mark_mask)
		config_report(reports, node, "mark",
			      "0x%x has bits outside of mark_mask 0x%x; it would never match",
			      esp->mark, esp->mark_mask);
}

void config_check_esp(struct config_channel *channel, const struct config_node *parent,
		      struct config_reports *reports)
{
	const struct config_node *node = config_node_get(parent, "esp");
	struct config_esp *esp = channel->esp;

	if (!node || !esp)
		return;
	check_ends(esp, node, reports);
	if (channel->kind == QKD_KIND_ESP_TUNNEL)
		check_tunnel_nets(esp, node, reports);
	else
		check_no_nets(node, reports);
	if (!config_node_get(node, "esn"))
		esp->esn = true;
	if (!config_node_get(node, "replay_window"))
		esp->replay_window = 128;
	config_check_range(esp->replay_window, 1, REPLAY_ESP_MAX, "packets", node, "replay_window",
			   reports);
	check_mark(esp, node, reports);
}

static bool check_interface(const char *name, const struct config_node *node, const char *field,
			    struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];

	if (strlen(name) < IFNAMSIZ && strcmp(name, ".") && strcmp(name, "..") &&
	    !strpbrk(name, "/: \t%"))
		return true;
	config_report(reports, node, field,
		      "%s is no interface name; it has at most %d characters, none of them a "
		      "space, '/', ':' or '%%'",
		      config_quote(name, quoted), IFNAMSIZ - 1);
	return false;
}

static void check_peer_mac(const char *text, const struct config_node *node,
			   struct config_reports *reports)
{
	static const uint8_t zero[6];
	char quoted[CONFIG_QUOTE];
	uint8_t mac[6];

	if (!config_check_given(text, node, "peer_mac",
				"give the MAC address of the peer's macsec device", reports))
		return;
	if (config_mac_parse(text, mac))
		config_report(reports, node, "peer_mac",
			      "%s is no MAC address; write six octets, such as 02:00:00:00:00:01",
			      config_quote(text, quoted));
	else if ((mac[0] & 1) || !memcmp(mac, zero, sizeof(zero)))
		config_report(reports, node, "peer_mac", "%s is not the address of one device",
			      config_quote(text, quoted));
}

void config_check_macsec(struct config_channel *channel, const struct config_node *parent,
			 struct config_reports *reports)
{
	const struct config_node *node = config_node_get(parent, "macsec");
	struct config_macsec *macsec = channel->macsec;

	if (!node || !macsec)
		return;
	if (config_check_given(macsec->device, node, "device",
			       "name the macsec device, such as macsec0", reports))
		check_interface(macsec->device, node, "device", reports);
	if (macsec->parent &&
	    config_check_given(macsec->parent, node, "parent",
			       "name the device below, or remove the field", reports) &&
	    check_interface(macsec->parent, node, "parent", reports) && macsec->device &&
	    !strcmp(macsec->parent, macsec->device))
		config_report(reports, node, "parent",
			      "is the macsec device itself; name the Ethernet device below it");
	check_peer_mac(macsec->peer_mac, node, reports);
	if (!config_node_get(node, "port"))
		macsec->port = 1;
	if (!config_node_get(node, "peer_port"))
		macsec->peer_port = 1;
	config_check_range(macsec->port, 1, 65535, "", node, "port", reports);
	config_check_range(macsec->peer_port, 1, 65535, "", node, "peer_port", reports);
}
