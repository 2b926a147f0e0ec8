// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration: good files load with their defaults, each mistake gets
 * its own report with file, line and field, and all of them in one run.
 */
#include "config/config.h"
#include "config/config_address.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#define REPORTS 128

struct reports {
	char line[REPORTS][800];
	unsigned int count;
};

static struct reports reports;
static char path[] = "/tmp/test_config.XXXXXX";

static void collect(const char *line, void *arg)
{
	struct reports *all = arg;

	assert_true(all->count < REPORTS);
	snprintf(all->line[all->count++], sizeof(all->line[0]), "%s", line);
}

static void write_file(const char *text, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static int load_len(const char *text, size_t len, struct config **config)
{
	write_file(text, len);
	reports.count = 0;
	return config_load(path, collect, &reports, config);
}

static int load(const char *text, struct config **config)
{
	return load_len(text, strlen(text), config);
}

/* A report "PATH:LINE: FIELD: ..." that has @words. */
static bool reported(unsigned int line, const char *field, const char *words)
{
	char start[300];

	if (line)
		snprintf(start, sizeof(start), "%s:%u: %s%s", path, line, field,
			 *field ? ": " : "");
	else
		snprintf(start, sizeof(start), "%s: %s%s", path, field, *field ? ": " : "");
	for (unsigned int i = 0; i < reports.count; i++)
		if (!strncmp(reports.line[i], start, strlen(start)) &&
		    strstr(reports.line[i], words))
			return true;
	fprintf(stderr, "no report \"%s...%s\"; there are:\n", start, words);
	for (unsigned int i = 0; i < reports.count; i++)
		fprintf(stderr, "  %s\n", reports.line[i]);
	return false;
}

static void expect_only(const char *text, unsigned int line, const char *field, const char *words)
{
	struct config *config = (struct config *)1;

	assert_int_equal(load(text, &config), -EINVAL);
	assert_null(config);
	assert_true(reported(line, field, words));
	if (reports.count != 1)
		fprintf(stderr, "and another report: %s\n", reports.line[1]);
	assert_int_equal(reports.count, 1);
}

/* lines 1 to 5 */
#define TOP                                                                                        \
	"node: a\n"                                                                                \
	"kx:\n"                                                                                    \
	"  tls: {certificate: /c, key: /k, ca: /ca}\n"                                             \
	"peers:\n"                                                                                 \
	"  - name: b\n"
/* lines 6 to 15 */
#define LINK                                                                                       \
	"links:\n"                                                                                 \
	"  - name: l\n"                                                                            \
	"    peer: b\n"                                                                            \
	"    role: initiator\n"                                                                    \
	"    source:\n"                                                                            \
	"      url: https://kme.example.net\n"                                                     \
	"      sae: x\n"                                                                           \
	"      peer_sae: y\n"                                                                      \
	"      tls: {certificate: /c, key: /k, ca: /ca}\n"                                         \
	"channels:\n"
/* lines 16 to 26 */
#define TUNNEL                                                                                     \
	"  - name: t\n"                                                                            \
	"    link: l\n"                                                                            \
	"    kind: esp-tunnel\n"                                                                   \
	"    cipher: aes-256-gcm\n"                                                                \
	"    on_exhausted: hold\n"                                                                 \
	"    esp:\n"                                                                               \
	"      local: 192.0.2.1\n"                                                                 \
	"      remote: 192.0.2.2\n"                                                                \
	"      local_nets: [10.1.0.0/16]\n"                                                        \
	"      remote_nets: [10.2.0.0/16]\n"
#define MACSEC                                                                                     \
	"  - name: m\n"                                                                            \
	"    link: l\n"                                                                            \
	"    kind: macsec\n"                                                                       \
	"    cipher: gcm-aes-256\n"                                                                \
	"    on_exhausted: block\n"                                                                \
	"    macsec:\n"                                                                            \
	"      device: macsec0\n"                                                                  \
	"      peer_mac: \"02:00:00:00:00:01\"\n"

static void test_defaults(void **state)
{
	struct config *config;
	const struct config_channel *t;
	const struct config_channel *m;

	assert_int_equal(load(TOP LINK TUNNEL MACSEC, &config), 0);
	assert_int_equal(reports.count, 0);
	assert_string_equal(config->state_directory, "/var/lib/qkdkeyd");
	assert_string_equal(config->master_key, "/var/lib/qkdkeyd/master.key");
	assert_int_equal(config->backend, CONFIG_BACKEND_AUTO);
	assert_string_equal(config->control.socket, "/run/qkdkeyd/control.sock");
	assert_null(config->control.group);
	assert_string_equal(config->kx.listen, "::");
	assert_int_equal(config->kx.port, 7443);
	assert_null(config->peers[0].address);
	assert_int_equal(config->peers[0].port, 7443);
	assert_int_equal(config->links[0].keys_target, 64);
	assert_int_equal(config->links[0].keys_low, 16);
	assert_int_equal(config->links[0].source.timeout_ms, 5000);
	assert_null(config->links[0].source.server_name);
	assert_int_equal(config->channels_count, 2);
	t = &config->channels[0];
	assert_int_equal(t->kind, QKD_KIND_ESP_TUNNEL);
	assert_int_equal(t->combine, CONFIG_COMBINE_QKD);
	assert_int_equal(t->rollover_ms, 60000);
	assert_int_equal(t->grace_ms, 2000);
	assert_int_equal(t->lookahead, 4);
	assert_int_equal(t->hard_ms, 0);
	assert_true(t->esp->esn);
	assert_int_equal(t->esp->replay_window, 128);
	assert_null(t->macsec);
	m = &config->channels[1];
	assert_int_equal(m->lookahead, 2);
	assert_int_equal(m->grace_ms, 2000);
	assert_int_equal(m->macsec->port, 1);
	assert_int_equal(m->macsec->peer_port, 1);
	assert_int_equal(m->macsec->replay_window, 0);
	assert_null(m->esp);
	assert_ptr_equal(config_find_peer(config, "b"), &config->peers[0]);
	assert_null(config_find_peer(config, "c"));
	assert_ptr_equal(config_find_link(config, "l"), &config->links[0]);
	assert_null(config_find_link(config, ""));
	config_free(config);
}

static void test_given_values(void **state)
{
	struct config *config;
	const struct config_esp *esp;

	assert_int_equal(
		load("backend: netlink\ncontrol: {socket: /s, group: g}\nstate_directory: /st\n" TOP
		     "    address: b.example.net\n    port: 0x1234\n" LINK TUNNEL
		     "      esn: false\n      replay_window: 4096\n      if_id: 7\n"
		     "      mark: 0x10\n    combine: qkd+tls\n    rollover_ms: 100\n"
		     "    hard_ms: 5000\n    jitter_ms: 50\n    soft_bytes: 0x100000\n"
		     "    hard_bytes: 9223372036854775807\n    lookahead: 256\n" MACSEC
		     "    rollover_ms: 1000\n    soft_packets: 1000\n    hard_packets: 1001\n"
		     "    lookahead: 256\n",
		     &config),
		0);
	assert_int_equal(config->backend, CONFIG_BACKEND_NETLINK);
	assert_string_equal(config->master_key, "/st/master.key");
	assert_string_equal(config->control.group, "g");
	assert_int_equal(config->peers[0].port, 0x1234);
	esp = config->channels[0].esp;
	assert_false(esp->esn);
	assert_int_equal(esp->replay_window, 4096);
	assert_int_equal(esp->if_id, 7);
	assert_int_equal(esp->mark, 0x10);
	assert_int_equal(esp->mark_mask, 0xffffffff);
	assert_int_equal(config->channels[0].combine, CONFIG_COMBINE_QKD_TLS);
	assert_int_equal(config->channels[0].hard_ms, 5000);
	assert_int_equal(config->channels[0].jitter_ms, 50);
	assert_int_equal(config->channels[0].soft_bytes, QKD_SOFT_BYTES_MIN);
	assert_true(config->channels[0].hard_bytes == INT64_MAX);
	assert_int_equal(config->channels[0].soft_packets, 0);
	assert_int_equal(config->channels[0].lookahead, 256);
	assert_int_equal(config->channels[1].soft_packets, 1000);
	assert_int_equal(config->channels[1].hard_packets, 1001);
	assert_int_equal(config->channels[1].lookahead, 256);
	/* MACsec: half of rollover_ms */
	assert_int_equal(config->channels[1].grace_ms, 500);
	config_free(config);
}

static void test_no_lists(void **state)
{
	struct config *config;

	assert_int_equal(load("node: a\nkx: {tls: {certificate: /c, key: /k, ca: /ca}}\n"
			      "links: []\n",
			      &config),
			 0);
	assert_int_equal(config->peers_count, 0);
	assert_int_equal(config->links_count, 0);
	assert_int_equal(config->channels_count, 0);
	config_free(config);
}

/* What cannot be a configuration at all. */
static void test_syntax(void **state)
{
	struct config *config;
	char deep[2000];

	expect_only("", 0, "", "empty");
	expect_only("# nothing\n", 0, "", "empty");
	expect_only("node: a\n\tkx: b\n", 2, "", "tab");
	expect_only("node: \"a\nkx: b\n", 3, "", "not YAML");
	expect_only("node: a\nnode: b\n", 2, "", "given twice in the same group, first in line 1");
	expect_only("node: &x a\n", 1, "", "anchor");
	expect_only("node: *x\n", 1, "", "alias");
	expect_only("node: !!str a\n", 1, "", "tag");
	expect_only("node: a\n---\nnode: b\n", 2, "", "second YAML document");
	expect_only("- node\n", 1, "", "must be a group of fields: node, ");
	expect_only("{a: b}: c\n", 1, "", "field name must be a plain word");
	expect_only("node: \xff\xfe\n", 0, "", "not a text file in UTF-8");
	expect_only("\"a\\0b\": c\n", 1, "", "cannot be one of ours");
	memset(deep, '[', sizeof(deep));
	assert_int_equal(load_len(deep, sizeof(deep), &config), -EINVAL);
	assert_true(reported(1, "", "nested deeper than 8 levels"));
}

/* The laugh bomb of YAML: refused at its first anchor. */
static void test_bomb(void **state)
{
	expect_only("a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n", 1, "", "anchor");
}

static void test_files(void **state)
{
	struct config *config;

	reports.count = 0;
	assert_int_equal(config_load("/nonexistent/x.yaml", collect, &reports, &config), -ENOENT);
	assert_string_equal(reports.line[0],
			    "/nonexistent/x.yaml: cannot be read: No such file or directory");
	reports.count = 0;
	assert_int_equal(config_load("/tmp", collect, &reports, &config), -EINVAL);
	assert_string_equal(reports.line[0], "/tmp: is not a regular file");
	reports.count = 0;
	assert_int_equal(config_load("/dev/zero", collect, &reports, &config), -EINVAL);
	assert_int_equal(reports.count, 1);
	write_file("", 0);
	assert_int_equal(truncate(path, 100 << 20), 0);
	reports.count = 0;
	assert_int_equal(config_load(path, collect, &reports, &config), -EFBIG);
	assert_true(reported(0, "", "larger than 8 MiB"));
}

static void test_shape(void **state)
{
	struct config *config;

	expect_only("nod: a\n", 1, "nod", "did you mean node?");
	expect_only("zebra: a\n", 1, "zebra", "here are: node, state_directory, ");
	expect_only("node: [a]\n", 1, "node", "must be a single value, not a list");
	expect_only("node:\n", 1, "node", "has no value");
	expect_only("peers: b\n", 1, "peers", "must be a list");
	expect_only("kx: 5\n", 1, "kx", "must be a group of fields: listen, port, tls");
	expect_only("kx:\n  port: 99999\n", 2, "kx.port", "too large; the most is 65535");
	expect_only("kx:\n  port: -1\n", 2, "kx.port", "is not a number");
	expect_only("kx:\n  port: 010\n", 2, "kx.port", "octal");
	expect_only("kx:\n  port: 1e3\n", 2, "kx.port", "is not a number");
	expect_only("kx:\n  port: \"\"\n", 2, "kx.port", "is not a number");
	expect_only("kx:\n  port: 99999999999999999999999\n", 2, "kx.port", "too large");
	expect_only("node: \"a\\x07b\"\n", 1, "node", "control character (octet 0x07)");
	expect_only("node: \"a\\0b\"\n", 1, "node", "control character (octet 0x00)");
	expect_only("channels:\n  - kind: esp\n", 2, "channels[0].kind",
		    "\"esp\" is none of: esp-tunnel, esp-transport, macsec");
	expect_only("channels:\n  - esp: {esn: flase}\n", 2, "channels[0].esp.esn",
		    "must be true or false");
	expect_only("channels:\n  - rollover_ms: 10s\n", 2, "channels[0].rollover_ms",
		    "write a whole number of milliseconds without a unit");
	expect_only("channels:\n  - soft_bytes: 1G\n", 2, "channels[0].soft_bytes",
		    "write a whole number of octets without a unit");
	expect_only("channels:\n  - lookahead: few\n", 2, "channels[0].lookahead",
		    "write a whole number without a unit");
	expect_only("channels:\n  - jitter: 5\n", 2, "channels[0].jitter",
		    "did you mean jitter_ms?");
	/* soft_bytes or soft_packets: nobody can tell. */
	expect_only("channels:\n  - soft: 5\n", 2, "channels[0].soft", "here are: name, link,");
	/* several at once */
	assert_int_equal(load("nod: a\nbackend: x\nkx: {prt: 5}\n", &config), -EINVAL);
	assert_int_equal(reports.count, 3);
	assert_true(reported(1, "nod", "node"));
	assert_true(reported(2, "backend", "auto, module, netlink"));
	assert_true(reported(3, "kx.prt", "did you mean port?"));
}

static void test_top(void **state)
{
	struct config *config;

	assert_int_equal(load("backend: auto\n", &config), -EINVAL);
	assert_true(reported(1, "node", "is missing"));
	assert_true(reported(1, "kx", "is missing"));
	assert_int_equal(reports.count, 2);
	expect_only(TOP "state_directory: var\n", 6, "state_directory", "relative path");
	expect_only(TOP "master_key: k\n", 6, "master_key", "relative path");
	expect_only(TOP "control: {group: \"\"}\n", 6, "control.group", "is empty");
	expect_only(TOP "control:\n  socket: /"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
		    7, "control.socket", "at most 107");
	expect_only("node: a b\nkx: {tls: {certificate: /c, key: /k, ca: /ca}}\n", 1, "node",
		    "without spaces");
	expect_only("node: k\xc3\xa4\nkx: {tls: {certificate: /c, key: /k, ca: /ca}}\n", 1, "node",
		    "printable ASCII");
	expect_only("node: abcdefghijklmnopqrstuvwxyz012345\n"
		    "kx: {tls: {certificate: /c, key: /k, ca: /ca}}\n",
		    1, "node", "has 32 octets; a name may have at most 31");
	assert_int_equal(load("node: a\nkx:\n  listen: any\n  port: 0\n  tls: {key: k}\n", &config),
			 -EINVAL);
	assert_true(reported(3, "kx.listen", "is no IP address"));
	assert_true(reported(4, "kx.port", "from 1 to 65535"));
	assert_true(reported(5, "kx.tls.certificate", "is missing"));
	assert_true(reported(5, "kx.tls.key", "relative path"));
	assert_true(reported(5, "kx.tls.ca", "is missing"));
	assert_int_equal(reports.count, 5);
}

static void test_peers(void **state)
{
	expect_only(TOP "  - name: b\n", 6, "peers[1].name", "of another entry, in line 5");
	expect_only(TOP "  - name: a\n", 6, "peers[1].name", "is this node itself");
	expect_only(TOP "  - address: 192.0.2.1\n", 6, "peers[1].name", "is missing");
	expect_only(TOP "    address: \"192.0.2.1:80\"\n", 6, "peers[0].address", "own field");
	expect_only(TOP "    address: \"fe80::1%eth0\"\n", 6, "peers[0].address", "neither");
	expect_only(TOP "    address: \"-x.example\"\n", 6, "peers[0].address", "neither");
	expect_only(TOP "    port: 0\n", 6, "peers[0].port", "out of range");
}

#define SOURCE(url, sae, peer)                                                                     \
	TOP "links:\n  - name: l\n    peer: b\n    role: responder\n    source:\n      url: " url  \
	    "\n      sae: " sae "\n      peer_sae: " peer                                          \
	    "\n      tls: {certificate: /c, key: /k, ca: /ca}\n"

static void test_links(void **state)
{
	struct config *config;

	assert_int_equal(load(TOP "links:\n  - name: l\n    peer: c\n", &config), -EINVAL);
	assert_true(reported(8, "links[0].peer", "there is no peer \"c\""));
	assert_true(reported(7, "links[0].role", "is missing"));
	assert_true(reported(7, "links[0].source", "is missing"));
	assert_int_equal(reports.count, 3);
	expect_only(SOURCE("http://x", "s", "p"), 11, "links[0].source.url", "is not https://HOST");
	expect_only(SOURCE("https://", "s", "p"), 11, "links[0].source.url", "is not https://HOST");
	expect_only(SOURCE("https://x/api", "s", "p"), 11, "links[0].source.url", "nothing may");
	expect_only(SOURCE("https://x:0", "s", "p"), 11, "links[0].source.url", "is not https");
	expect_only(SOURCE("https://u@x", "s", "p"), 11, "links[0].source.url", "is not https");
	expect_only(SOURCE("https://x", "s", "s"), 13, "links[0].source.peer_sae", "same as sae");
	expect_only(SOURCE("https://x", "\"\"", "s"), 12, "links[0].source.sae", "is empty");
	expect_only(SOURCE("https://x", "s", "p") "      timeout_ms: 5\n", 15,
		    "links[0].source.timeout_ms", "from 100 to 600000 ms");
	expect_only(SOURCE("https://x", "s", "p") "    keys_target: 0\n", 15,
		    "links[0].keys_target", "out of range");
	expect_only(SOURCE("https://x", "s", "p") "    keys_target: 8\n    keys_low: 8\n", 16,
		    "links[0].keys_low", "must be below keys_target");
	assert_int_equal(load(SOURCE("https://x", "s", "p") "    keys_target: 8\n", &config), 0);
	assert_int_equal(config->links[0].keys_low, 4);
	config_free(config);
}

static void test_channels(void **state)
{
	struct config *config;

	assert_int_equal(load(TOP LINK "  - name: c\n", &config), -EINVAL);
	assert_true(reported(16, "channels[0].link", "is missing"));
	assert_true(reported(16, "channels[0].kind", "is missing"));
	assert_true(reported(16, "channels[0].on_exhausted", "is missing; it is your choice"));
	assert_int_equal(reports.count, 3);
	assert_int_equal(load(TOP LINK TUNNEL TUNNEL, &config), -EINVAL);
	assert_true(reported(26, "channels[1].name", "of another entry, in line 16"));
	assert_true(reported(31, "channels[1].esp", "10.1.0.0/16 to 10.2.0.0/16\" is the traffic"));
	assert_int_equal(reports.count, 2);
	expect_only(TOP LINK TUNNEL "    rollover_ms: 99\n", 26, "channels[0].rollover_ms",
		    "from 100 to 86400000 ms");
	expect_only(TOP LINK TUNNEL "    grace_ms: 60001\n", 26, "channels[0].grace_ms",
		    "from 100 to 60000 ms");
	expect_only(TOP LINK TUNNEL "    lookahead: 0\n", 26, "channels[0].lookahead",
		    "out of range");
	expect_only(TOP LINK TUNNEL "    lookahead: 257\n", 26, "channels[0].lookahead",
		    "from 1 to 256 epochs");
	expect_only(TOP LINK MACSEC "    lookahead: 257\n", 24, "channels[0].lookahead",
		    "from 1 to 256 epochs");
	expect_only(TOP LINK MACSEC "    rollover_ms: 500\n    grace_ms: 500\n", 25,
		    "channels[0].grace_ms", "must be below rollover_ms (500)");
	expect_only(TOP LINK MACSEC "    hard_ms: 500\n", 24, "channels[0].hard_ms",
		    "no meaning with on_exhausted: block");
	expect_only(TOP LINK MACSEC "    esp: {}\n", 24, "channels[0].esp", "not for kind macsec");
	expect_only(TOP LINK "  - {name: c, link: z, kind: macsec, cipher: gcm-aes-256, "
			     "on_exhausted: hold, macsec: {device: m, "
			     "peer_mac: \"02:00:00:00:00:01\"}}\n",
		    16, "channels[0].link", "there is no link \"z\"");
	expect_only(TOP LINK "  - {name: c, link: l, kind: macsec, cipher: aes-256-gcm, "
			     "on_exhausted: hold, macsec: {device: m, "
			     "peer_mac: \"02:00:00:00:00:01\"}}\n",
		    16, "channels[0].cipher", "does not go with kind macsec; write gcm-aes-256");
	expect_only(TOP LINK "  - {name: c, link: l, kind: esp-transport, on_exhausted: hold, "
			     "esp: {local: \"2001:db8::1\", remote: \"2001:db8::2\"}}\n",
		    16, "channels[0].cipher", "is missing; write aes-256-gcm or chacha20");
	expect_only(TOP LINK "  - {name: c, link: l, kind: macsec, cipher: gcm-aes-256, "
			     "on_exhausted: hold}\n",
		    16, "channels[0].macsec", "is missing");
}

#define ESP(kind, fields)                                                                          \
	TOP LINK "  - {name: c, link: l, cipher: chacha20-poly1305, on_exhausted: hold, "          \
		 "kind: " kind ",\n     esp: {" fields "}}\n"
#define ENDS "local: 192.0.2.1, remote: 192.0.2.2"

static void test_esp(void **state)
{
	struct config *config;

	expect_only(ESP("esp-transport", "local: 192.0.2.1, remote: \"::1\""), 17,
		    "channels[0].esp.remote", "is IPv6 but local is IPv4");
	expect_only(ESP("esp-transport", "local: 192.0.2.1, remote: 192.0.2.1"), 17,
		    "channels[0].esp.remote", "same as local");
	expect_only(ESP("esp-transport", "local: 192.0.2.1, remote: 0.0.0.0"), 17,
		    "channels[0].esp.remote", "unicast");
	expect_only(ESP("esp-transport", "local: \"ff02::1\", remote: \"fe80::1\""), 17,
		    "channels[0].esp.local", "unicast");
	expect_only(ESP("esp-transport", "local: 192.0.2.1, remote: 192.0.2"), 17,
		    "channels[0].esp.remote", "is no IP address");
	expect_only(ESP("esp-transport", "local: 192.0.2.1"), 17, "channels[0].esp.remote",
		    "is missing");
	expect_only(ESP("esp-transport", ENDS ", local_nets: [10.0.0.0/8]"), 17,
		    "channels[0].esp.local_nets", "is not for kind esp-transport");
	expect_only(ESP("esp-tunnel", ENDS ", local_nets: [10.0.0.0/8]"), 17,
		    "channels[0].esp.remote_nets", "missing or empty");
	expect_only(ESP("esp-tunnel", ENDS ", local_nets: [10.0.0.1/8], remote_nets: [0.0.0.0/0]"),
		    17, "channels[0].esp.local_nets[0]", "the network is 10.0.0.0/8");
	expect_only(
		ESP("esp-tunnel", ENDS ", local_nets: [10.0.0.0/8], remote_nets: [10.0.0.0/33]"),
		17, "channels[0].esp.remote_nets[0]", "is no network");
	expect_only(ESP("esp-tunnel", ENDS ", local_nets: [10.0.0.0/8], remote_nets: [10.0.0.0]"),
		    17, "channels[0].esp.remote_nets[0]", "is no network");
	expect_only(ESP("esp-tunnel", ENDS ", local_nets: [10.0.0.0/8], remote_nets: [\"::/0\"]"),
		    17, "channels[0].esp.remote_nets", "both");
	expect_only(ESP("esp-transport", ENDS ", replay_window: 0"), 17,
		    "channels[0].esp.replay_window", "from 1 to 4096 packets");
	expect_only(ESP("esp-transport", ENDS ", mark: 0x10, mark_mask: 0x0f"), 17,
		    "channels[0].esp.mark", "never match");
	assert_int_equal(load(ESP("esp-tunnel", ENDS ", local_nets: [\"2001:db8::/32\", 0.0.0.0/0],"
						     " remote_nets: [0.0.0.0/0, \"::/0\"]"),
			      &config),
			 0);
	assert_int_equal(config->channels[0].esp->local_nets_count, 2);
	assert_string_equal(config->channels[0].esp->remote_nets[1], "::/0");
	config_free(config);
}

#define PAIR(name, local, remote, more)                                                            \
	"  - {name: " name                                                                         \
	", link: l, cipher: aes-256-gcm, on_exhausted: hold, kind: esp-tunnel, "                   \
	"esp: {" ENDS ", local_nets: " local ", remote_nets: " remote more "}}\n"

/* The same traffic in two channels: one policy would hide the other. */
static void test_selectors(void **state)
{
	struct config *config;
	char many[2048];

	expect_only(TOP LINK PAIR("a", "[10.0.0.0/8, \"2001:db8::/32\"]",
				  "[10.1.0.0/16, \"2001:db8:0::/48\"]", "")
			    PAIR("b", "[\"2001:0db8::/32\"]", "[\"2001:db8::/48\"]", ""),
		    17, "channels[1].esp", "traffic of another entry, in line 16");
	expect_only(TOP LINK PAIR("a", "[10.0.0.0/8]", "[10.1.0.0/16]", ", mark: 5")
			    PAIR("b", "[10.0.0.0/8]", "[10.1.0.0/16]", ", mark: 5"),
		    17, "channels[1].esp", "mark 0x5");
	snprintf(many, sizeof(many), "%s",
		 TOP LINK "  - {name: a, link: l, cipher: aes-256-gcm, "
			  "on_exhausted: hold, kind: esp-tunnel, esp: {" ENDS
			  ", remote_nets: [10.0.0.0/8], local_nets: [");
	for (int i = 0; i < 65; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "10.%d.0.0/16,", i);
	strcat(many, "]}}\n");
	expect_only(many, 16, "channels[0].esp.local_nets", "has 65 networks; the most is 64");
	/* overlapping, or told apart by mark or interface: that is the operator's right */
	assert_int_equal(load(TOP LINK PAIR("a", "[10.0.0.0/8]", "[10.1.0.0/16]",
					    "") PAIR("b", "[10.0.0.0/8]", "[10.1.0.0/24]", "")
				      PAIR("c", "[10.0.0.0/8]", "[10.1.0.0/16]", ", mark: 5") PAIR(
					      "d", "[10.0.0.0/8]", "[10.1.0.0/16]", ", if_id: 5"),
			      &config),
			 0);
	config_free(config);
}

#define SEC(fields)                                                                                \
	TOP LINK "  - {name: c, link: l, cipher: gcm-aes-xpn-256, on_exhausted: hold, kind: "      \
		 "macsec,\n     macsec: {" fields "}}\n"
#define MAC "peer_mac: \"02:00:00:00:00:01\""

static void test_macsec(void **state)
{
	expect_only(SEC(MAC), 17, "channels[0].macsec.device", "is missing");
	expect_only(SEC("device: m"), 17, "channels[0].macsec.peer_mac", "is missing");
	expect_only(SEC("device: a/b, " MAC), 17, "channels[0].macsec.device", "no interface name");
	expect_only(SEC("device: abcdefghijklmnop, " MAC), 17, "channels[0].macsec.device",
		    "at most 15 characters");
	expect_only(SEC("device: m, parent: m, " MAC), 17, "channels[0].macsec.parent",
		    "macsec device itself");
	expect_only(SEC("device: m, peer_mac: \"02:00:00:00:00\""), 17,
		    "channels[0].macsec.peer_mac", "is no MAC address");
	expect_only(SEC("device: m, peer_mac: \"01:00:00:00:00:01\""), 17,
		    "channels[0].macsec.peer_mac", "not the address of one device");
	expect_only(SEC("device: m, peer_mac: \"00:00:00:00:00:00\""), 17,
		    "channels[0].macsec.peer_mac", "not the address of one device");
	expect_only(SEC("device: m, port: 0, " MAC), 17, "channels[0].macsec.port", "out of range");
	expect_only(TOP LINK MACSEC "  - name: n\n    link: l\n    kind: macsec\n"
				    "    cipher: gcm-aes-256\n    on_exhausted: hold\n"
				    "    macsec:\n      device: macsec0\n      " MAC "\n",
		    29, "channels[1].macsec", "is the device of another entry");
}

/* The report of a file that is nothing but mistakes ends. */
static void test_many_mistakes(void **state)
{
	struct config *config;
	static char text[1 << 16];
	size_t used = 0;

	used += (size_t)snprintf(text, sizeof(text), TOP);
	for (int i = 0; i < 1000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "  - port: 0\n");
	assert_int_equal(load(text, &config), -EINVAL);
	assert_int_equal(reports.count, 101);
	assert_non_null(strstr(reports.line[100], "more mistakes follow"));
}

static void test_channel_spec(void **state)
{
	static const char good[] = "name: n\nlink: l\nkind: esp-transport\n"
				   "cipher: aes-256-gcm\non_exhausted: block\n"
				   "esp: {local: 192.0.2.1, remote: 192.0.2.2}\n";
	struct config_channel *channel;
	struct config *config;

	assert_int_equal(load(TOP LINK TUNNEL, &config), 0);
	assert_int_equal(config_channel_load(config, good, strlen(good), "spec.yaml", collect,
					     &reports, &channel),
			 0);
	assert_string_equal(channel->name, "n");
	assert_int_equal(channel->rollover_ms, 60000);
	config_channel_free(channel);
	assert_int_equal(config_channel_load(config, good, strlen(good) - 8, "spec.yaml", collect,
					     &reports, &channel),
			 -EINVAL);
	assert_null(channel);
	assert_true(strstr(reports.line[0], "spec.yaml:") == reports.line[0]);
	reports.count = 0;
	assert_int_equal(config_channel_load(config, "- name: n\n", 10, "spec.yaml", collect,
					     &reports, &channel),
			 -EINVAL);
	assert_non_null(strstr(reports.line[0], "must be a group of fields: name, link"));
	config_free(config);
	config_channel_free(NULL);
	config_free(NULL);
}

static void test_examples(void **state)
{
	static const char *const files[] = {"docs/examples/alice.yaml", "docs/examples/bob.yaml"};

	for (int i = 0; i < 2; i++) {
		struct config *config;

		reports.count = 0;
		if (access(files[i], R_OK))
			skip(); /* not run from the source folder */
		assert_int_equal(config_load(files[i], collect, &reports, &config), 0);
		assert_int_equal(config->channels_count, 2);
		config_free(config);
	}
}

static void test_limits(void **state)
{
	expect_only(TOP LINK TUNNEL "    soft_bytes: 1048575\n", 26, "channels[0].soft_bytes",
		    "at least 1048576 octets, or 0");
	expect_only(TOP LINK TUNNEL "    soft_bytes: 9223372036854775808\n", 26,
		    "channels[0].soft_bytes", "too large; the most is 9223372036854775807");
	expect_only(TOP LINK TUNNEL "    soft_packets: 999\n", 26, "channels[0].soft_packets",
		    "at least 1000 packets, or 0");
	expect_only(TOP LINK TUNNEL "    hard_bytes: 2097152\n", 26, "channels[0].hard_bytes",
		    "needs soft_bytes");
	expect_only(TOP LINK MACSEC "    soft_bytes: 2097152\n    hard_packets: 5000\n", 25,
		    "channels[0].hard_packets", "needs soft_packets");
	expect_only(TOP LINK TUNNEL "    soft_bytes: 2097152\n    hard_bytes: 2097152\n", 27,
		    "channels[0].hard_bytes", "above soft_bytes, which is 2097152");
	expect_only(TOP LINK TUNNEL "    rollover_ms: 1000\n    jitter_ms: 501\n", 27,
		    "channels[0].jitter_ms", "at most half of rollover_ms, 500");
}

/* Both examples are the two ends of the same channels. */
static void test_examples_match(void **state)
{
	struct config *a;
	struct config *b;

	if (access("docs/examples/alice.yaml", R_OK))
		skip();
	assert_int_equal(config_load("docs/examples/alice.yaml", collect, &reports, &a), 0);
	assert_int_equal(config_load("docs/examples/bob.yaml", collect, &reports, &b), 0);
	assert_string_equal(a->peers[0].name, b->node);
	assert_string_equal(b->peers[0].name, a->node);
	assert_string_equal(a->links[0].source.sae, b->links[0].source.peer_sae);
	assert_string_equal(b->links[0].source.sae, a->links[0].source.peer_sae);
	assert_int_not_equal(a->links[0].role, b->links[0].role);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(a->channels[i].name, b->channels[i].name);
		assert_int_equal(a->channels[i].cipher, b->channels[i].cipher);
		assert_int_equal(a->channels[i].rollover_ms, b->channels[i].rollover_ms);
	}
	assert_string_equal(a->channels[0].esp->local, b->channels[0].esp->remote);
	assert_string_equal(b->channels[0].esp->local, a->channels[0].esp->remote);
	assert_string_equal(a->channels[0].esp->local_nets[1], b->channels[0].esp->remote_nets[1]);
	config_free(a);
	config_free(b);
}

static void test_addresses(void **state)
{
	struct config_net net;
	uint8_t mac[6];
	char host[256];
	uint16_t port;

	assert_int_equal(config_net_parse("10.1.2.3/12", &net), 0);
	assert_true(config_net_mask(&net));
	assert_memory_equal(net.address.octet, "\x0a\x00\x00\x00", 4);
	assert_false(config_net_mask(&net));
	assert_int_equal(config_net_parse("::/0", &net), 0);
	assert_int_equal(net.address.family, AF_INET6);
	assert_int_equal(config_net_parse("10.0.0.0/08", &net), -EINVAL);
	assert_int_equal(config_net_parse("10.0.0.0/", &net), -EINVAL);
	assert_int_equal(config_net_parse("10.0.0.0/-1", &net), -EINVAL);
	assert_int_equal(config_net_parse("/8", &net), -EINVAL);
	assert_int_equal(config_mac_parse("02:aB:00:00:00:01", mac), 0);
	assert_int_equal(mac[1], 0xab);
	assert_int_equal(config_mac_parse("02-ab-00-00-00-01", mac), -EINVAL);
	assert_int_equal(config_mac_parse("02:ab:00:00:00:0g", mac), -EINVAL);
	assert_int_equal(config_url_parse("https://[2001:db8::1]:8443/", host, &port), 0);
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(port, 8443);
	assert_int_equal(config_url_parse("https://h.example", host, &port), 0);
	assert_int_equal(port, 443);
	assert_int_equal(config_url_parse("https://[::1", host, &port), -EINVAL);
	assert_int_equal(config_url_parse("https://[192.0.2.1]", host, &port), -EINVAL);
	assert_int_equal(config_url_parse("https://h:65536", host, &port), -EINVAL);
	assert_int_equal(config_url_parse("https://h:", host, &port), -EINVAL);
	assert_int_equal(config_url_parse("https://h:80x", host, &port), -EINVAL);
	assert_int_equal(config_url_parse("https://h?x", host, &port), -EINVAL);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),       cmocka_unit_test(test_given_values),
		cmocka_unit_test(test_no_lists),       cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_bomb),	       cmocka_unit_test(test_files),
		cmocka_unit_test(test_shape),	       cmocka_unit_test(test_top),
		cmocka_unit_test(test_peers),	       cmocka_unit_test(test_links),
		cmocka_unit_test(test_channels),       cmocka_unit_test(test_esp),
		cmocka_unit_test(test_macsec),	       cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_limits),	       cmocka_unit_test(test_many_mistakes),
		cmocka_unit_test(test_channel_spec),   cmocka_unit_test(test_examples),
		cmocka_unit_test(test_examples_match), cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
