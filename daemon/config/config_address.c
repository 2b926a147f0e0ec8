// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/config_address.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int config_address_parse(const char *text, struct config_address *address)
{
	memset(address, 0, sizeof(*address));
	address->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	return inet_pton(address->family, text, address->octet) == 1 ? 0 : -EINVAL;
}

/* One or more digits without a sign or a leading zero; -1 if not, or above @max. */
static long parse_decimal(const char *text, long max)
{
	size_t digits = strspn(text, "0123456789");
	long value;

	if (!digits || digits > 5 || text[digits] || (digits > 1 && text[0] == '0'))
		return -1;
	value = strtol(text, NULL, 10);
	return value > max ? -1 : value;
}

int config_net_parse(const char *text, struct config_net *net)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN + 1];
	long prefix;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (config_address_parse(address, &net->address))
		return -EINVAL;
	prefix = parse_decimal(slash + 1, net->address.family == AF_INET ? 32 : 128);
	if (prefix < 0)
		return -EINVAL;
	net->prefix = (unsigned int)prefix;
	return 0;
}

bool config_net_mask(struct config_net *net)
{
	unsigned int octets = net->address.family == AF_INET ? 4 : 16;
	bool any = false;

	for (unsigned int i = 0; i < octets; i++) {
		unsigned int bits = net->prefix > 8 * i ? net->prefix - 8 * i : 0;
		uint8_t mask = (uint8_t)(bits >= 8 ? 0xff : 0xff00 >> bits);

		any = any || (net->address.octet[i] & ~mask);
		net->address.octet[i] &= mask;
	}
	return any;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int config_mac_parse(const char *text, uint8_t mac[6])
{
	if (strlen(text) != 17)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]);
		int low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

bool config_is_dns_name(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > 253 || text[0] == '.' || text[0] == '-' || text[len - 1] == '-')
		return false;
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("-._", *text))
			return false;
		if (text[0] == '.' && text[1] == '.')
			return false;
	}
	return true;
}

int config_url_parse(const char *url, char host[256], uint16_t *port)
{
	static const char scheme[] = "https://";
	struct config_address address;
	bool bracket;
	size_t len;
	long number;

	if (strncmp(url, scheme, sizeof(scheme) - 1))
		return -EINVAL;
	url += sizeof(scheme) - 1;
	bracket = *url == '[';
	url += bracket;
	len = strcspn(url, bracket ? "]" : ":/");
	if (!len || len > 255)
		return -EINVAL;
	memcpy(host, url, len);
	host[len] = '\0';
	url += len;
	if (bracket && (*url++ != ']' || !strchr(host, ':')))
		return -EINVAL;
	if (bracket ? config_address_parse(host, &address) : !config_is_dns_name(host))
		return -EINVAL;
	*port = 443;
	if (*url == ':') {
		char digits[6] = "";

		len = strcspn(++url, "/");
		if (!len || len > 5)
			return -EINVAL;
		memcpy(digits, url, len);
		number = parse_decimal(digits, 65535);
		if (number < 1)
			return -EINVAL;
		*port = (uint16_t)number;
		url += len;
	}
	return !*url || !strcmp(url, "/") ? 0 : -EINVAL;
}
