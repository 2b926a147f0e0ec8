// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Defaults, ranges, and what the fields say about one another. Every mistake
 * is reported; nothing here stops at the first.
 */
#include "config/config_parts.h"
#include "config/config_address.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_STATE	    "/var/lib/qkdkeyd"
#define DEFAULT_SOCKET	    "/run/qkdkeyd/control.sock"
#define DEFAULT_KX_PORT	    7443
#define DEFAULT_TIMEOUT_MS  5000
#define DEFAULT_KEYS_TARGET 64
#define DEFAULT_KEYS_LOW    16
#define SAE_ID_MAX	    128 /* octets; ETSI GS QKD 014 sets no limit */
#define KEYS_TARGET_MAX	    65536

static struct config_entry *new_entries(unsigned int count, struct config_reports *reports)
{
	struct config_entry *entries = calloc(count ? count : 1, sizeof(*entries));

	if (!entries)
		config_report_line(reports, 0, "out of memory");
	return entries;
}

static void add_entry(struct config_entry *entries, unsigned int *used, const char *value,
		      unsigned int index)
{
	if (!value)
		return;
	entries[*used].value = value;
	entries[(*used)++].index = index;
}

static uint16_t port_or(uint16_t port, const struct config_node *map, const char *field,
			uint16_t fallback)
{
	return config_node_get(map, field) ? port : fallback;
}

static void check_kx(struct config_kx *kx, const struct config_node *root,
		     struct config_reports *reports)
{
	const struct config_node *node = config_node_get(root, "kx");
	struct config_address address;
	char quoted[CONFIG_QUOTE];

	if (!node) {
		config_report(reports, root, "kx",
			      "is missing; it says where peer KMs reach us and with which "
			      "certificate (kx.tls)");
		return;
	}
	if (!config_default_text(&kx->listen, "::", reports))
		return;
	if (config_address_parse(kx->listen, &address))
		config_report(reports, node, "listen",
			      "%s is no IP address; write one of this host's, or \"::\" for all",
			      config_quote(kx->listen, quoted));
	kx->port = port_or(kx->port, node, "port", DEFAULT_KX_PORT);
	config_check_range(kx->port, 1, 65535, "", node, "port", reports);
	if (config_node_get(node, "tls"))
		config_check_tls(&kx->tls, config_node_get(node, "tls"), reports);
	else
		config_report(reports, node, "tls",
			      "is missing; KM links need certificate, key and ca");
}

static void check_control(struct config_control *control, const struct config_node *root,
			  struct config_reports *reports)
{
	const struct config_node *node = config_node_get(root, "control");

	if (!config_default_text(&control->socket, DEFAULT_SOCKET, reports))
		return;
	if (config_check_path(control->socket, node, "socket", "give the socket's path", reports) &&
	    strlen(control->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		config_report(reports, node, "socket",
			      "has %zu octets; the kernel takes at most %zu for a socket's path",
			      strlen(control->socket),
			      sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	if (control->group)
		config_check_given(control->group, node, "group",
				   "give a group's name, or remove the field", reports);
}

static void check_node(struct config *config, const struct config_node *root,
		       struct config_reports *reports)
{
	char path[CONFIG_TEXT_MAX + 16];

	config_check_name(config->node, root, "node", reports);
	if (!config_default_text(&config->state_directory, DEFAULT_STATE, reports))
		return;
	if (!config_check_path(config->state_directory, root, "state_directory",
			       "give the folder of the key store, or remove the field", reports))
		return;
	snprintf(path, sizeof(path), "%s/master.key", config->state_directory);
	if (!config_default_text(&config->master_key, path, reports))
		return;
	config_check_path(config->master_key, root, "master_key",
			  "give the file of the master key, or remove the field", reports);
}

static void check_peer(const struct config *config, struct config_peer *peer,
		       const struct config_node *node, struct config_reports *reports)
{
	struct config_address address;
	char quoted[CONFIG_QUOTE];

	if (config_check_name(peer->name, node, "name", reports) && config->node &&
	    !strcmp(peer->name, config->node))
		config_report(reports, node, "name",
			      "%s is this node itself; name the KM at the other end",
			      config_quote(peer->name, quoted));
	if (peer->address && config_address_parse(peer->address, &address) &&
	    (strchr(peer->address, ':') || !config_is_dns_name(peer->address)))
		config_report(reports, node, "address",
			      "%s is neither an IP address nor a DNS name; the port has its own "
			      "field",
			      config_quote(peer->address, quoted));
	peer->port = port_or(peer->port, node, "port", DEFAULT_KX_PORT);
	config_check_range(peer->port, 1, 65535, "", node, "port", reports);
}

static void check_peers(struct config *config, const struct config_node *list,
			struct config_reports *reports)
{
	struct config_entry *names = new_entries(config->peers_count, reports);
	unsigned int used = 0;

	if (!names)
		return;
	for (unsigned int i = 0; i < config->peers_count; i++) {
		check_peer(config, &config->peers[i], config_node_at(list, i), reports);
		add_entry(names, &used, config->peers[i].name, i);
	}
	config_check_unique(names, used, list, "name", "name", reports);
	free(names);
}

static void check_sae(const char *value, const struct config_node *node, const char *field,
		      const char *what, struct config_reports *reports)
{
	if (!config_check_given(value, node, field, what, reports))
		return;
	if (strlen(value) > SAE_ID_MAX)
		config_report(reports, node, field, "has %zu octets; an SAE ID may have at most %d",
			      strlen(value), SAE_ID_MAX);
}

static void check_source(struct config_source *source, const struct config_node *link,
			 struct config_reports *reports)
{
	const struct config_node *node = config_node_get(link, "source");
	char quoted[CONFIG_QUOTE];
	char host[256];
	uint16_t port;

	if (!node) {
		config_report(reports, link, "source",
			      "is missing; it says how to reach our QKD device (url, sae, "
			      "peer_sae, tls)");
		return;
	}
	if (config_check_given(source->url, node, "url",
			       "give https://HOST[:PORT] of the device's KME", reports) &&
	    config_url_parse(source->url, host, &port))
		config_report(reports, node, "url",
			      "%s is not https://HOST[:PORT] (nothing may follow; HOST may be a "
			      "DNS name, an IPv4 address, or an IPv6 address in [ ])",
			      config_quote(source->url, quoted));
	if (source->server_name)
		config_check_given(source->server_name, node, "server_name",
				   "give the name in the device's certificate, or remove the field",
				   reports);
	check_sae(source->sae, node, "sae", "give the SAE ID by which the device knows us",
		  reports);
	check_sae(source->peer_sae, node, "peer_sae", "give the SAE ID of the peer KM", reports);
	if (source->sae && source->peer_sae && !strcmp(source->sae, source->peer_sae))
		config_report(reports, node, "peer_sae",
			      "is the same as sae; the two ends have different SAE IDs");
	if (!config_node_get(node, "timeout_ms"))
		source->timeout_ms = DEFAULT_TIMEOUT_MS;
	config_check_range(source->timeout_ms, 100, 600000, "ms", node, "timeout_ms", reports);
	if (config_node_get(node, "tls"))
		config_check_tls(&source->tls, config_node_get(node, "tls"), reports);
	else
		config_report(reports, node, "tls",
			      "is missing; the device demands our certificate, key and ca");
}

static void check_key_levels(struct config_link *link, const struct config_node *node,
			     struct config_reports *reports)
{
	if (!config_node_get(node, "keys_target"))
		link->keys_target = DEFAULT_KEYS_TARGET;
	if (!config_check_range(link->keys_target, 1, KEYS_TARGET_MAX, "keys", node, "keys_target",
				reports))
		return;
	if (!config_node_get(node, "keys_low")) {
		link->keys_low = DEFAULT_KEYS_LOW;
		if (link->keys_low > link->keys_target / 2)
			link->keys_low = link->keys_target / 2;
	}
	if (link->keys_low >= link->keys_target)
		config_report(reports, node, "keys_low",
			      "%" PRIu32 " must be below keys_target, which is %" PRIu32,
			      link->keys_low, link->keys_target);
}

static void check_link(const struct config *config, struct config_link *link,
		       const struct config_node *node, struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];

	config_check_name(link->name, node, "name", reports);
	if (config_check_given(link->peer, node, "peer", "name one of peers", reports) &&
	    !config_find_peer(config, link->peer))
		config_report(reports, node, "peer",
			      "there is no peer %s; name one of peers, or add it there",
			      config_quote(link->peer, quoted));
	if (!config_node_get(node, "role"))
		config_report(reports, node, "role",
			      "is missing; write initiator at one end of the link and responder "
			      "at the other");
	check_source(&link->source, node, reports);
	check_key_levels(link, node, reports);
}

static void check_links(struct config *config, const struct config_node *list,
			struct config_reports *reports)
{
	struct config_entry *names = new_entries(config->links_count, reports);
	unsigned int used = 0;

	if (!names)
		return;
	for (unsigned int i = 0; i < config->links_count; i++) {
		check_link(config, &config->links[i], config_node_at(list, i), reports);
		add_entry(names, &used, config->links[i].name, i);
	}
	config_check_unique(names, used, list, "name", "name", reports);
	free(names);
}

static bool is_macsec_cipher(enum qkd_cipher cipher)
{
	return cipher == QKD_CIPHER_GCM_AES_256 || cipher == QKD_CIPHER_GCM_AES_XPN_256;
}

static void check_cipher(const struct config_channel *channel, const struct config_node *node,
			 struct config_reports *reports)
{
	bool macsec = channel->kind == QKD_KIND_MACSEC;
	const char *choice =
		macsec ? "gcm-aes-256 or gcm-aes-xpn-256" : "aes-256-gcm or chacha20-poly1305";

	if (!channel->cipher)
		config_report(reports, node, "cipher", "is missing; write %s", choice);
	else if (is_macsec_cipher(channel->cipher) != macsec)
		config_report(reports, node, "cipher", "%s does not go with kind %s; write %s",
			      config_cipher_name(channel->cipher), config_kind_name(channel->kind),
			      choice);
}

static void check_kind(struct config_channel *channel, const struct config_node *node,
		       struct config_reports *reports)
{
	bool macsec = channel->kind == QKD_KIND_MACSEC;
	const char *wanted = macsec ? "macsec" : "esp";
	const char *other = macsec ? "esp" : "macsec";

	if (!channel->kind) {
		config_report(reports, node, "kind",
			      "is missing; write esp-tunnel, esp-transport or macsec");
		return;
	}
	check_cipher(channel, node, reports);
	if (config_node_get(node, other))
		config_report(reports, node, other,
			      "these fields are not for kind %s; remove them, or change kind",
			      config_kind_name(channel->kind));
	if (!config_node_get(node, wanted))
		config_report(reports, node, wanted, "is missing; kind %s needs %s",
			      config_kind_name(channel->kind),
			      macsec ? "macsec.device and macsec.peer_mac"
				     : "esp.local and esp.remote");
	else if (macsec)
		config_check_macsec(channel, node, reports);
	else
		config_check_esp(channel, node, reports);
}

void config_check_channel(const struct config *config, struct config_channel *channel,
			  const struct config_node *node, struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];

	config_check_name(channel->name, node, "name", reports);
	if (config_check_given(channel->link, node, "link", "name one of links", reports) &&
	    !config_find_link(config, channel->link))
		config_report(reports, node, "link",
			      "there is no link %s; name one of links, or add it there",
			      config_quote(channel->link, quoted));
	check_kind(channel, node, reports);
	config_check_rollover(channel, node, reports);
}

static void check_channels(struct config *config, const struct config_node *list,
			   struct config_reports *reports)
{
	struct config_entry *names = new_entries(config->channels_count, reports);
	struct config_entry *devices = new_entries(config->channels_count, reports);
	unsigned int named = 0;
	unsigned int devised = 0;

	for (unsigned int i = 0; names && devices && i < config->channels_count; i++) {
		struct config_channel *channel = &config->channels[i];

		config_check_channel(config, channel, config_node_at(list, i), reports);
		add_entry(names, &named, channel->name, i);
		if (channel->macsec)
			add_entry(devices, &devised, channel->macsec->device, i);
	}
	if (names && devices) {
		config_check_unique(names, named, list, "name", "name", reports);
		config_check_unique(devices, devised, list, "macsec", "device", reports);
	}
	free(names);
	free(devices);
	config_check_selectors(config, list, reports);
}

void config_check(struct config *config, const struct config_node *root,
		  struct config_reports *reports)
{
	check_node(config, root, reports);
	check_control(&config->control, root, reports);
	check_kx(&config->kx, root, reports);
	check_peers(config, config_node_get(root, "peers"), reports);
	check_links(config, config_node_get(root, "links"), reports);
	check_channels(config, config_node_get(root, "channels"), reports);
}
