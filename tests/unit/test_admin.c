// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The admin socket over a real Unix socket and the real loop: requests, bad
 * requests, permissions, slow readers. The node behind it is made up here:
 * the functions that it asks are below, so that each state can be shown.
 */
#include "manage/admin_parts.h"
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include "km/kx.h"
#include "km/pool.h"
#include "quantum/source.h"
#include "unp/backend.h"
#include "unp/channels.h"

/* -------- the node -------- */

static struct loop *loop;
static struct node node;
static struct config config;
static struct config_peer peer = {.name = (char *)"km-b", .port = 7443};
static struct config_link qkd_link = {
	.name = (char *)"a-b",
	.peer = (char *)"km-b",
	.source = {.url = (char *)"https://kme"},
	.keys_target = 64,
	.keys_low = 16,
};
static char *nets[] = {(char *)"10.1.0.0/16"};
static struct config_esp esp = {
	.local = (char *)"192.0.2.1",
	.remote = (char *)"192.0.2.2",
	.local_nets = nets,
	.local_nets_count = 1,
	.remote_nets = nets,
	.remote_nets_count = 1,
	.esn = true,
};
static struct config_macsec macsec = {.device = (char *)"macsec0", .peer_mac = (char *)"02::"};
static struct config_channel channel_configs[] = {
	{.name = (char *)"tunnel",
	 .link = (char *)"a-b",
	 .kind = QKD_KIND_ESP_TUNNEL,
	 .cipher = QKD_CIPHER_AES_256_GCM,
	 .on_exhausted = QKD_EXHAUSTED_HOLD,
	 .esp = &esp},
	{.name = (char *)"wire",
	 .link = (char *)"a-b",
	 .kind = QKD_KIND_MACSEC,
	 .cipher = QKD_CIPHER_GCM_AES_256,
	 .on_exhausted = QKD_EXHAUSTED_BLOCK,
	 .macsec = &macsec},
};
static struct qkd_counters counters;
static struct pool_status pool_is;
static struct source_status source_is;
static struct kx_peer_status peer_is;
static uint8_t states[2];
static unsigned int epochs_listed; /* records that channels_epochs() makes */
static int action_error;
static bool answer_later;
static char last_action[128];
static const char *later_text;

/* A pending answer, given from a timer, as the real ones are. */
static struct {
	struct loop_timer timer;
	channels_done_fn done;
	void *arg;
	int err;
} later;

static void fire_later(void *arg)
{
	later.done(later.arg, later.err, later.err ? "because the test says so" : later_text);
}

static int act(const char *what, const char *name, channels_done_fn done, void *arg)
{
	snprintf(last_action, sizeof(last_action), "%s %s", what, name);
	later.done = done;
	later.arg = arg;
	later.err = action_error;
	if (!answer_later) {
		fire_later(NULL);
		return 0;
	}
	later.timer.fire = fire_later;
	return loop_timer_set(loop, &later.timer, 20);
}

static void view_of(int i, struct channel_view *view)
{
	*view = (struct channel_view){
		.config = &channel_configs[i],
		.peer = "km-b",
		.initiator = true,
		.from_file = i == 0,
		.state = states[i],
		.id = 7,
		.reqid = i ? 0 : 99,
		.counters = &counters,
		.last_error = "",
		.time_last_rollover_ns = 1763846543123000000,
	};
}

struct kx_peer *kx_find(struct kx *kx, const char *name)
{
	return strcmp(name, "km-b") ? NULL : (struct kx_peer *)&peer;
}

void kx_peer_status(const struct kx_peer *p, struct kx_peer_status *status)
{
	*status = peer_is;
}

void pool_status(const struct pool *pool, struct pool_status *status)
{
	*status = pool_is;
}

const struct source_status *source_status(const struct source *source)
{
	return &source_is;
}

static const char *backend_is = "module";

const char *backend_name(const struct backend *backend)
{
	return backend_is;
}

const struct backend *channels_backend(const struct channels *channels)
{
	return (const struct backend *)channels;
}

void channels_visit(struct channels *channels,
		    void (*visit)(const struct channel_view *view, void *arg), void *arg)
{
	for (int i = 0; i < 2; i++) {
		struct channel_view view;

		view_of(i, &view);
		visit(&view, arg);
	}
}

bool channels_view(struct channels *channels, const char *name, struct channel_view *view)
{
	for (int i = 0; i < 2; i++) {
		if (strcmp(channel_configs[i].name, name))
			continue;
		view_of(i, view);
		return true;
	}
	return false;
}

int channels_add(struct channels *channels, struct config_channel *channel, const char *spec,
		 channels_done_fn done, void *arg)
{
	int err = act("add", channel->name, done, arg);

	config_channel_free(channel);
	return err;
}

int channels_delete(struct channels *channels, const char *name, channels_done_fn done, void *arg)
{
	return act("delete", name, done, arg);
}

int channels_rollover(struct channels *channels, const char *name, channels_done_fn done, void *arg)
{
	return act("rollover", name, done, arg);
}

int channels_epochs(struct channels *channels, const char *name, backend_list_fn done, void *arg)
{
	struct qkd_epoch *epochs = calloc(epochs_listed + 1, sizeof(*epochs));

	assert_non_null(epochs);
	for (unsigned int i = 0; i < epochs_listed; i++)
		epochs[i] = (struct qkd_epoch){
			.channel = 7,
			.epoch = 40 + i,
			.key_id = {0xab, 0xcd},
			.in = QKD_SA_ACTIVE,
			.out = i ? QKD_SA_READY : QKD_SA_ACTIVE,
			.an = (uint8_t)(i & 3),
			.spi_in = htonl(0x1000 + i),
			.spi_out = htonl(0x2000 + i),
			.packets_in = 5,
			.bytes_out = 77,
		};
	done(arg, 0, epochs, epochs_listed);
	free(epochs);
	return 0;
}

/* -------- a caller in its own thread -------- */

static char socket_path[108];
static struct admin *admin;

static atomic_bool may_read;

struct caller {
	pthread_t thread;
	const char *request;
	size_t request_len;
	int lines;  /* to read, then it hangs up; 0: until the end */
	bool waits; /* reads only once @may_read is set */
	char *answer;
	size_t len;
	bool cut;
};

static void stop(void *arg)
{
	loop_stop(loop, 0);
}

static int connect_socket(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, socket_path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int count_lines(const struct caller *caller)
{
	int lines = 0;

	for (size_t i = 0; i < caller->len; i++)
		lines += caller->answer[i] == '\n';
	return lines;
}

static void *call(void *arg)
{
	struct caller *caller = arg;
	size_t room = 80 << 20;
	int fd = connect_socket();
	size_t sent = 0;
	ssize_t n = 1;

	caller->answer = malloc(room);
	while (fd >= 0 && caller->answer && sent < caller->request_len && n > 0) {
		n = send(fd, caller->request + sent, caller->request_len - sent, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	while (caller->waits && !atomic_load(&may_read))
		usleep(1000);
	while (fd >= 0 && caller->answer && caller->len < room &&
	       (!caller->lines || count_lines(caller) < caller->lines)) {
		n = recv(fd, caller->answer + caller->len, room - 1 - caller->len, 0);
		if (n <= 0)
			break;
		caller->len += (size_t)n;
	}
	caller->cut = n <= 0;
	if (caller->answer)
		caller->answer[caller->len] = '\0';
	close(fd);
	loop_post(loop, stop, NULL);
	return NULL;
}

static void start(struct caller *caller)
{
	assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void finish(struct caller *caller)
{
	assert_int_equal(loop_run(loop), 0);
	pthread_join(caller->thread, NULL);
	assert_non_null(caller->answer);
}

/* Sends @text as it is; the first @lines lines come back. */
static struct caller ask_raw(const char *text, size_t len, int lines)
{
	struct caller caller = {.request = text, .request_len = len, .lines = lines};

	start(&caller);
	finish(&caller);
	return caller;
}

static json_t *parse_line(const char *line)
{
	json_error_t error;
	json_t *value = json_loads(line, JSON_DISABLE_EOF_CHECK, &error);

	if (!value)
		fprintf(stderr, "no JSON: %s in %.200s\n", error.text, line);
	assert_non_null(value);
	assert_string_equal(json_string_value(json_object_get(value, "schema")), "qkdctl/1");
	return value;
}

static json_t *ask(const char *verb, const char *args)
{
	char request[4096];
	struct caller caller;
	json_t *answer;

	snprintf(request, sizeof(request), "{\"schema\":\"qkdctl/1\",\"verb\":\"%s\"%s%s}\n", verb,
		 args ? ",\"args\":" : "", args ? args : "");
	caller = ask_raw(request, strlen(request), 1);
	answer = parse_line(caller.answer);
	free(caller.answer);
	return answer;
}

static json_t *ask_good(const char *verb, const char *args)
{
	json_t *answer = ask(verb, args);
	json_t *data = json_incref(json_object_get(answer, "data"));

	if (!json_is_true(json_object_get(answer, "ok")))
		json_dumpf(answer, stderr, 0);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_non_null(data);
	json_decref(answer);
	return data;
}

/* Code and words of an error. Takes over @answer. */
static void expect_error(json_t *answer, const char *code, const char *words)
{
	const json_t *error = json_object_get(answer, "error");

	assert_true(json_is_false(json_object_get(answer, "ok")));
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	if (!strstr(json_string_value(json_object_get(error, "message")), words))
		json_dumpf(answer, stderr, 0);
	assert_non_null(strstr(json_string_value(json_object_get(error, "message")), words));
	json_decref(answer);
}

static const char *text_at(const json_t *value, const char *key)
{
	return json_string_value(json_object_get(value, key));
}

static json_int_t number_at(const json_t *value, const char *key)
{
	assert_true(json_is_integer(json_object_get(value, key)));
	return json_integer_value(json_object_get(value, key));
}

static int set_up(void **state)
{
	static struct source *sources[1] = {(struct source *)&source_is};
	static struct pool *pools[1] = {(struct pool *)&pool_is};
	char error[256];

	signal(SIGPIPE, SIG_IGN);
	if (loop_create(&loop))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "/tmp/test_admin.%d.sock", getpid());
	config = (struct config){
		.node = (char *)"km-a",
		.control = {.socket = socket_path},
		.peers = &peer,
		.peers_count = 1,
		.links = &qkd_link,
		.links_count = 1,
	};
	node = (struct node){
		.loop = loop,
		.config_path = "/etc/x.yaml",
		.config = &config,
		.channels = (struct channels *)&node,
		.sources = sources,
		.pools = pools,
		.started_ns = 1763846543123000000,
	};
	counters = (struct qkd_counters){
		.out_epoch = 41,
		.in_first = 40,
		.in_last = 44,
		.peer_first = QKD_EPOCH_NONE,
		.peer_last = QKD_EPOCH_NONE,
		.rollovers = 3,
		.ready = 2,
	};
	pool_is = (struct pool_status){.ready = 20, .pending = 1, .used = 30, .simulated = true};
	source_is = (struct source_status){.reachable = true, .qber = 0.02, .skr_bps = -1};
	peer_is = (struct kx_peer_status){.name = "km-b", .up = true, .last_error = ""};
	states[0] = states[1] = QKD_CHANNEL_ACTIVE;
	epochs_listed = 2;
	action_error = 0;
	answer_later = false;
	last_action[0] = '\0';
	later_text = NULL;
	if (admin_create(&node, &admin, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	admin_destroy(admin);
	loop_destroy(loop);
	return access(socket_path, F_OK) ? 0 : -1; /* the socket's file must be gone */
}

/* -------- the tests -------- */

static void test_status(void **state)
{
	json_t *data = ask_good("status", NULL);

	assert_string_equal(text_at(data, "node"), "km-a");
	assert_string_equal(text_at(data, "state"), "ok");
	assert_string_equal(text_at(data, "backend"), "module");
	assert_string_equal(text_at(data, "started"), "2025-11-22T21:22:23.123Z");
	assert_true(json_is_false(json_object_get(data, "degraded")));
	assert_true(json_is_true(json_object_get(data, "simulated")));
	assert_int_equal(json_array_size(json_object_get(data, "problems")), 0);
	assert_int_equal(number_at(json_object_get(data, "channels"), "active"), 2);
	json_decref(data);
}

/** Keys that a dump shows are a problem, unless they are asked for. */
static void test_status_netlink(void **state)
{
	const json_t *problems;
	json_t *data;

	backend_is = "netlink";
	data = ask_good("status", NULL);
	problems = json_object_get(data, "problems");
	assert_int_equal(json_array_size(problems), 1);
	assert_string_equal(text_at(json_array_get(problems, 0), "object"), "backend netlink");
	assert_non_null(strstr(text_at(json_array_get(problems, 0), "text"), "shows keys"));
	assert_true(json_is_true(json_object_get(data, "degraded")));
	json_decref(data);
	config.backend = CONFIG_BACKEND_NETLINK;
	data = ask_good("status", NULL);
	assert_int_equal(json_array_size(json_object_get(data, "problems")), 0);
	json_decref(data);
	backend_is = "module";
	config.backend = CONFIG_BACKEND_AUTO;
	pool_is.problem = "km-b refuses all our keys: check peer_sae";
	data = ask_good("status", NULL);
	problems = json_object_get(data, "problems");
	assert_int_equal(json_array_size(problems), 1);
	assert_string_equal(text_at(json_array_get(problems, 0), "text"), pool_is.problem);
	pool_is.problem = "";
	json_decref(data);
}

static void test_status_degraded(void **state)
{
	const json_t *problems;
	json_t *data;

	peer_is.up = false;
	peer_is.last_error = "connection refused";
	source_is.reachable = false;
	snprintf(source_is.last_error_text, sizeof(source_is.last_error_text), "bad \xff octet");
	pool_is.ready = 3;
	states[1] = QKD_CHANNEL_BLOCKED;
	data = ask_good("status", NULL);
	problems = json_object_get(data, "problems");
	assert_true(json_is_true(json_object_get(data, "degraded")));
	assert_int_equal(json_array_size(problems), 4);
	assert_string_equal(text_at(json_array_get(problems, 0), "object"), "km_link km-b");
	assert_string_equal(text_at(json_array_get(problems, 0), "text"),
			    "is down: connection refused");
	assert_string_equal(text_at(json_array_get(problems, 1), "text"),
			    "the QKD device does not answer: bad ? octet");
	assert_string_equal(text_at(json_array_get(problems, 2), "text"),
			    "3 keys are ready, below keys_low (16)");
	assert_string_equal(text_at(json_array_get(problems, 3), "object"), "channel wire");
	json_decref(data);
}

static void test_links(void **state)
{
	json_t *data = ask_good("link.list", "{}");
	const json_t *link = json_array_get(json_object_get(data, "qkd_links"), 0);
	const json_t *km = json_array_get(json_object_get(data, "km_links"), 0);

	assert_string_equal(text_at(km, "name"), "km-b");
	assert_true(json_is_true(json_object_get(km, "up")));
	assert_true(json_is_null(json_object_get(km, "address")));
	assert_string_equal(text_at(link, "role"), "initiator");
	assert_true(json_is_true(json_object_get(link, "simulated")));
	assert_true(json_real_value(json_object_get(link, "qber")) == 0.02);
	assert_true(json_is_null(json_object_get(link, "skr_bps")));
	assert_int_equal(number_at(link, "keys_ready"), 20);
	json_decref(data);
	data = ask_good("key.stats", NULL);
	link = json_array_get(json_object_get(data, "links"), 0);
	assert_string_equal(text_at(link, "level"), "ok");
	assert_int_equal(number_at(link, "keys_used"), 30);
	json_decref(data);
}

static void test_channels(void **state)
{
	json_t *data = ask_good("channel.list", NULL);
	const json_t *list = json_object_get(data, "channels");

	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_at(json_array_get(list, 0), "name"), "tunnel");
	assert_int_equal(number_at(json_array_get(list, 0), "epoch_out"), 41);
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "epoch_peer_first")));
	assert_true(json_is_true(json_object_get(json_array_get(list, 1), "simulated")));
	json_decref(data);
	data = ask_good("channel.show", "{\"channel\":\"tunnel\"}");
	list = json_object_get(data, "channel");
	assert_string_equal(text_at(list, "state"), "active");
	assert_string_equal(text_at(list, "epochs_in"), "40-44");
	assert_string_equal(text_at(json_object_get(list, "esp"), "local"), "192.0.2.1");
	assert_null(json_object_get(list, "macsec"));
	assert_int_equal(number_at(list, "rollovers"), 3);
	json_decref(data);
	states[0] = 0;
	data = ask_good("channel.show", "{\"channel\":\"tunnel\"}");
	assert_true(json_is_null(json_object_get(json_object_get(data, "channel"), "epoch_out")));
	json_decref(data);
	expect_error(ask("channel.show", "{\"channel\":\"nix\"}"), "no_such_object", "nix");
	expect_error(ask("channel.show", "{}"), "bad_request", "args.channel is missing");
	expect_error(ask("channel.show", "{\"chanel\":\"a\"}"), "bad_request", "chanel");
}

static void test_sas(void **state)
{
	json_t *data = ask_good("sa.list", NULL);
	const json_t *list = json_object_get(data, "sas");
	const json_t *sa = json_array_get(list, 1);

	assert_int_equal(json_array_size(list), 8);
	assert_string_equal(text_at(sa, "channel"), "tunnel");
	assert_string_equal(text_at(sa, "direction"), "out");
	assert_string_equal(text_at(sa, "state"), "active");
	assert_string_equal(text_at(sa, "spi"), "0x00002000");
	assert_string_equal(text_at(sa, "key_id"), "abcd0000-0000-0000-0000-000000000000");
	assert_true(json_is_null(json_object_get(sa, "an")));
	assert_int_equal(number_at(sa, "bytes"), 77);
	assert_true(json_is_true(json_object_get(sa, "simulated")));
	sa = json_array_get(list, 6);
	assert_string_equal(text_at(sa, "channel"), "wire");
	assert_true(json_is_null(json_object_get(sa, "spi")));
	assert_int_equal(number_at(sa, "an"), 1);
	json_decref(data);
	data = ask_good("sa.list", "{\"channel\":\"wire\"}");
	assert_int_equal(json_array_size(json_object_get(data, "sas")), 4);
	json_decref(data);
	epochs_listed = 0;
	data = ask_good("sa.list", NULL);
	assert_int_equal(json_array_size(json_object_get(data, "sas")), 0);
	json_decref(data);
	expect_error(ask("sa.list", "{\"channel\":\"nix\"}"), "no_such_object", "nix");
}

/* Larger than what a stream takes at once: goes out in portions, whole. */
static void test_large_answer(void **state)
{
	json_t *data;

	epochs_listed = 8000;
	data = ask_good("sa.list", NULL);
	assert_int_equal(json_array_size(json_object_get(data, "sas")), 32000);
	json_decref(data);
}

/* More than 64 MiB is refused in words, and the daemon goes on. */
static void test_too_large_answer(void **state)
{
	epochs_listed = 90000;
	expect_error(ask("sa.list", NULL), "failed", "larger than 64 MiB");
	epochs_listed = 1;
	json_decref(ask_good("sa.list", NULL));
}

static void test_changes(void **state)
{
	json_t *data;

	for (int i = 0; i < 2; i++) {
		answer_later = i;
		data = ask_good("channel.rollover", "{\"channel\":\"wire\"}");
		assert_string_equal(last_action, "rollover wire");
		assert_null(json_object_get(data, "note"));
		json_decref(data);
		data = ask_good("channel.delete", "{\"channel\":\"tunnel\",\"dry_run\":false}");
		assert_string_equal(last_action, "delete tunnel");
		assert_non_null(strstr(text_at(data, "note"), "configuration file"));
		json_decref(data);
	}
	last_action[0] = '\0';
	data = ask_good("channel.delete", "{\"channel\":\"wire\",\"dry_run\":true}");
	assert_non_null(strstr(text_at(data, "note"), "would take down channel wire"));
	assert_string_equal(last_action, "");
	json_decref(data);
	data = ask_good("channel.rollover", "{\"channel\":\"wire\",\"dry_run\":true}");
	assert_non_null(strstr(text_at(data, "note"), "2 epochs stand ready"));
	assert_string_equal(last_action, "");
	json_decref(data);
	later_text = "in part";
	data = ask_good("channel.rollover", "{\"channel\":\"wire\"}");
	assert_string_equal(text_at(data, "result"), "in part");
	assert_null(json_object_get(data, "note"));
	json_decref(data);
	data = ask_good("channel.delete", "{\"channel\":\"wire\"}");
	assert_string_equal(text_at(data, "note"), "in part");
	json_decref(data);
	action_error = -EAGAIN;
	expect_error(ask("channel.rollover", "{\"channel\":\"wire\"}"), "not_now", "because");
	action_error = -EIO;
	expect_error(ask("channel.rollover", "{\"channel\":\"wire\"}"), "failed", "because");
	expect_error(ask("channel.rollover", "{\"channel\":\"wire\",\"dry_run\":1}"), "bad_request",
		     "args.dry_run must be true or false");
}

#define SPEC                                                                                       \
	"name: NAME\\nlink: a-b\\nkind: esp-transport\\ncipher: aes-256-gcm\\n"                    \
	"on_exhausted: block\\nesp: {local: 192.0.2.1, remote: 192.0.2.2}\\n"

static void test_add(void **state)
{
	const json_t *details;
	json_t *answer;
	json_t *data;

	data = ask_good("channel.add", "{\"yaml\":\"" SPEC "\"}");
	assert_string_equal(last_action, "add NAME");
	json_decref(data);
	last_action[0] = '\0';
	data = ask_good("channel.add", "{\"yaml\":\"" SPEC "\",\"dry_run\":true}");
	assert_string_equal(text_at(data, "note"),
			    "would add channel NAME (esp-transport) on link a-b");
	assert_string_equal(last_action, "");
	json_decref(data);
	answer = ask("channel.add", "{\"yaml\":\"name: x\\nlink: z\\n\",\"origin\":\"f.yaml\"}");
	details = json_object_get(json_object_get(answer, "error"), "details");
	assert_int_equal(json_array_size(details), 3);
	assert_non_null(strstr(json_string_value(json_array_get(details, 0)),
			       "f.yaml:2: link: there is no link \"z\""));
	expect_error(answer, "invalid_config", "not added");
	expect_error(ask("channel.add", "{}"), "bad_request", "args.yaml");
	channel_configs[1].name = (char *)"NAME";
	expect_error(ask("channel.add", "{\"yaml\":\"" SPEC "\"}"), "exists", "NAME");
	channel_configs[1].name = (char *)"wire";
}

static void expect_bad(const char *line, const char *code, const char *words)
{
	struct caller caller = ask_raw(line, strlen(line), 1);

	expect_error(parse_line(caller.answer), code, words);
	free(caller.answer);
}

static void test_bad_requests(void **state)
{
	expect_bad("\n", "bad_request", "not JSON");
	expect_bad("hello\n", "bad_request", "not JSON");
	expect_bad("[1]\n", "bad_request", "JSON object");
	expect_bad("{}\n", "bad_request", "schema must be");
	expect_bad("{\"schema\":\"qkdctl/2\",\"verb\":\"status\"}\n", "bad_request", "schema");
	expect_bad("{\"schema\":\"qkdctl/1\"}\n", "bad_request", "verb is missing");
	expect_bad("{\"schema\":\"qkdctl/1\",\"verb\":7}\n", "bad_request", "verb is missing");
	expect_bad("{\"schema\":\"qkdctl/1\",\"verb\":\"x\"}\n", "no_such_verb", "no verb x");
	expect_bad("{\"schema\":\"qkdctl/1\",\"verb\":\"status\",\"args\":[]}\n", "bad_request",
		   "args must be an object");
	expect_bad("{\"schema\":\"qkdctl/1\",\"verb\":\"a\",\"verb\":\"b\"}\n", "bad_request",
		   "duplicate");
	expect_bad("\"\xff\"\n", "bad_request", "not JSON");
	expect_bad("{\"schema\":\"qkdctl/1\",\"verb\":\"status\",\"args\":"
		   "{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}}\n",
		   "bad_request", "JSON object with");
}

/* Requests in one go are answered one by one, in order, also behind a slow one. */
static void test_pipeline(void **state)
{
	static const char requests[] =
		"{\"schema\":\"qkdctl/1\",\"verb\":\"channel.rollover\",\"args\":{\"channel\":"
		"\"wire\"}}\n{\"schema\":\"qkdctl/1\",\"verb\":\"nix\"}\nrubbish\n"
		"{\"schema\":\"qkdctl/1\",\"verb\":\"status\"}\n";
	struct caller caller;
	json_t *answer;
	char *line;

	answer_later = true;
	caller = ask_raw(requests, sizeof(requests) - 1, 4);
	line = caller.answer;
	answer = parse_line(line);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	line = strchr(line, '\n') + 1;
	expect_error(parse_line(line), "no_such_verb", "nix");
	line = strchr(line, '\n') + 1;
	expect_error(parse_line(line), "bad_request", "not JSON");
	line = strchr(line, '\n') + 1;
	answer = parse_line(line);
	assert_non_null(json_object_get(json_object_get(answer, "data"), "node"));
	json_decref(answer);
	free(caller.answer);
}

static void test_long_line(void **state)
{
	size_t len = 200000;
	char *line = malloc(len);
	struct caller caller;

	assert_non_null(line);
	memset(line, 'x', len);
	caller = ask_raw(line, len, 0);
	assert_true(caller.cut);
	expect_error(parse_line(caller.answer), "bad_request", "at most 64 KiB");
	free(caller.answer);
	free(line);
}

/* A caller that goes while its answer is made: the answer is dropped, nothing else happens. */
static void test_gone_caller(void **state)
{
	static const char request[] = "{\"schema\":\"qkdctl/1\",\"verb\":\"channel.rollover\","
				      "\"args\":{\"channel\":\"wire\"}}\n";
	int fd = connect_socket();

	answer_later = true;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	close(fd);
	answer_later = true;
	json_decref(ask_good("status", NULL));
	/* a slow call ends after the first one's would-be answer */
	json_decref(ask_good("status", NULL));
	usleep(40000);
	json_decref(ask_good("status", NULL));
	assert_string_equal(last_action, "rollover wire");
}

static void send_events(void *arg)
{
	struct channel_event event = {
		.time_ns = 1763846543123000000,
		.channel = "tunnel",
		.type = "activated",
		.epoch = 41,
		.text = "",
	};

	admin_event(admin, &event);
	event.type = "low";
	event.epoch = QKD_EPOCH_NONE;
	event.text = "2 ready\nforged";
	admin_event(admin, &event);
}

/* Once the caller follows, not before. */
static void send_events_soon(void *arg)
{
	struct loop_timer *timer = arg;

	if (admin->conns && admin->conns->follows)
		send_events(NULL);
	else
		loop_timer_set(loop, timer, 1);
}

static void test_follow(void **state)
{
	static const char request[] = "{\"schema\":\"qkdctl/1\",\"verb\":\"event.follow\"}\n";
	struct caller caller = {.request = request, .request_len = sizeof(request) - 1, .lines = 3};
	struct loop_timer timer = {.fire = send_events_soon, .arg = &timer};
	const json_t *event;
	json_t *answer;
	char *line;

	send_events(NULL); /* nobody follows: nothing happens */
	start(&caller);
	loop_timer_set(loop, &timer, 1);
	finish(&caller);
	line = strchr(caller.answer, '\n') + 1;
	answer = parse_line(line);
	event = json_object_get(answer, "event");
	assert_string_equal(text_at(event, "type"), "activated");
	assert_int_equal(number_at(event, "epoch"), 41);
	assert_true(json_is_true(json_object_get(event, "simulated")));
	json_decref(answer);
	answer = parse_line(strchr(line, '\n') + 1);
	event = json_object_get(answer, "event");
	assert_true(json_is_null(json_object_get(event, "epoch")));
	assert_string_equal(text_at(event, "text"), "2 ready\nforged");
	json_decref(answer);
	free(caller.answer);
}

static unsigned int floods;

static void flood(void *arg)
{
	struct loop_timer *timer = arg;

	if (floods || (admin->conns && admin->conns->follows)) {
		floods++;
		for (int i = 0; i < 2000; i++)
			send_events(NULL);
	}
	if (floods < 10)
		loop_timer_set(loop, timer, 1);
	else
		atomic_store(&may_read, true);
}

/* A follower that does not read is dropped; it is not kept in our memory. */
static void test_slow_follower(void **state)
{
	static const char request[] = "{\"schema\":\"qkdctl/1\",\"verb\":\"event.follow\"}\n";
	struct caller caller = {
		.request = request,
		.request_len = sizeof(request) - 1,
		.waits = true,
	};
	struct loop_timer timer = {.fire = flood, .arg = &timer};

	floods = 0;
	atomic_store(&may_read, false);
	start(&caller);
	loop_timer_set(loop, &timer, 1);
	finish(&caller);
	assert_int_equal(floods, 10);
	assert_true(caller.cut);
	assert_true(caller.len < 3 << 20);
	free(caller.answer);
	json_decref(ask_good("status", NULL));
}

/* An answer of 20 MiB that nobody reads stays one answer, and ends with its reader. */
static void test_slow_reader(void **state)
{
	static const char request[] = "{\"schema\":\"qkdctl/1\",\"verb\":\"sa.list\"}\n";
	int fd = connect_socket();

	epochs_listed = 8000;
	assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	json_decref(ask_good("status", NULL));
	json_decref(ask_good("status", NULL));
	assert_true(stream_pending(admin->conns->stream) <= ADMIN_PORTION);
	close(fd);
	json_decref(ask_good("status", NULL));
}

/* Runs as another user; the status of the child, or -1. */
static int as_user(uid_t uid, gid_t gid, gid_t extra, char *answer, size_t size)
{
	static const char request[] = "{\"schema\":\"qkdctl/1\",\"verb\":\"status\"}\n";
	struct loop_timer timer = {.fire = stop};
	int fds[2];
	pid_t pid;
	int status;
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		char text[4096];
		int fd;

		if (setgroups(extra ? 1 : 0, &extra) || setgid(gid) || setuid(uid))
			_exit(9);
		fd = connect_socket();
		if (fd < 0)
			_exit(errno == EACCES ? 5 : 8);
		if (write(fd, request, sizeof(request) - 1) < 0)
			_exit(7);
		n = recv(fd, text, sizeof(text), 0);
		if (n > 0 && write(fds[1], text, (size_t)n) != n)
			_exit(6);
		_exit(0);
	}
	for (int i = 0; i < 100; i++) {
		loop_timer_set(loop, &timer, 50);
		assert_int_equal(loop_run(loop), 0);
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	close(fds[1]);
	n = read(fds[0], answer, size - 1);
	answer[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_permission(void **state)
{
	const struct group *daemon_group = getgrnam("daemon");
	char error[256];
	char answer[4096];
	struct stat st;

	if (geteuid())
		skip(); /* needs other users */
	assert_non_null(daemon_group);
	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(as_user(65534, 65534, 0, answer, sizeof(answer)), 5);
	/* the file's mode is one gate; the caller's credentials are another */
	assert_int_equal(chmod(socket_path, 0666), 0);
	assert_int_equal(as_user(65534, 65534, 0, answer, sizeof(answer)), 0);
	expect_error(parse_line(answer), "permission", "control.group");
	/* with a group: its members may, others may not */
	admin_destroy(admin);
	config.control.group = (char *)"daemon";
	assert_int_equal(admin_create(&node, &admin, error, sizeof(error)), 0);
	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(st.st_gid, daemon_group->gr_gid);
	assert_int_equal(as_user(65534, 65534, 0, answer, sizeof(answer)), 5);
	assert_int_equal(as_user(65534, daemon_group->gr_gid, 0, answer, sizeof(answer)), 0);
	assert_non_null(strstr(answer, "\"ok\":true"));
}

static void test_listen_errors(void **state)
{
	struct admin *second;
	char error[256];

	assert_int_equal(admin_create(&node, &second, error, sizeof(error)), -EADDRINUSE);
	assert_non_null(strstr(error, "another qkdkeyd may be running"));
	config.control.group = (char *)"no-such-group-here";
	assert_int_equal(admin_create(&node, &second, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "there is no group no-such-group-here"));
	config.control.group = NULL;
	config.control.socket = (char *)"/nonexistent/x.sock";
	assert_int_equal(admin_create(&node, &second, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "make its folder"));
	config.control.socket = socket_path;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status),	  TEST(test_status_netlink),   TEST(test_status_degraded),
		TEST(test_links),	  TEST(test_channels),	       TEST(test_sas),
		TEST(test_large_answer),  TEST(test_too_large_answer), TEST(test_changes),
		TEST(test_add),		  TEST(test_bad_requests),     TEST(test_pipeline),
		TEST(test_long_line),	  TEST(test_gone_caller),      TEST(test_follow),
		TEST(test_slow_follower), TEST(test_slow_reader),      TEST(test_permission),
		TEST(test_listen_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
