/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses as they stand in the configuration: IP, CIDR, MAC. Pure parsers. */
#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

/** @octet: IPv4 in the first 4, network order; the rest zero */
struct config_address {
	int family; /* AF_INET or AF_INET6 */
	uint8_t octet[16];
};

/** struct config_net - @prefix: length of the network part, bits */
struct config_net {
	struct config_address address;
	unsigned int prefix;
};

/** Return: 0, or -EINVAL: no IPv4 or IPv6 address (no scope, no port). */
int config_address_parse(const char *text, struct config_address *address);

/** Takes ADDRESS/PREFIX. Return: 0, or -EINVAL. Host bits may be set: see config_net_mask(). */
int config_net_parse(const char *text, struct config_net *net);

/** Clears the host bits. Return: whether any were set. */
bool config_net_mask(struct config_net *net);

/** Takes six octets as "02:00:00:00:00:01". Return: 0, or -EINVAL. */
int config_mac_parse(const char *text, uint8_t mac[6]);

/**
 * config_url_parse - https://HOST[:PORT], nothing behind it but one '/'
 * @host: gets HOST, without the brackets of an IPv6 address; 256 octets
 * @port: 443 if none is given
 * Return: 0, or -EINVAL.
 */
int config_url_parse(const char *url, char host[256], uint16_t *port);

/** Whether @text could be a DNS name (letters, digits, '-', '.', '_'). */
bool config_is_dns_name(const char *text);

#endif
