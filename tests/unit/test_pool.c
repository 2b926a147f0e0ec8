// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pool of a QKD link, whole: two nodes, alice (initiator) and bob, each with
 * its store, KM link and ETSI GS QKD 014 client, and between them a pair of
 * devices that can be told to misbehave. All of it on one loop, over real TLS.
 */
#include "km/pool_parts.h"
#include "km_helpers.h"
#include "loop/http.h"
#include "pki.h"
#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sqlite3.h>

static struct loop *loop;

/* Hangs are failures; the limit is no measure of speed. */
static void hang(void *arg)
{
	fail_msg("nothing happens any more, waiting for %s", (const char *)arg);
}

static void turn(void *arg)
{
	loop_stop(loop, 0);
}

#define run_until(condition)                                                                       \
	do {                                                                                       \
		struct loop_timer watchdog = {.fire = hang, .arg = #condition};                    \
		struct loop_timer tick = {.fire = turn};                                           \
		loop_timer_set(loop, &watchdog, 45000);                                            \
		while (!(condition)) {                                                             \
			loop_timer_set(loop, &tick, 5);                                            \
			assert_int_equal(loop_run(loop), 0);                                       \
		}                                                                                  \
		loop_timer_cancel(loop, &watchdog);                                                \
		loop_timer_cancel(loop, &tick);                                                    \
	} while (0)

/* -------- a pair of devices -------- */

#define DEVICE_KEYS 4096

static struct {
	struct km_key keys[DEVICE_KEYS]; /* waiting for bob */
	size_t count;
	size_t limit; /* enc_keys gives this many in all */
	size_t given;
	unsigned int max_per_request;
	bool simulated;
	bool all_or_none; /* 503 if fewer keys are left than asked for */
	int enc_error;	  /* HTTP status instead of an answer */
	int dec_error;	  /* the same, at bob's */
	int forget;	  /* this many of the next keys are not told to bob's device */
	int corrupt;	  /* and of these, it has other bytes */
	const char *body; /* enc_keys answers this */
	int enc_calls, dec_calls;
} device;

static struct http_server *device_a, *device_b;
static struct tls_context *device_tls_a, *device_tls_b;
static uint16_t device_port_a, device_port_b;

static void base64(const uint8_t *octets, char *text)
{
	EVP_EncodeBlock((unsigned char *)text, octets, QKD_KEY_BYTES);
}

static void put_key(json_t *list, const struct km_key *key)
{
	char id[KM_KEY_ID_TEXT], value[64];
	json_t *entry = json_object();

	km_key_id_format(&key->id, id);
	base64(key->value, value);
	json_object_set_new(entry, "key_ID", json_string(id));
	json_object_set_new(entry, "key", json_string(value));
	json_array_append_new(list, entry);
}

static void respond(struct http_exchange *exchange, int status, json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT);

	http_respond(exchange, status, text, strlen(text));
	free(text);
	json_decref(root);
}

static void respond_error(struct http_exchange *exchange, int status, const char *message)
{
	if (status == 401)
		http_respond(exchange, 401, NULL, 0);
	else
		respond(exchange, status, json_pack("{s:s}", "message", message));
}

static void respond_status(struct http_exchange *exchange)
{
	json_t *root = json_pack("{s:i,s:i,s:i}", "key_size", 256, "stored_key_count",
				 (int)(device.limit - device.given), "max_key_per_request",
				 (int)device.max_per_request);

	if (device.simulated)
		json_object_set_new(root, "status_extension",
				    json_pack("{s:b,s:f,s:f}", "qkdsim_simulated", 1, "qkdsim_qber",
					      0.02, "qkdsim_skr_bps", 5000.0));
	respond(exchange, 200, root);
}

static void give_keys(struct http_exchange *exchange, const struct http_request *request)
{
	json_t *asked = json_loadb((const char *)request->body, request->body_len, 0, NULL);
	json_int_t number = json_integer_value(json_object_get(asked, "number"));
	json_t *list = json_array();

	assert_int_equal(json_integer_value(json_object_get(asked, "size")), 256);
	assert_in_range(number, 1, device.max_per_request);
	json_decref(asked);
	if (device.all_or_none && device.limit - device.given < (size_t)number)
		number = 0;
	while (number > 0 && number-- && device.given < device.limit) {
		struct km_key key;

		random_key(&key);
		device.given++;
		put_key(list, &key);
		if (device.forget > 0) {
			device.forget--;
			continue;
		}
		if (device.corrupt > 0) {
			device.corrupt--;
			key.value[31] ^= 1;
		}
		assert_true(device.count < DEVICE_KEYS);
		device.keys[device.count++] = key;
	}
	if (json_array_size(list)) {
		respond(exchange, 200, json_pack("{s:o}", "keys", list));
	} else {
		json_decref(list);
		respond_error(exchange, 503, "no keys now");
	}
}

static void handle_a(struct http_exchange *exchange, const struct http_request *request, void *arg)
{
	assert_true(stream_peer_has_name(request->peer, "alice"));
	if (strcmp(request->path, "/api/v1/keys/sae b/status") == 0) {
		respond_status(exchange);
		return;
	}
	assert_string_equal(request->path, "/api/v1/keys/sae b/enc_keys");
	assert_string_equal(request->method, "POST");
	device.enc_calls++;
	if (device.enc_error)
		respond_error(exchange, device.enc_error, "because the test says so");
	else if (device.body)
		http_respond(exchange, 200, device.body, strlen(device.body));
	else
		give_keys(exchange, request);
}

static struct km_key *find_device_key(const char *text)
{
	struct km_key_id id;

	assert_int_equal(km_key_id_parse(text, &id), 0);
	for (size_t i = 0; i < device.count; i++)
		if (memcmp(&device.keys[i].id, &id, sizeof(id)) == 0)
			return &device.keys[i];
	return NULL;
}

/** All or nothing, and what was given is gone. */
static void give_keys_by_id(struct http_exchange *exchange, const struct http_request *request)
{
	json_t *asked = json_loadb((const char *)request->body, request->body_len, 0, NULL);
	json_t *ids = json_object_get(asked, "key_IDs"), *entry;
	json_t *list = json_array();
	size_t i;

	assert_in_range(json_array_size(ids), 1, device.max_per_request);
	json_array_foreach(ids, i, entry)
		if (!find_device_key(json_string_value(json_object_get(entry, "key_ID")))) {
			json_decref(asked);
			json_decref(list);
			respond_error(exchange, 400,
				      "one or more keys specified are not found on KME");
			return;
		}
	/* In another order than asked for: the standard promises none. */
	for (i = json_array_size(ids); i-- > 0;) {
		entry = json_array_get(ids, i);
		struct km_key *key =
			find_device_key(json_string_value(json_object_get(entry, "key_ID")));

		put_key(list, key);
		*key = device.keys[--device.count];
	}
	json_decref(asked);
	respond(exchange, 200, json_pack("{s:o}", "keys", list));
}

static void handle_b(struct http_exchange *exchange, const struct http_request *request, void *arg)
{
	assert_true(stream_peer_has_name(request->peer, "bob"));
	if (strcmp(request->path, "/api/v1/keys/sae-a/status") == 0) {
		respond_status(exchange);
		return;
	}
	assert_string_equal(request->path, "/api/v1/keys/sae-a/dec_keys");
	device.dec_calls++;
	if (device.dec_error)
		respond_error(exchange, device.dec_error, "because the test says so");
	else
		give_keys_by_id(exchange, request);
}

static void start_device_a(void)
{
	assert_int_equal(http_server_create(loop, device_tls_a, "127.0.0.1", device_port_a, 16,
					    1 << 20, handle_a, NULL, &device_a),
			 0);
	device_port_a = http_server_port(device_a);
}

static void start_device_b(void)
{
	assert_int_equal(http_server_create(loop, device_tls_b, "127.0.0.1", device_port_b, 16,
					    1 << 20, handle_b, NULL, &device_b),
			 0);
	device_port_b = http_server_port(device_b);
}

/* -------- a node -------- */

struct node {
	const char *name;
	char directory[PATH_BYTES];
	char master[PATH_BYTES + 16];
	char url[64];
	struct config config;
	struct config_peer peer;
	struct config_link link;
	struct store *store;
	struct kx *kx;
	struct source *source;
	struct pool *pool;
	int ready_calls;
};

static struct node alice, bob;
static uint16_t kx_port_a, kx_port_b;

static uint16_t free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	close(fd);
	return ntohs(addr.sin_port);
}

/** Whether no listener is left of a node that was just stopped. */
static bool port_is_free(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(0x7f000001)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	bool is_free;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	is_free = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
	close(fd);
	return is_free;
}

static void set_tls(struct config_tls *tls, const char *name)
{
	struct tls_files files = pki_files(name, "ca");

	tls->certificate = strdup(files.certificate);
	tls->key = strdup(files.key);
	tls->ca = strdup(files.ca);
}

static void free_tls(struct config_tls *tls)
{
	free(tls->certificate);
	free(tls->key);
	free(tls->ca);
}

static void on_ready(void *arg)
{
	((struct node *)arg)->ready_calls++;
}

/** What the daemon's main does. */
static void node_start(struct node *node)
{
	char error[600];

	run_until(port_is_free(node->config.kx.port));
	if (store_open(loop, node->directory, node->master, &node->store, error, sizeof(error)) ||
	    kx_create(loop, &node->config, store_id(node->store), &node->kx, error,
		      sizeof(error)) ||
	    source_create(loop, &node->link, &node->source, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(
		pool_create(loop, &node->link, node->store, node->kx, node->source, &node->pool),
		0);
	assert_int_equal(pool_on_ready(node->pool, on_ready, node), 0);
	if (kx_start(node->kx, error, sizeof(error)))
		fail_msg("%s", error);
}

static void node_stop(struct node *node)
{
	kx_destroy(node->kx);
	pool_destroy(node->pool);
	source_destroy(node->source);
	store_close(node->store);
	node->kx = NULL;
	node->pool = NULL;
	node->source = NULL;
	node->store = NULL;
}

static void node_init(struct node *node, const char *name, const char *peer, uint16_t port,
		      uint16_t peer_port, uint16_t device_port)
{
	memset(node, 0, sizeof(*node));
	node->name = name;
	make_directory(node->directory);
	snprintf(node->master, sizeof(node->master), "%s/master.key", node->directory);
	assert_int_equal(store_make_master_key(node->master), 0);
	snprintf(node->url, sizeof(node->url), "https://127.0.0.1:%u", device_port);
	node->config.node = (char *)name;
	node->config.kx.listen = (char *)"127.0.0.1";
	node->config.kx.port = port;
	set_tls(&node->config.kx.tls, name);
	node->config.peers = &node->peer;
	node->config.peers_count = 1;
	node->peer.name = (char *)peer;
	node->peer.address = (char *)"127.0.0.1";
	node->peer.port = peer_port;
	node->link.name = (char *)"link";
	node->link.peer = (char *)peer;
	node->link.keys_target = 20;
	node->link.keys_low = 5;
	node->link.source.url = node->url;
	node->link.source.server_name = (char *)"device";
	node->link.source.timeout_ms = 60000;
	set_tls(&node->link.source.tls, name);
}

static int set_up(void **state)
{
	memset(&device, 0, sizeof(device));
	device.limit = DEVICE_KEYS;
	device.max_per_request = 8;
	assert_int_equal(loop_create(&loop), 0);
	device_tls_a = pki_context("device", "ca", TLS_1_2_OR_NEWER, NULL);
	device_tls_b = pki_context("device", "ca", TLS_1_2_OR_NEWER, NULL);
	device_port_a = device_port_b = 0;
	start_device_a();
	start_device_b();
	kx_port_a = free_port();
	kx_port_b = free_port();
	node_init(&alice, "alice", "bob", kx_port_a, kx_port_b, device_port_a);
	alice.link.role = CONFIG_INITIATOR;
	alice.link.source.sae = (char *)"sae-a";
	alice.link.source.peer_sae = (char *)"sae b"; /* has to be encoded */
	node_init(&bob, "bob", "alice", kx_port_b, kx_port_a, device_port_b);
	bob.peer.address = NULL;
	bob.link.role = CONFIG_RESPONDER;
	bob.link.source.sae = (char *)"sae b";
	bob.link.source.peer_sae = (char *)"sae-a";
	return 0;
}

static void node_remove(struct node *node)
{
	node_stop(node);
	remove_directory(node->directory);
	free_tls(&node->config.kx.tls);
	free_tls(&node->link.source.tls);
}

static int tear_down(void **state)
{
	node_remove(&alice);
	node_remove(&bob);
	if (device_a)
		http_server_destroy(device_a);
	if (device_b)
		http_server_destroy(device_b);
	device_a = device_b = NULL;
	tls_context_destroy(device_tls_a);
	tls_context_destroy(device_tls_b);
	loop_destroy(loop);
	return 0;
}

static struct pool_status status_of(const struct node *node)
{
	struct pool_status status;

	pool_status(node->pool, &status);
	return status;
}

static bool ready(const struct node *node, uint64_t count)
{
	return status_of(node).ready == count;
}

static void start_both(void)
{
	node_start(&bob);
	node_start(&alice);
}

/* -------- taking -------- */

static struct taken {
	int calls, err;
	uint64_t epoch;
	struct km_key key;
} taken;

static void on_key(void *arg, int err, uint64_t epoch, const struct km_key *key)
{
	struct taken *into = arg;

	into->calls++;
	into->err = err;
	into->epoch = epoch;
	if (key)
		into->key = *key;
}

static int take(void)
{
	memset(&taken, 0, sizeof(taken));
	assert_int_equal(pool_take(alice.pool, "ch", 0, on_key, &taken), 0);
	run_until(taken.calls);
	return taken.err;
}

static int take_id(uint64_t epoch, const struct km_key_id *id, struct taken *into)
{
	memset(into, 0, sizeof(*into));
	assert_int_equal(pool_take_id(bob.pool, "ch", epoch, id, on_key, into), 0);
	run_until(into->calls);
	return into->err;
}

/** Takes one key at both ends: the same bytes. */
static void take_both(void)
{
	struct taken here, there;

	assert_int_equal(take(), 0);
	here = taken;
	assert_int_equal(take_id(here.epoch, &here.key.id, &there), 0);
	assert_int_equal(there.epoch, here.epoch);
	assert_memory_equal(there.key.value, here.key.value, sizeof(here.key.value));
	assert_memory_equal(&there.key.id, &here.key.id, sizeof(here.key.id));
}

/* -------- tests -------- */

static void test_fill_and_take(void **state)
{
	start_both();
	run_until(ready(&alice, 20) && ready(&bob, 20));
	assert_int_equal(status_of(&alice).pending, 0);
	assert_int_equal(status_of(&alice).discarded, 0);
	assert_false(status_of(&alice).simulated);
	assert_true(device.enc_calls >= 3); /* at most 8 a time */
	for (int i = 0; i < 100; i++)
		take_both();
	run_until(ready(&alice, 20) && ready(&bob, 20));
	assert_int_equal(status_of(&alice).used, 100);
	assert_int_equal(status_of(&bob).used, 100);
	assert_int_equal(device.given, 120); /* not one too many */
	assert_string_equal(pool_link(alice.pool), "link");
	assert_true(pool_source_status(alice.pool)->reachable);
	assert_int_equal(pool_source_status(alice.pool)->max_per_request, 8);
	assert_int_equal(pool_source_status(alice.pool)->last_error, 0);
}

static void test_roles(void **state)
{
	struct km_key_id id = {{1}};

	start_both();
	assert_int_equal(pool_take(bob.pool, "ch", 0, on_key, &taken), -EPERM);
	assert_int_equal(pool_take_id(alice.pool, "ch", 0, &id, on_key, &taken), -EPERM);
}

static void test_both_initiators(void **state)
{
	bob.link.role = CONFIG_INITIATOR;
	device.limit = 10;
	/* Bob's device would answer its enc_keys; it has only dec_keys here. */
	bob.link.keys_target = 0;
	start_both();
	run_until(status_of(&alice).pending == 10 && alice.pool->announce_failures > 1);
	assert_true(ready(&alice, 0));
	assert_int_equal(status_of(&alice).discarded, 0);
	/* Once one end is put right, the keys that wait are used. */
	node_stop(&bob);
	bob.link.role = CONFIG_RESPONDER;
	node_start(&bob);
	run_until(ready(&alice, 10) && ready(&bob, 10));
}

static void test_simulated(void **state)
{
	device.simulated = true;
	start_both();
	run_until(ready(&alice, 20) && ready(&bob, 20));
	assert_true(status_of(&alice).simulated);
	assert_true(status_of(&bob).simulated);
	assert_int_equal(take(), 0);
	assert_true(taken.key.simulated);
	assert_true(pool_source_status(alice.pool)->skr_bps > 4999);
	assert_true(pool_source_status(alice.pool)->qber > 0.019);
}

/** A device that refuses to give fewer than asked for is emptied all the same. */
static void test_all_or_none(void **state)
{
	device.all_or_none = true;
	device.limit = 13;
	start_both();
	run_until(ready(&alice, 13) && ready(&bob, 13));
	device.limit = 14;
	run_until(ready(&alice, 14) && ready(&bob, 14));
	device.limit = 200;
	run_until(ready(&alice, 20) && ready(&bob, 20));
}

static void test_mismatch(void **state)
{
	device.corrupt = 3;
	start_both();
	run_until(ready(&alice, 20) && ready(&bob, 20));
	assert_int_equal(status_of(&alice).discarded, 3);
	for (int i = 0; i < 20; i++)
		take_both();
}

/*
 * A peer that refuses every key - its device is of another pair - costs a key
 * at a time with growing pauses, not all that the device has.
 */
static void refused_by_all(const char *reason)
{
	size_t drawn;

	start_both();
	run_until(strstr(status_of(&alice).problem, reason));
	assert_non_null(strstr(status_of(&alice).problem, "bob refuses all our keys"));
	assert_non_null(strstr(status_of(&alice).problem, "peer_sae"));
	/* What was drawn before the first verdict: no more than the pool wanted to hold. */
	run_until(alice.pool->refusals >= 4 && status_of(&alice).pending == 0 &&
		  loop_timer_pending(&alice.pool->fill_again));
	drawn = device.given;
	assert_in_range(drawn, 4, 20 + alice.pool->refusals);
	/* Nothing goes round the pause, however long it is. */
	assert_int_equal(loop_timer_set(loop, &alice.pool->fill_again, 300000), 0);
	pool_fill(alice.pool);
	pool_recount(alice.pool);
	run_until(!alice.pool->counting);
	assert_int_equal(device.given, drawn);
	assert_true(ready(&alice, 0));
	/* And after it comes one key, which counts as a failure more. */
	alice.pool->refusals = 10;
	assert_int_equal(loop_timer_set(loop, &alice.pool->fill_again, 0), 0);
	run_until(alice.pool->refusals == 11 && status_of(&alice).discarded == drawn + 1);
	assert_int_equal(device.given, drawn + 1);
	assert_true(loop_timer_pending(&alice.pool->fill_again));
	assert_int_equal(loop_timer_set(loop, &alice.pool->fill_again, 0), 0);
	/* Put right: the next probe is accepted, and the pool fills. */
	device.forget = device.corrupt = 0;
	run_until(ready(&alice, 20) && ready(&bob, 20));
	assert_string_equal(status_of(&alice).problem, "");
	assert_int_equal(alice.pool->refusals, 0);
	assert_int_equal(status_of(&alice).discarded, drawn + 1);
	take_both();
}

static void test_all_unknown_to_peer(void **state)
{
	device.forget = DEVICE_KEYS;
	refused_by_all("its device does not know them");
}

static void test_all_mismatch(void **state)
{
	device.corrupt = DEVICE_KEYS;
	refused_by_all("other bytes under the same key IDs");
}

/** A new KM link is a reason to try at once: the peer may have been put right. */
static void test_refused_until_peer_restarts(void **state)
{
	device.forget = DEVICE_KEYS;
	start_both();
	run_until(alice.pool->refusals >= 3 && status_of(&alice).pending == 0);
	alice.pool->refusals = 11;
	loop_timer_set(loop, &alice.pool->fill_again, 300000);
	device.forget = 0;
	node_stop(&bob);
	node_start(&bob);
	run_until(ready(&alice, 20) && ready(&bob, 20));
}

/** One bad key ID does not spoil the others of its batch. */
static void test_unknown_to_peer(void **state)
{
	device.forget = 2;
	device.limit = 8;
	start_both();
	run_until(ready(&alice, 6) && ready(&bob, 6));
	run_until(status_of(&alice).discarded == 2);
	assert_int_equal(device.dec_calls, 1 + 8); /* the batch, then one by one */
	for (int i = 0; i < 6; i++)
		take_both();
}

static void test_peer_device_away(void **state)
{
	http_server_destroy(device_b);
	device_b = NULL;
	device.limit = 8;
	start_both();
	run_until(status_of(&alice).pending == 8 && alice.pool->announce_failures > 0);
	run_until(!pool_source_status(bob.pool)->reachable &&
		  strstr(pool_source_status(bob.pool)->last_error_text, "refused"));
	assert_true(ready(&bob, 0));
	assert_int_equal(status_of(&alice).discarded, 0);
	start_device_b();
	run_until(ready(&alice, 8) && ready(&bob, 8));
	assert_int_equal(status_of(&alice).discarded, 0);
	take_both();
}

/** 401 for all is about us, not about the keys: they are kept. */
static void test_peer_device_denies(void **state)
{
	device.dec_error = 401;
	device.limit = 8;
	start_both();
	run_until(alice.pool->announce_failures > 1);
	assert_int_equal(status_of(&alice).discarded, 0);
	assert_int_equal(status_of(&alice).pending, 8);
	device.dec_error = 0;
	run_until(ready(&alice, 8) && ready(&bob, 8));
}

static void test_source_errors(void **state)
{
	static const struct {
		int error;
		const char *body;
		const char *text;
	} cases[] = {
		{503, NULL, "enc_keys: HTTP 503: because the test says so"},
		{401, NULL, "enc_keys: HTTP 401: it does not accept our certificate"},
		{500, NULL, "enc_keys: HTTP 500: because the test says so"},
		{0, "{\"keys\":[{\"key_ID\":\"x\"}]}", "enc_keys: keys[0].key_ID is no UUID"},
		{0, "{\"keys\":[]}", "enc_keys: it has no keys now"},
		{0, "surprise", "enc_keys: the answer is no JSON at line 1"},
	};

	start_both();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct source_status *status = pool_source_status(alice.pool);

		device.enc_error = cases[i].error;
		device.body = cases[i].body;
		run_until(ready(&alice, 20) || strstr(status->last_error_text, cases[i].text));
		while (ready(&alice, 20) && !strstr(status->last_error_text, cases[i].text)) {
			take_both();
			run_until(!ready(&alice, 20) ||
				  strstr(status->last_error_text, cases[i].text));
		}
		assert_non_null(strstr(status->last_error_text, "https://127.0.0.1:"));
		assert_int_not_equal(status->last_error, 0);
		assert_true(status->reachable);
		device.enc_error = 0;
		device.body = NULL;
		run_until(ready(&alice, 20));
		assert_int_equal(status->last_error, 0);
	}
}

/** Keys that lie in both stores when the daemons start. */
static void seed(struct node *node, const struct km_key *keys, size_t count,
		 enum store_key_state state)
{
	char error[600];

	if (store_open(loop, node->directory, node->master, &node->store, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(store_add(node->store, "link", keys, count, state, NULL, NULL), 0);
	store_close(node->store);
	node->store = NULL;
}

/** The confirmation was lost with a crash: announcing again heals it, without the device. */
static void test_announced_again(void **state)
{
	struct km_key keys[6];

	for (int i = 0; i < 6; i++)
		random_key(&keys[i]);
	device.limit = 0;
	seed(&alice, keys, 6, STORE_PENDING);
	seed(&bob, keys, 3, STORE_READY); /* bob has the first three already */
	keys[3].value[0] ^= 1;
	seed(&bob, &keys[3], 1, STORE_READY); /* the fourth with other bytes */
	seed(&bob, &keys[4], 1, STORE_READY); /* the fifth was used */
	node_start(&bob);
	{
		struct taken used;

		assert_int_equal(take_id(0, &keys[4].id, &used), 0);
	}
	node_start(&alice);
	run_until(ready(&alice, 3) && status_of(&alice).discarded == 3);
	assert_int_equal(device.dec_calls, 1); /* for the sixth, which is unknown */
	assert_int_equal(take(), 0);
	assert_memory_equal(&taken.key.id, &keys[0].id, sizeof(keys[0].id));
}

/** PENDING keys whose values were changed on disk do not take the place of new ones. */
static void test_damaged_pending(void **state)
{
	char path[PATH_BYTES + 16];
	struct km_key keys[20];
	sqlite3 *db;

	for (int i = 0; i < 20; i++)
		random_key(&keys[i]);
	seed(&alice, keys, 20, STORE_PENDING);
	snprintf(path, sizeof(path), "%s/keys.db", alice.directory);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE keys SET sealed = x'00'", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	start_both();
	run_until(ready(&alice, 20) && ready(&bob, 20));
	assert_int_equal(status_of(&alice).discarded, 20);
}

static void test_restart(void **state)
{
	start_both();
	for (int round = 0; round < 4; round++) {
		struct node *victim = round % 2 ? &alice : &bob;

		run_until(ready(&alice, 20) && ready(&bob, 20));
		take_both();
		node_stop(victim);
		run_until(
			!kx_peer_up(kx_find((victim == &alice ? &bob : &alice)->kx, victim->name)));
		node_start(victim);
		run_until(kx_peer_up(kx_find(alice.kx, "bob")));
		take_both();
	}
	run_until(ready(&alice, 20) && ready(&bob, 20));
	assert_int_equal(status_of(&alice).used, 8);
	/* A key that bob's device gave as bob ended is lost. What is left, both have. */
	for (int i = 0; i < 20; i++)
		take_both();
}

/** Without its store the peer has none of the keys: they go in one go, at either end. */
static void store_lost_at(struct node *victim, struct node *other)
{
	char path[PATH_BYTES + 16];

	start_both();
	run_until(ready(&alice, 20) && ready(&bob, 20));
	take_both();
	run_until(ready(&alice, 20) && ready(&bob, 20));
	node_stop(victim);
	/* The other daemon starts anew too: it knows all the same. */
	node_stop(other);
	snprintf(path, sizeof(path), "%s/keys.db", victim->directory);
	assert_int_equal(unlink(path), 0);
	start_both();
	run_until(status_of(other).discarded == 20 && ready(&alice, 20) && ready(&bob, 20));
	assert_int_equal(status_of(&alice).discarded + status_of(&bob).discarded, 20);
	assert_string_equal(status_of(&alice).problem, "");
	/* Each key is at both ends. */
	assert_int_equal(take(), 0);
	for (int i = 0; i < 19; i++) {
		struct taken there, here = taken;

		assert_int_equal(take_id(here.epoch + 1000, &here.key.id, &there), 0);
		assert_memory_equal(there.key.value, here.key.value, sizeof(here.key.value));
		assert_int_equal(take(), 0);
	}
}

static void test_peer_lost_its_store(void **state)
{
	store_lost_at(&bob, &alice);
}

static void test_initiator_lost_its_store(void **state)
{
	store_lost_at(&alice, &bob);
}

static void test_on_ready(void **state)
{
	int calls;

	device.limit = 2;
	start_both();
	run_until(ready(&alice, 2) && ready(&bob, 2));
	assert_true(alice.ready_calls > 0);
	assert_true(bob.ready_calls > 0);
	take_both();
	take_both();
	assert_int_equal(take(), -ENOKEY);
	assert_true(taken.err == -ENOKEY && taken.calls == 1);
	calls = alice.ready_calls;
	device.limit = 3;
	run_until(alice.ready_calls > calls);
	take_both();
}

/** Whoever waits for a key hears of it, whatever ends first. */
static void test_end_answers(void **state)
{
	struct taken waiting[50] = {0};

	start_both();
	run_until(ready(&alice, 20));
	for (int i = 0; i < 50; i++)
		assert_int_equal(pool_take(alice.pool, "ch", 0, on_key, &waiting[i]), 0);
	node_stop(&alice);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(waiting[i].calls, 1);
		assert_int_equal(waiting[i].err, i < 20 ? 0 : -ENOKEY);
	}
	node_start(&alice);
	run_until(ready(&alice, 20));
}

static void test_create_errors(void **state)
{
	char error[600];
	struct pool *pool;
	struct source *source;

	start_both();
	assert_int_equal(pool_create(loop, &alice.link, alice.store, alice.kx, alice.source, &pool),
			 -EBUSY);
	alice.link.peer = (char *)"carol";
	assert_int_equal(pool_create(loop, &alice.link, alice.store, alice.kx, alice.source, &pool),
			 -ENOENT);
	alice.link.source.url = (char *)"http://x";
	assert_int_equal(source_create(loop, &alice.link, &source, error, sizeof(error)), -EINVAL);
	assert_string_equal(error,
			    "link link: source: url \"http://x\" does not begin with https://");
	alice.link.source.url = alice.url;
	free(alice.link.source.tls.key);
	alice.link.source.tls.key = strdup("/nonexistent.key");
	assert_true(source_create(loop, &alice.link, &source, error, sizeof(error)) < 0);
	assert_non_null(strstr(error, "/nonexistent.key"));
}

#define pool_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int make_certificates(void **state)
{
	log_set_level(LOG_LEVEL_ERR);
	pki_set_up();
	pki_issue("alice", "alice", "ca", -60, 3600);
	pki_issue("bob", "bob", "ca", -60, 3600);
	pki_issue("device", "device", "ca", -60, 3600);
	return 0;
}

static int remove_certificates(void **state)
{
	pki_tear_down();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pool_test(test_fill_and_take),
		pool_test(test_roles),
		pool_test(test_both_initiators),
		pool_test(test_simulated),
		pool_test(test_all_or_none),
		pool_test(test_mismatch),
		pool_test(test_unknown_to_peer),
		pool_test(test_peer_device_away),
		pool_test(test_peer_device_denies),
		pool_test(test_source_errors),
		pool_test(test_announced_again),
		pool_test(test_restart),
		pool_test(test_on_ready),
		pool_test(test_end_answers),
		pool_test(test_create_errors),
		pool_test(test_all_unknown_to_peer),
		pool_test(test_all_mismatch),
		pool_test(test_refused_until_peer_restarts),
		pool_test(test_damaged_pending),
		pool_test(test_peer_lost_its_store),
		pool_test(test_initiator_lost_its_store),
	};

	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
