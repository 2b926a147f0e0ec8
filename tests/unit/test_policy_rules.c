// SPDX-License-Identifier: GPL-2.0-or-later
/* Which IPsec policies follow from a channel's configuration. */
#include "unp/policy_rules.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KX_PORT 7443

static struct config_esp esp;
static struct config_channel channel;
static struct config_peer peer;
static struct config_link path;
static struct config config;
static char text[4096];

static int setup(void **state)
{
	static char *local_nets[] = {"10.1.0.9/24"};
	static char *remote_nets[] = {"10.2.0.0/24"};

	esp = (struct config_esp){
		.local = "192.0.2.1",
		.remote = "192.0.2.2",
		.local_nets = local_nets,
		.local_nets_count = 1,
		.remote_nets = remote_nets,
		.remote_nets_count = 1,
	};
	channel = (struct config_channel){
		.name = "office",
		.link = "x",
		.kind = QKD_KIND_ESP_TUNNEL,
		.esp = &esp,
	};
	peer = (struct config_peer){.name = "b", .address = "198.51.100.2", .port = 9000};
	path = (struct config_link){.name = "x", .peer = "b"};
	config = (struct config){
		.kx = {.port = KX_PORT},
		.peers = &peer,
		.peers_count = 1,
		.links = &path,
		.links_count = 1,
	};
	return 0;
}

static void print_net(const struct config_net *net, char *to, size_t len)
{
	char address[INET6_ADDRSTRLEN];

	inet_ntop(net->address.family, net->address.octet, address, sizeof(address));
	snprintf(to, len, "%s/%u", address, net->prefix);
}

/* One line per rule: "out protect 10.1.0.0/24 10.2.0.0/24 [protocol:sport:dport]" */
static const char *rules(void)
{
	static const char *const direction[] = {"in", "out", "fwd"};
	struct policy_rule *rule;
	size_t count, i, at = 0;

	text[0] = '\0';
	assert_int_equal(policy_rules(&config, &channel, &rule, &count), 0);
	for (i = 0; i < count; i++) {
		char from[64], to[64];

		print_net(&rule[i].source, from, sizeof(from));
		print_net(&rule[i].destination, to, sizeof(to));
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s %s %s %s",
				       direction[rule[i].direction],
				       rule[i].protect ? "protect" : "allow", from, to);
		if (rule[i].protocol)
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %u:%u:%u",
					       rule[i].protocol, rule[i].source_port,
					       rule[i].destination_port);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "\n");
		assert_true(at < sizeof(text));
	}
	free(rule);
	return text;
}

static void tunnel(void **state)
{
	assert_string_equal(rules(), "out protect 10.1.0.0/24 10.2.0.0/24\n"
				     "in protect 10.2.0.0/24 10.1.0.0/24\n"
				     "fwd protect 10.2.0.0/24 10.1.0.0/24\n");
}

/* Each pair of one family; none between the families. */
static void tunnel_of_several_networks(void **state)
{
	static char *local_nets[] = {"10.1.0.0/24", "2001:db8:1::/64"};
	static char *remote_nets[] = {"10.2.0.0/24", "10.3.0.0/24", "2001:db8:2::/64"};

	esp.local_nets = local_nets;
	esp.local_nets_count = 2;
	esp.remote_nets = remote_nets;
	esp.remote_nets_count = 3;
	assert_string_equal(rules(), "out protect 10.1.0.0/24 10.2.0.0/24\n"
				     "in protect 10.2.0.0/24 10.1.0.0/24\n"
				     "fwd protect 10.2.0.0/24 10.1.0.0/24\n"
				     "out protect 10.1.0.0/24 10.3.0.0/24\n"
				     "in protect 10.3.0.0/24 10.1.0.0/24\n"
				     "fwd protect 10.3.0.0/24 10.1.0.0/24\n"
				     "out protect 2001:db8:1::/64 2001:db8:2::/64\n"
				     "in protect 2001:db8:2::/64 2001:db8:1::/64\n"
				     "fwd protect 2001:db8:2::/64 2001:db8:1::/64\n");
}

/* The first key comes over the KM link: it must not wait for the first key. */
static void km_link_through_the_tunnel(void **state)
{
	peer.address = "10.2.0.7";
	assert_string_equal(rules(), "out allow 10.1.0.0/24 10.2.0.7/32 6:7443:0\n"
				     "in allow 10.2.0.7/32 10.1.0.0/24 6:0:7443\n"
				     "out allow 10.1.0.0/24 10.2.0.7/32 6:0:9000\n"
				     "in allow 10.2.0.7/32 10.1.0.0/24 6:9000:0\n"
				     "out protect 10.1.0.0/24 10.2.0.0/24\n"
				     "in protect 10.2.0.0/24 10.1.0.0/24\n"
				     "fwd protect 10.2.0.0/24 10.1.0.0/24\n");
}

static void transport(void **state)
{
	channel.kind = QKD_KIND_ESP_TRANSPORT;
	/* The peer KM is elsewhere. */
	assert_string_equal(rules(), "out protect 192.0.2.1/32 192.0.2.2/32\n"
				     "in protect 192.0.2.2/32 192.0.2.1/32\n");
	/* It is the channel's other end. */
	peer.address = "192.0.2.2";
	assert_string_equal(rules(), "out allow 192.0.2.1/32 192.0.2.2/32 6:7443:0\n"
				     "in allow 192.0.2.2/32 192.0.2.1/32 6:0:7443\n"
				     "out allow 192.0.2.1/32 192.0.2.2/32 6:0:9000\n"
				     "in allow 192.0.2.2/32 192.0.2.1/32 6:9000:0\n"
				     "out protect 192.0.2.1/32 192.0.2.2/32\n"
				     "in protect 192.0.2.2/32 192.0.2.1/32\n");
	/* It connects to us, from where we do not know. */
	peer.address = NULL;
	assert_string_equal(rules(), "out allow 192.0.2.1/32 192.0.2.2/32 6:7443:0\n"
				     "in allow 192.0.2.2/32 192.0.2.1/32 6:0:7443\n"
				     "out protect 192.0.2.1/32 192.0.2.2/32\n"
				     "in protect 192.0.2.2/32 192.0.2.1/32\n");
	/* It has a DNS name. */
	peer.address = "km.example.net";
	assert_non_null(strstr(rules(), "out allow 192.0.2.1/32 192.0.2.2/32 6:0:9000\n"));
}

/* Neighbours of one IPv6 link must find one another first. */
static void ipv6_transport_lets_neighbour_discovery_pass(void **state)
{
	channel.kind = QKD_KIND_ESP_TRANSPORT;
	esp.local = "2001:db8::1";
	esp.remote = "2001:db8::2";
	assert_string_equal(rules(), "out allow 2001:db8::1/128 2001:db8::2/128 58:135:0\n"
				     "in allow 2001:db8::2/128 2001:db8::1/128 58:135:0\n"
				     "out allow 2001:db8::1/128 2001:db8::2/128 58:136:0\n"
				     "in allow 2001:db8::2/128 2001:db8::1/128 58:136:0\n"
				     "out protect 2001:db8::1/128 2001:db8::2/128\n"
				     "in protect 2001:db8::2/128 2001:db8::1/128\n");
}

static void what_cannot_be(void **state)
{
	static char *six[] = {"2001:db8::/64"};
	struct policy_rule *rule = NULL;
	size_t count;

	esp.remote_nets = six;
	assert_int_equal(policy_rules(&config, &channel, &rule, &count), -EINVAL);
	setup(NULL);
	esp.local_nets_count = 0;
	assert_int_equal(policy_rules(&config, &channel, &rule, &count), -EINVAL);
	setup(NULL);
	esp.remote = "2001:db8::2";
	assert_int_equal(policy_rules(&config, &channel, &rule, &count), -EINVAL);
	setup(NULL);
	esp.local = "nowhere";
	assert_int_equal(policy_rules(&config, &channel, &rule, &count), -EINVAL);
	channel.esp = NULL;
	assert_int_equal(policy_rules(&config, &channel, &rule, &count), -EINVAL);
	assert_null(rule);
}

static bool contains(const char *net, const char *address)
{
	struct config_net n;
	struct config_address a;

	assert_int_equal(config_net_parse(net, &n), 0);
	assert_int_equal(config_address_parse(address, &a), 0);
	return policy_net_contains(&n, &a);
}

static void containment(void **state)
{
	assert_true(contains("10.0.0.0/8", "10.255.0.1"));
	assert_true(contains("10.9.0.0/8", "10.255.0.1"));
	assert_false(contains("10.0.0.0/8", "11.0.0.1"));
	assert_true(contains("0.0.0.0/0", "192.0.2.1"));
	assert_false(contains("0.0.0.0/0", "2001:db8::1"));
	assert_true(contains("192.0.2.1/32", "192.0.2.1"));
	assert_false(contains("192.0.2.1/32", "192.0.2.0"));
	assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
}

/* All traffic goes through the channel; the device is in the site's own network. */
static void the_qkd_device_stays_reachable(void **state)
{
	static char *everything[] = {"0.0.0.0/0"};

	esp.remote_nets = everything;
	peer.address = "2001:db8::2";
	path.source.url = "https://10.1.0.50:8443";
	assert_string_equal(rules(), "out allow 10.1.0.0/24 10.1.0.50/32 6:0:8443\n"
				     "in allow 10.1.0.50/32 10.1.0.0/24 6:8443:0\n"
				     "out protect 10.1.0.0/24 0.0.0.0/0\n"
				     "in protect 0.0.0.0/0 10.1.0.0/24\n"
				     "fwd protect 0.0.0.0/0 10.1.0.0/24\n");
	/* What a name stands for is not known here. */
	path.source.url = "https://kme.example.net";
	assert_null(strstr(rules(), "allow"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tunnel, setup),
		cmocka_unit_test_setup(the_qkd_device_stays_reachable, setup),
		cmocka_unit_test_setup(tunnel_of_several_networks, setup),
		cmocka_unit_test_setup(km_link_through_the_tunnel, setup),
		cmocka_unit_test_setup(transport, setup),
		cmocka_unit_test_setup(ipv6_transport_lets_neighbour_discovery_pass, setup),
		cmocka_unit_test_setup(what_cannot_be, setup),
		cmocka_unit_test_setup(containment, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
