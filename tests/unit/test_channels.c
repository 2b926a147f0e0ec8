// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The channels of a node, on a real loop, between a fake store, kernel, pool
 * and KM link: attaching, replacing, adding, deleting, strange peers. What is
 * done is written down in order:
 *
 *   row NAME     the store was asked for it      policy+ / policy-   installed, removed
 *   fence        its traffic is blocked          tidy                what it had before goes
 *   spec+ / spec-  kept in the store, cleared    add ID@NEXT, delete ID, list ID
 *   gone NAME    said to the peer                state NAME
 */
#include "unp/backend_ops.h"
#include "unp/channels.h"
#include "unp/digest.h"
#include "unp/macsec_device.h"
#include "unp/policy.h"
#include "unp/policy_keeper.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kx {
	const struct kx_handler *handler;
};
struct kx_peer {
	const char *name;
};
struct store {
	int unused;
};
struct pool {
	void (*ready)(void *arg);
	void *arg;
};

static struct loop *loop;
static struct kx kx;
static struct kx_peer peers[2] = {{"b"}, {"c"}};
static struct store store;
static struct pool pool;
static struct channels *channels;
static char did[4096];
static int policy_error;
static bool device_absent;
static int remove_error;
static int delete_status;
static int spec_error;
static bool store_is_silent;
static int add_status;
static uint64_t row_next;
static const char *stored_spec;
static struct qkd_channel standing[4]; /* what the kernel has */
static size_t standing_count;
static struct backend_events events;
static struct qkd_epoch epochs[2]; /* of every channel */
static size_t epochs_count;
static int open_error;
static int list_error; /* as when HELLO fails */
static unsigned int opened;
static char last_event[64];
static struct qkd_counters counters;
static uint64_t features;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
	size_t len = strlen(did);
	va_list args;

	va_start(args, format);
	vsnprintf(did + len, sizeof(did) - len, format, args);
	va_end(args);
	len = strlen(did);
	snprintf(did + len, sizeof(did) - len, "; ");
}

/* -------- answers come later, in order -------- */

struct later {
	void (*fire)(struct later *later);
	void *done;
	void *arg;
	int err;
	uint32_t cmd;
	char name[QKD_NAME_BYTES];
	union {
		struct qkd_channel channel;
		uint8_t octets[256];
	} record;
};

static void fire_later(void *arg)
{
	struct later *later = arg;

	later->fire(later);
	free(later);
}

static int do_later(const struct later *later)
{
	struct later *copy = malloc(sizeof(*copy));

	assert_non_null(copy);
	*copy = *later;
	return loop_post(loop, fire_later, copy);
}

/* -------- the store -------- */

/* Keys whose ID begins with 5 are simulated. */
static void answer_found(struct later *later)
{
	struct store_found found[2] = {0};
	size_t i;

	for (i = 0; i < epochs_count; i++) {
		found[i].state = STORE_USED;
		found[i].key.simulated = later->record.octets[i] == 5;
	}
	((store_found_fn)later->done)(later->arg, 0, found, epochs_count);
}

int store_find(struct store *s, const char *link, const struct km_key_id *ids, size_t count,
	       store_found_fn done, void *arg)
{
	struct later later = {.fire = answer_found, .done = (void *)done, .arg = arg};
	size_t i;

	assert_int_equal(count, epochs_count);
	for (i = 0; i < count; i++)
		later.record.octets[i] = ids[i].octet[0];
	return do_later(&later);
}

static void answer_row(struct later *later)
{
	struct store_channel row = {.id = strcmp(later->name, "lab") ? 3 : 4};
	store_channels_fn done = (store_channels_fn)later->done;

	row.next_epoch = row_next;
	memcpy(row.name, later->name, sizeof(row.name));
	done(later->arg, 0, &row, 1);
}

int store_channel(struct store *s, const char *name, store_channels_fn done, void *arg)
{
	struct later later = {.fire = answer_row, .done = (void *)done, .arg = arg};

	note("row %s", name);
	if (store_is_silent)
		return -EIO;
	snprintf(later.name, sizeof(later.name), "%s", name);
	return do_later(&later);
}

static void answer_specs(struct later *later)
{
	struct store_channel row = {.id = 3, .name = "office", .spec = stored_spec};
	store_channels_fn done = (store_channels_fn)later->done;

	done(later->arg, 0, &row, stored_spec ? 1 : 0);
}

int store_channel_specs(struct store *s, store_channels_fn done, void *arg)
{
	struct later later = {.fire = answer_specs, .done = (void *)done, .arg = arg};

	return do_later(&later);
}

static void answer_done(struct later *later)
{
	((store_done_fn)later->done)(later->arg, later->err);
}

int store_channel_set_spec(struct store *s, const char *name, const char *spec, store_done_fn done,
			   void *arg)
{
	struct later later = {
		.fire = answer_done, .done = (void *)done, .arg = arg, .err = spec_error};

	note(spec ? "spec+" : "spec-");
	return do_later(&later);
}

/* -------- the kernel -------- */

static void answer_command(struct later *later)
{
	if (later->cmd == QKD_CMD_CHANNEL_ADD)
		later->record.channel.status = add_status;
	else if (later->cmd == QKD_CMD_CHANNEL_DELETE)
		later->record.channel.status = delete_status;
	else if (later->cmd == QKD_CMD_COUNTERS)
		memcpy(later->record.octets, &counters, sizeof(counters));
	if (later->done)
		((backend_done_fn)later->done)(later->arg, later->err, later->record.octets);
}

static void take_down(uint32_t id)
{
	size_t i;

	for (i = 0; i < standing_count; i++)
		if (standing[i].id == id)
			standing[i--] = standing[--standing_count];
}

static int fake_submit(struct backend *backend, uint32_t cmd, const void *record,
		       backend_done_fn done, void *arg)
{
	struct later later = {.fire = answer_command, .done = (void *)done, .arg = arg, .cmd = cmd};
	const struct qkd_channel *channel = record;

	assert_true(backend_record_size(cmd) <= sizeof(later.record));
	memcpy(&later.record, record, backend_record_size(cmd));
	if (cmd == QKD_CMD_CHANNEL_ADD)
		note("add %u@%llu", channel->id, (unsigned long long)channel->first_epoch);
	else if (cmd == QKD_CMD_CHANNEL_DELETE)
		note("delete %u", channel->id);
	if (cmd == QKD_CMD_CHANNEL_DELETE && !delete_status)
		take_down(channel->id);
	if (cmd == QKD_CMD_CHANNEL_ADD && !add_status) {
		assert_true(standing_count < 4);
		standing[standing_count++] = *channel;
	}
	return do_later(&later);
}

static void answer_channels(struct later *later)
{
	((backend_list_fn)later->done)(later->arg, later->err, standing, standing_count);
}

static int fake_list_channels(struct backend *backend, backend_list_fn done, void *arg)
{
	struct later later = {
		.fire = answer_channels, .done = (void *)done, .arg = arg, .err = list_error};

	return do_later(&later);
}

static void answer_epochs(struct later *later)
{
	((backend_list_fn)later->done)(later->arg, 0, epochs, epochs_count);
}

static int fake_list_epochs(struct backend *backend, uint32_t channel, backend_list_fn done,
			    void *arg)
{
	struct later later = {.fire = answer_epochs, .done = (void *)done, .arg = arg};

	note("list %u", channel);
	return do_later(&later);
}

static void fake_close(struct backend *backend)
{
	free(backend);
}

static const struct backend_ops fake_ops = {
	.name = "fake",
	.close = fake_close,
	.submit = fake_submit,
	.list_channels = fake_list_channels,
	.list_epochs = fake_list_epochs,
};

static int open_fake(const struct backend_ops *ops, const struct backend_events *e,
		     struct backend **backend, char *error, size_t error_len)
{
	struct backend *fake;

	opened++;
	if (open_error) {
		snprintf(error, error_len, "there is no device");
		return open_error;
	}
	fake = calloc(1, sizeof(*fake));
	assert_non_null(fake);
	fake->ops = ops;
	fake->hello.features = features;
	fake->hello.max_lookahead = 64;
	fake->hello.max_lookahead_macsec = 2;
	events = *e;
	*backend = fake;
	return 0;
}

int backend_open_device(struct loop *l, const struct backend_events *e, struct backend **backend,
			char *error, size_t error_len)
{
	if (device_absent)
		return -ENOENT;
	return open_fake(&fake_ops, e, backend, error, error_len);
}

int backend_open_netlink(struct loop *l, const struct backend_events *e, struct backend **backend,
			 char *error, size_t error_len)
{
	static struct backend_ops netlink_ops;

	netlink_ops = fake_ops;
	netlink_ops.name = "netlink";
	return open_fake(&netlink_ops, e, backend, error, error_len);
}

int policy_fence(const struct config *c, const struct config_channel *channel, char *error,
		 size_t error_len)
{
	note("fence");
	return 0;
}

int policy_install(const struct config *c, const struct config_channel *channel, uint32_t reqid,
		   char *error, size_t error_len)
{
	assert_int_equal(reqid, strcmp(channel->name, "lab") ? 0x51000003 : 0x51000004);
	if (policy_error)
		snprintf(error, error_len, "somebody else's policy");
	note("policy+");
	return policy_error;
}

int policy_tidy(uint32_t reqid, char *error, size_t error_len)
{
	assert_in_range(reqid, 0x51000003, 0x51000004);
	note("tidy");
	return 0;
}

int policy_remove(const char *channel, uint32_t reqid, char *error, size_t error_len)
{
	assert_int_equal(reqid, 0x51000003);
	note("policy-");
	if (remove_error)
		snprintf(error, error_len, "it is nailed down");
	return remove_error;
}

int policy_remove_reqid(uint32_t reqid, char *error, size_t error_len)
{
	note("policy- 0x%x", reqid);
	return remove_error;
}

static bool strays_go;

struct policy_keeper *policy_keeper_create(struct loop *l)
{
	strays_go = false;
	return calloc(1, 1);
}

void policy_keeper_destroy(struct policy_keeper *keeper)
{
	free(keeper);
}

void policy_keeper_all_known(struct policy_keeper *keeper)
{
	strays_go = true;
}

/* -------- KM link and pool -------- */

int kx_add_handler(struct kx *k, const struct kx_handler *handler)
{
	k->handler = handler;
	return 0;
}

struct kx_peer *kx_find(struct kx *k, const char *name)
{
	return !strcmp(name, "b") ? &peers[0] : NULL;
}

const char *kx_peer_name(const struct kx_peer *peer)
{
	return peer->name;
}

bool kx_peer_up(const struct kx_peer *peer)
{
	return true;
}

int kx_send(struct kx_peer *peer, const struct kx_frame *frame)
{
	if (frame->type == KX_CHANNEL_GONE)
		note("gone %s to %s", frame->gone.channel, peer->name);
	else if (frame->type == KX_CHANNEL_STATE)
		note("state %s", frame->state.channel);
	else if (frame->type == KX_EPOCH_ANSWER)
		note("answer %u", frame->answer.status);
	return 0;
}

int kx_session_secret(struct kx_peer *peer, const void *context, size_t len, uint8_t secret[32])
{
	return -ENOTCONN;
}

int pool_take(struct pool *p, const char *channel, uint64_t min_epoch, pool_key_fn done, void *arg)
{
	return -EAGAIN;
}

int pool_take_id(struct pool *p, const char *channel, uint64_t epoch, const struct km_key_id *id,
		 pool_key_fn done, void *arg)
{
	return -EAGAIN;
}

int pool_on_ready(struct pool *p, void (*changed)(void *arg), void *arg)
{
	p->ready = changed;
	p->arg = arg;
	return 0;
}

void pool_status(const struct pool *p, struct pool_status *status)
{
	memset(status, 0, sizeof(*status));
}

static struct pool *pool_of(void *arg, const char *link)
{
	return !strcmp(link, "x") ? &pool : NULL;
}

static void on_event(const struct channel_event *event, void *arg)
{
	snprintf(last_event, sizeof(last_event), "%s %s", event->channel, event->type);
}

/* -------- the node -------- */

static struct config_esp esp;
static struct config_channel office;
static struct config_link links[1];
static struct config_peer config_peers[1];
static struct config config;

static void configure(void)
{
	static char *local[] = {"10.1.0.0/24"}, *remote[] = {"10.2.0.0/24"};

	config_peers[0] = (struct config_peer){.name = "b", .address = "192.0.2.2", .port = 7443};
	links[0] = (struct config_link){.name = "x", .peer = "b", .role = CONFIG_RESPONDER};
	esp = (struct config_esp){
		.local = "192.0.2.1",
		.remote = "192.0.2.2",
		.local_nets = local,
		.local_nets_count = 1,
		.remote_nets = remote,
		.remote_nets_count = 1,
		.esn = true,
		.replay_window = 128,
	};
	office = (struct config_channel){
		.name = "office",
		.link = "x",
		.kind = QKD_KIND_ESP_TUNNEL,
		.cipher = QKD_CIPHER_AES_256_GCM,
		.rollover_ms = 1000,
		.grace_ms = 200,
		.lookahead = 4,
		.on_exhausted = QKD_EXHAUSTED_HOLD,
		.esp = &esp,
	};
	config = (struct config){
		.node = "a",
		.kx = {.port = 7443},
		.peers = config_peers,
		.peers_count = 1,
		.links = links,
		.links_count = 1,
		.channels = &office,
		.channels_count = 1,
	};
}

static void stop(void *arg)
{
	loop_stop(loop, 0);
}

/* Lets all answers that wait for one another come. */
static const char *settle(void)
{
	struct loop_timer timer = {.fire = stop};

	assert_int_equal(loop_timer_set(loop, &timer, 30), 0);
	assert_int_equal(loop_run(loop), 0);
	return did;
}

/* However long it takes. */
static const char *settle_until(bool (*is_so)(void))
{
	while (!is_so())
		settle();
	return settle();
}

static int setup(void **state)
{
	open_error = 0;
	list_error = 0;
	opened = 0;
	did[0] = '\0';
	last_event[0] = '\0';
	device_absent = false;
	config.backend = CONFIG_BACKEND_AUTO;
	policy_error = remove_error = delete_status = spec_error = 0;
	store_is_silent = false;
	add_status = 0;
	memset(epochs, 0, sizeof(epochs));
	memset(&counters, 0, sizeof(counters));
	features = 0;
	epochs_count = 0;
	row_next = 5;
	memset(standing, 0, sizeof(standing));
	stored_spec = NULL;
	standing_count = 0;
	configure();
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(
		channels_create(loop, &config, &kx, &store, pool_of, NULL, on_event, &channels), 0);
	return 0;
}

static int teardown(void **state)
{
	channels_destroy(channels);
	settle(); /* the store answers to the last */
	loop_destroy(loop);
	return 0;
}

static void start(void)
{
	char error[256] = "";

	assert_int_equal(channels_start(channels, error, sizeof(error)), 0);
}

static struct channel_view view(void)
{
	struct channel_view v;

	assert_true(channels_view(channels, "office", &v));
	return v;
}

/* -------- tests -------- */

static void policies_come_before_the_channel(void **state)
{
	struct channel_view v;

	start();
	assert_string_equal(settle(),
			    "fence; row office; policy+; add 3@5; tidy; list 3; state office; ");
	v = view();
	assert_int_equal(v.state, QKD_CHANNEL_IDLE);
	assert_int_equal(v.reqid, 0x51000003);
	assert_true(v.from_file);
	assert_false(v.initiator);
	assert_string_equal(v.last_error, "");
	/* One more than is kept ready: see channel_record.c. */
	assert_int_equal(standing[0].lookahead, 5);
	assert_int_equal(standing[0].flags, QKD_CHANNEL_ESN);
}

static void restart(void)
{
	channels_destroy(channels);
	did[0] = '\0';
	assert_int_equal(
		channels_create(loop, &config, &kx, &store, pool_of, NULL, on_event, &channels), 0);
	start();
}

static void attaches_to_what_stands_unchanged(void **state)
{
	start();
	settle();
	standing[0].state = QKD_CHANNEL_ACTIVE;
	standing[0].first_epoch = 9; /* ahead of the store: the last put is not forgotten */
	restart();
	assert_string_equal(settle(),
			    "fence; row office; policy+; list 3; tidy; list 3; state office; ");
	assert_int_equal(view().state, QKD_CHANNEL_ACTIVE);
}

/* Whatever the link's source says by now: keys keep the mark that they came with. */
static void knows_simulated_keys_of_before(void **state)
{
	start();
	settle();
	assert_false(view().simulated);
	epochs_count = 2;
	epochs[0].epoch = 5;
	epochs[0].in = QKD_SA_ACTIVE;
	epochs[1].epoch = 6;
	epochs[1].in = QKD_SA_READY;
	restart();
	settle();
	assert_false(view().simulated);
	epochs[1].key_id[0] = 5;
	restart();
	settle();
	assert_true(view().simulated);
}

static void replaces_what_was_changed(void **state)
{
	start();
	settle();
	standing[0].first_epoch = 9;
	office.rollover_ms = 2000;
	restart();
	assert_string_equal(
		settle(),
		"fence; row office; policy+; delete 3; add 3@9; tidy; list 3; state office; ");
}

/* A new store numbers anew; what the old one's channel used stays used. */
static void finds_its_channel_under_another_number(void **state)
{
	start();
	settle();
	standing[0].id = 77;
	standing[0].first_epoch = 1000;
	row_next = 0;
	restart();
	assert_string_equal(
		settle(),
		"fence; row office; policy+; delete 77; add 3@1000; tidy; list 3; state office; ");
}

static void leaves_other_channels_alone(void **state)
{
	standing[0].id = 77;
	snprintf(standing[0].name, sizeof(standing[0].name), "lab");
	standing_count = 1;
	start();
	assert_string_equal(settle(),
			    "fence; row office; policy+; add 3@5; tidy; list 3; state office; ");
}

static bool both_stand(void)
{
	struct channel_view v[2];

	return channels_view(channels, "office", &v[0]) && channels_view(channels, "lab", &v[1]) &&
	       v[0].state && v[1].state;
}

/* Each takes down what is its own, and waits for the other. */
static void two_channels_change_their_numbers(void **state)
{
	static char *elsewhere[] = {"10.3.0.0/24"};
	struct config_channel two[2] = {office, office};
	struct config_esp other = esp;

	two[1].name = "lab";
	two[1].esp = &other;
	other.remote_nets = elsewhere;
	config.channels = two;
	config.channels_count = 2;
	standing[0].id = 4;
	standing[0].kind = QKD_KIND_ESP_TUNNEL;
	snprintf(standing[0].name, sizeof(standing[0].name), "office");
	standing[1] = standing[0];
	standing[1].id = 3;
	snprintf(standing[1].name, sizeof(standing[1].name), "lab");
	standing_count = 2;
	start();
	settle_until(both_stand);
	assert_non_null(strstr(did, "delete 4"));
	assert_non_null(strstr(did, "delete 3"));
	assert_null(strstr(strstr(did, "delete 4") + 1, "delete 4"));
	assert_null(strstr(strstr(did, "delete 3") + 1, "delete 3"));
	assert_non_null(strstr(did, "add 3@5"));
	assert_non_null(strstr(did, "add 4@5"));
	assert_true(strstr(did, "add 3@5") > strstr(did, "delete 3"));
	assert_true(strstr(did, "add 4@5") > strstr(did, "delete 4"));
	channels_destroy(channels); /* its configuration is on the stack */
	config.channels_count = 0;
	assert_int_equal(
		channels_create(loop, &config, &kx, &store, pool_of, NULL, on_event, &channels), 0);
}

static int told_err;
static char told_text[256];

static void told(void *arg, int err, const char *text)
{
	assert_int_equal(told_err, 1); /* once */
	told_err = err;
	snprintf(told_text, sizeof(told_text), "%s", text ? text : "");
}

static bool lab_is_known(void)
{
	struct channel_view v;

	return channels_view(channels, "lab", &v);
}

static bool it_stands(void)
{
	return view().state != 0;
}

/* The number of a new store is that of a channel that is not configured any more. */
static void the_number_of_another_channel_is_not_taken(void **state)
{
	standing[0].id = 3;
	standing[0].kind = QKD_KIND_ESP_TUNNEL;
	snprintf(standing[0].name, sizeof(standing[0].name), "lab");
	standing_count = 1;
	start();
	assert_string_equal(settle(), "fence; row office; policy+; ");
	assert_non_null(strstr(view().last_error, "`qkdctl channel delete lab` makes room"));
	settle_until(lab_is_known);
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_delete(channels, "lab", told, NULL), 0);
	settle();
	assert_int_equal(told_err, 0);
	settle_until(it_stands);
	assert_non_null(strstr(did, "delete 3; "));
	assert_non_null(strstr(strstr(did, "delete 3; ") + 1, "add 3@5; "));
}

static void nor_is_it_deleted(void **state)
{
	standing[0].id = 3;
	snprintf(standing[0].name, sizeof(standing[0].name), "lab");
	standing_count = 1;
	start();
	settle();
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_delete(channels, "office", told, NULL), 0);
	assert_string_equal(settle(), "gone office to b; policy-; ");
	assert_int_equal(told_err, 0);
	assert_int_equal(standing_count, 1);
}

static void count_view(const struct channel_view *v, void *arg)
{
	*(unsigned int *)arg += v->orphaned ? 100 : 1;
}

/* It was taken out of the file while the daemon was down. */
static void shows_and_deletes_an_orphan(void **state)
{
	struct channel_view v;
	unsigned int views = 0;

	standing[0].id = 77;
	standing[0].kind = QKD_KIND_ESP_TUNNEL;
	standing[0].state = QKD_CHANNEL_ACTIVE;
	standing[0].reqid = 0x5100004d;
	epochs_count = 1;
	epochs[0].key_id[0] = 5;
	snprintf(standing[0].name, sizeof(standing[0].name), "lab");
	standing_count = 1;
	start();
	settle_until(lab_is_known);
	assert_true(channels_view(channels, "lab", &v));
	assert_true(v.orphaned);
	settle();
	assert_true(channels_view(channels, "lab", &v));
	assert_true(v.simulated);
	assert_int_equal(v.id, 77);
	assert_string_equal(v.config->link, "");
	assert_non_null(strstr(v.last_error, "qkdctl channel delete"));
	channels_visit(channels, count_view, &views);
	assert_int_equal(views, 101);
	/* Nothing was done to it; it can be taken down, SAs first. */
	assert_null(strstr(did, "delete"));
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_delete(channels, "lab", told, NULL), 0);
	assert_string_equal(settle(), "delete 77; policy- 0x5100004d; ");
	assert_int_equal(told_err, 0);
	assert_false(lab_is_known());
	assert_int_equal(channels_delete(channels, "lab", told, NULL), -ENOENT);
	assert_int_equal(view().state, QKD_CHANNEL_IDLE);
}

static void an_orphan_that_cannot_be_deleted_stays_listed(void **state)
{
	struct qkd_event event = {.channel = 77, .type = QKD_EVENT_DELETED};
	struct channel_view v;

	standing[0].id = 77;
	standing[0].kind = QKD_KIND_ESP_TUNNEL;
	standing[0].reqid = 0x5100004d;
	snprintf(standing[0].name, sizeof(standing[0].name), "lab");
	standing_count = 1;
	start();
	settle_until(lab_is_known);
	delete_status = -EIO;
	told_err = 1;
	assert_int_equal(channels_delete(channels, "lab", told, NULL), 0);
	assert_int_equal(channels_delete(channels, "lab", told, NULL), -EBUSY);
	settle();
	assert_int_equal(told_err, -EIO);
	assert_true(channels_view(channels, "lab", &v));
	assert_non_null(strstr(v.last_error, "the kernel did not take its SAs down"));
	/* The event comes before the answer; its policies cannot be removed. */
	delete_status = 0;
	remove_error = -EPERM;
	told_err = 1;
	assert_int_equal(channels_delete(channels, "lab", told, NULL), 0);
	events.event(&event, events.arg);
	settle();
	assert_int_equal(told_err, -EPERM);
	assert_non_null(strstr(told_text, "delete it again"));
	assert_true(lab_is_known());
	/* The backend is lost. */
	events.failed(-EIO, "the device is broken", events.arg);
	told_err = 1;
	assert_int_equal(channels_delete(channels, "lab", told, NULL), 0);
	assert_int_equal(told_err, -ENODEV);
	assert_non_null(strstr(told_text, "its policies stay: the device is broken"));
	remove_error = 0;
}

/* Who had the device before us wrote what it liked. */
static void an_orphan_of_a_stranger(void **state)
{
	struct channel_view v;

	standing[0].id = 78;
	standing[0].kind = QKD_KIND_ESP_TRANSPORT;
	memset(standing[0].name, 0xff, sizeof(standing[0].name));
	standing[1].id = 79;
	standing[1].kind = QKD_KIND_ESP_TRANSPORT;
	snprintf(standing[1].name, sizeof(standing[1].name), "lab");
	standing_count = 2;
	start();
	settle_until(lab_is_known);
	assert_true(channels_view(channels, "???????????????????????????????", &v));
	assert_int_equal(v.id, 78);
	/* Its request ID is none of ours: nobody's policies go. */
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_delete(channels, "lab", told, NULL), 0);
	assert_string_equal(settle(), "delete 79; ");
}

static void without_policies_there_is_no_channel(void **state)
{
	policy_error = -EEXIST;
	start();
	assert_string_equal(settle(), "fence; row office; policy+; ");
	assert_int_equal(view().waits, CHANNEL_WAITS_BACKEND);
	assert_string_equal(view().last_error, "somebody else's policy");
	assert_int_equal(view().state, 0);
}

static void says_why_the_kernel_refuses(void **state)
{
	add_status = -EOPNOTSUPP;
	start();
	assert_string_equal(settle(), "fence; row office; policy+; add 3@5; ");
	assert_int_equal(view().waits, CHANNEL_WAITS_BACKEND);
	assert_non_null(strstr(view().last_error, "has not got the cipher"));
}

static int deliver(struct kx_peer *peer, const struct kx_frame *frame)
{
	did[0] = '\0';
	return kx.handler->frame(peer, frame, kx.handler->arg);
}

static void other_peers_have_no_part_in_it(void **state)
{
	struct kx_frame frame = {.type = KX_EPOCH_OFFER, .offer = {.channel = "office"}};

	start();
	settle();
	assert_int_equal(deliver(&peers[1], &frame), 0);
	assert_string_equal(did, "gone office to c; ");
	/* Ours hears of other parameters. */
	assert_int_equal(deliver(&peers[0], &frame), 0);
	assert_string_equal(did, "answer 4; ");
	snprintf(frame.offer.channel, sizeof(frame.offer.channel), "lab");
	assert_int_equal(deliver(&peers[0], &frame), 0);
	assert_string_equal(did, "gone lab to b; ");
	/* To be told that it is gone needs no answer: two would never end. */
	frame = (struct kx_frame){.type = KX_CHANNEL_GONE, .gone = {.channel = "lab"}};
	assert_int_equal(deliver(&peers[0], &frame), 0);
	assert_string_equal(did, "");
	frame.type = KX_PING;
	assert_int_equal(deliver(&peers[0], &frame), -EPROTO);
}

static void offers_wait_until_the_channel_stands(void **state)
{
	struct kx_frame frame = {.type = KX_EPOCH_OFFER, .offer = {.channel = "office"}};

	policy_error = -EPERM;
	start();
	settle();
	assert_int_equal(deliver(&peers[0], &frame), 0);
	assert_string_equal(did, "answer 6; ");
}

static void deletes(void **state)
{
	start();
	settle();
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_delete(channels, "lab", told, NULL), -ENOENT);
	assert_int_equal(channels_delete(channels, "office", told, NULL), 0);
	/* SAs first: between the two nothing passes. */
	assert_string_equal(settle(), "gone office to b; delete 3; policy-; ");
	assert_int_equal(told_err, 0);
	assert_string_equal(last_event, "office removed");
	assert_int_equal(channels_delete(channels, "office", told, NULL), -ENOENT);
}

#define SPEC                                                                                       \
	"name: office\nlink: x\nkind: esp-tunnel\ncipher: aes-256-gcm\non_exhausted: hold\n"       \
	"esp: {local: 192.0.2.1, remote: 192.0.2.2, local_nets: [10.1.0.0/24], "                   \
	"remote_nets: [10.2.0.0/24]}\n"

static void complain(const char *line, void *arg)
{
	fail_msg("%s", line);
}

static void adds_at_run_time(void **state)
{
	struct config_channel *added = NULL, *again = NULL;

	config.channels_count = 0;
	start();
	settle();
	assert_int_equal(
		config_channel_load(&config, SPEC, strlen(SPEC), "test", complain, NULL, &added),
		0);
	assert_int_equal(
		config_channel_load(&config, SPEC, strlen(SPEC), "test", complain, NULL, &again),
		0);
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_add(channels, added, SPEC, told, NULL), 0);
	assert_int_equal(channels_add(channels, again, SPEC, told, NULL), -EEXIST);
	/* Kept before it is used. */
	assert_string_equal(settle(),
			    "fence; row office; spec+; row office; policy+; add 3@5; tidy; list 3; "
			    "state office; ");
	assert_int_equal(told_err, 0);
	assert_string_equal(told_text, "");
	assert_false(view().from_file);
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_delete(channels, "office", told, NULL), 0);
	assert_string_equal(settle(), "gone office to b; delete 3; policy-; spec-; ");
}

static struct config_channel *load(void)
{
	struct config_channel *added = NULL;

	assert_int_equal(
		config_channel_load(&config, SPEC, strlen(SPEC), "test", complain, NULL, &added),
		0);
	return added;
}

/* The name is free when nothing of the old one is left, not before. */
static void added_while_it_is_deleted(void **state)
{
	start();
	settle();
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_delete(channels, "office", told, NULL), 0);
	assert_int_equal(channels_add(channels, load(), SPEC, told, NULL), -EBUSY);
	assert_int_equal(channels_delete(channels, "office", told, NULL), -EBUSY);
	settle();
	assert_int_equal(told_err, 0);
	told_err = 1;
	standing_count = 0;
	assert_int_equal(channels_add(channels, load(), SPEC, told, NULL), 0);
	assert_string_equal(settle(), "gone office to b; delete 3; policy-; fence; row office; "
				      "spec+; row office; policy+; add 3@5; tidy; list 3; state "
				      "office; ");
	assert_int_equal(told_err, 0);
}

static void delete (int expected)
{
	did[0] = '\0';
	told_err = 1;
	assert_int_equal(channels_delete(channels, "office", told, NULL), 0);
	settle();
	assert_int_equal(told_err, expected);
}

static void what_the_kernel_keeps_stays_listed(void **state)
{
	config.channels_count = 0;
	stored_spec = SPEC;
	start();
	settle();
	delete_status = -EIO;
	delete (-EIO);
	assert_string_equal(did, "gone office to b; delete 3; ");
	assert_non_null(strstr(told_text, "the kernel did not take its SAs down"));
	assert_non_null(strstr(view().last_error, "the kernel did not take its SAs down"));
	delete_status = 0;
	delete (0);
	assert_string_equal(did, "gone office to b; delete 3; policy-; spec-; ");
	assert_int_equal(channels_delete(channels, "office", told, NULL), -ENOENT);
}

static void what_the_store_keeps_stays_listed(void **state)
{
	config.channels_count = 0;
	stored_spec = SPEC;
	start();
	settle();
	spec_error = -ENOSPC;
	delete (-ENOSPC);
	assert_string_equal(did, "gone office to b; delete 3; policy-; spec-; ");
	assert_non_null(strstr(view().last_error, "delete it again"));
	assert_int_equal(view().state, 0);
	spec_error = 0;
	delete_status = -ENOENT; /* its SAs are gone */
	delete (0);
	assert_int_equal(channels_delete(channels, "office", told, NULL), -ENOENT);
}

static void policies_that_stay_are_told(void **state)
{
	start();
	settle();
	remove_error = -EPERM;
	delete (-EPERM);
	assert_non_null(strstr(told_text, "nailed down"));
	/* Now its SAs are known to be gone: the backend is not needed. */
	open_error = -EIO;
	events.failed(-EIO, "the device is broken", events.arg);
	remove_error = 0;
	delete (0);
	assert_string_equal(did, "gone office to b; policy-; ");
}

static void without_a_backend_nothing_is_deleted(void **state)
{
	start();
	settle();
	open_error = -EIO;
	events.failed(-EIO, "the device is broken", events.arg);
	delete (-ENODEV);
	assert_string_equal(did, "");
	assert_non_null(strstr(told_text, "its policies stay: the device is broken; mend that"));
	assert_int_equal(view().waits, CHANNEL_WAITS_BACKEND);
}

static void without_its_number_nothing_is_deleted(void **state)
{
	store_is_silent = true;
	start();
	settle();
	delete (-EAGAIN);
	assert_string_equal(did, "");
	assert_non_null(strstr(told_text, "the key store has to answer first"));
	store_is_silent = false;
}

/* Half made: its number is known, its policies are not all there. */
static void what_is_half_made_is_deleted(void **state)
{
	policy_error = -EEXIST;
	start();
	settle();
	delete (0);
	assert_string_equal(did, "gone office to b; delete 3; policy-; ");
}

static void ends_while_deleting(void **state)
{
	start();
	settle();
	told_err = 1;
	assert_int_equal(channels_delete(channels, "office", told, NULL), 0);
}

static void remembers_what_was_added(void **state)
{
	config.channels_count = 0;
	stored_spec = SPEC;
	start();
	assert_false(strays_go);
	assert_string_equal(settle(),
			    "fence; row office; policy+; add 3@5; tidy; list 3; state office; ");
	assert_false(view().from_file);
	assert_true(strays_go); /* all that channels want is known now */
}

static void rollover_needs_a_channel(void **state)
{
	assert_int_equal(channels_rollover(channels, "office", told, NULL), -ENOENT);
	start();
	told_err = 1;
	assert_int_equal(channels_rollover(channels, "office", told, NULL), -EAGAIN);
	settle();
	assert_int_equal(channels_rollover(channels, "office", told, NULL), 0);
	settle();
	assert_int_equal(told_err, 0);
}

/** What start() writes to the log. */
static void log_of_start(char *text, size_t size)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t len;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	start();
	settle();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	len = read(ends[0], text, size - 1);
	close(ends[0]);
	assert_true(len >= 0);
	text[len] = '\0';
}

static void falling_back_to_netlink_is_warned_of(void **state)
{
	char text[2048];

	device_absent = true;
	log_of_start(text, sizeof(text));
	assert_non_null(strstr(text, "warning: /dev/qkd is not there, so SAs are installed by "
				     "netlink: whoever may dump them"));
	assert_string_equal(backend_name(channels_backend(channels)), "netlink");
}

static void netlink_that_was_asked_for_is_not(void **state)
{
	char text[2048];

	device_absent = true;
	channels_destroy(channels);
	config.backend = CONFIG_BACKEND_NETLINK;
	assert_int_equal(
		channels_create(loop, &config, &kx, &store, pool_of, NULL, on_event, &channels), 0);
	log_of_start(text, sizeof(text));
	assert_null(strstr(text, "warning"));
	assert_non_null(strstr(text, "SAs are installed by netlink"));
}

static void a_lost_backend_is_shown(void **state)
{
	start();
	settle();
	events.failed(-EIO, "the device is broken", events.arg);
	assert_int_equal(view().waits, CHANNEL_WAITS_BACKEND);
	assert_string_equal(view().last_error, "the device is broken");
	assert_int_equal(channels_rollover(channels, "office", told, NULL), -EAGAIN);
}

static void a_lost_backend_is_opened_again(void **state)
{
	start();
	settle();
	did[0] = '\0';
	standing[0].state = QKD_CHANNEL_ACTIVE;
	row_next = 8; /* what was used meanwhile stays used */
	open_error = -EIO;
	events.failed(-EIO, "the device is broken", events.arg);
	assert_null(channels_backend(channels));
	while (opened < 3)
		settle();
	assert_string_equal(view().last_error, "there is no device");
	assert_string_equal(did, ""); /* each channel is left in peace */
	open_error = 0;
	assert_string_equal(settle_until(it_stands),
			    "row office; policy+; list 3; tidy; list 3; state office; ");
	assert_string_equal(view().last_error, "");
	assert_non_null(channels_backend(channels));
}

/* The policies do not wait: nothing passes in the clear. */
static void the_module_may_come_later(void **state)
{
	char error[256] = "";

	open_error = -ENOENT;
	config.backend = CONFIG_BACKEND_NETLINK;
	assert_int_equal(channels_start(channels, error, sizeof(error)), -ENOENT);
	teardown(state);
	setup(state);
	open_error = -ENOENT;
	config.backend = CONFIG_BACKEND_MODULE;
	channels_destroy(channels);
	assert_int_equal(
		channels_create(loop, &config, &kx, &store, pool_of, NULL, on_event, &channels), 0);
	start();
	assert_string_equal(settle(), "fence; row office; policy+; ");
	assert_int_equal(view().waits, CHANNEL_WAITS_BACKEND);
	assert_string_equal(view().last_error, "there is no device");
	open_error = 0;
	assert_string_equal(settle_until(it_stands),
			    "fence; row office; policy+; add 3@5; tidy; list 3; state office; ");
}

static void a_backend_that_does_not_answer_is_opened_again(void **state)
{
	list_error = -EPROTO;
	start();
	assert_string_equal(settle(), "fence; row office; policy+; ");
	assert_non_null(strstr(view().last_error, "cannot be listed"));
	list_error = 0;
	assert_string_equal(settle_until(it_stands),
			    "fence; row office; policy+; add 3@5; tidy; list 3; state office; ");
	assert_int_equal(opened, 2);
}

/* As while the kernel's XFRM is being loaded. */
static bool policy_was_refused(void)
{
	return strstr(did, "policy+; row office; policy+; row office; ") != NULL;
}

static void policies_are_tried_again_soon(void **state)
{
	policy_error = -EAGAIN;
	start();
	settle_until(policy_was_refused);
	assert_null(strstr(did, "add"));
	policy_error = 0;
	settle_until(it_stands);
	assert_non_null(strstr(did, "policy+; add 3@5; "));
}

static void events_follow_the_state(void **state)
{
	struct qkd_event event = {.channel = 3, .type = QKD_EVENT_ACTIVATED, .epoch = 6};

	start();
	settle();
	events.event(&event, events.arg);
	assert_string_equal(last_event, "office activated");
	assert_int_equal(view().state, QKD_CHANNEL_ACTIVE);
	event.type = QKD_EVENT_EXHAUSTED;
	events.event(&event, events.arg);
	assert_int_equal(view().state, QKD_CHANNEL_OVERDUE);
	event.type = QKD_EVENT_BLOCKED;
	events.event(&event, events.arg);
	assert_int_equal(view().state, QKD_CHANNEL_BLOCKED);
	/* Of a channel that is not ours, or of a type that is not known yet. */
	event.channel = 4;
	events.event(&event, events.arg);
	event.channel = 3;
	event.type = 99;
	events.event(&event, events.arg);
	/* Some were lost: all is read anew. */
	did[0] = '\0';
	event.lost = 2;
	events.event(&event, events.arg);
	settle();
	assert_non_null(strstr(did, "list 3; "));
}

/* Events that were lost have said what: the state, the counters and the epochs are asked for. */
static void lost_events_are_made_good(void **state)
{
	struct qkd_event event = {.channel = 9, .type = QKD_EVENT_RETIRED, .lost = 2};

	start();
	settle();
	assert_int_equal(view().events_lost, 0);
	assert_int_equal(view().state, QKD_CHANNEL_IDLE);
	did[0] = '\0';
	standing[0].state = QKD_CHANNEL_BLOCKED;
	counters.rollovers = 77;
	events.event(&event, events.arg);
	assert_non_null(strstr(settle(), "list 3; state office; "));
	assert_int_equal(view().state, QKD_CHANNEL_BLOCKED);
	assert_int_equal(view().counters->rollovers, 77);
	assert_int_equal(view().events_lost, 2);
	/* More are lost while the list is under way: the last word counts. */
	events.event(&event, events.arg);
	events.event(&event, events.arg);
	standing[0].state = QKD_CHANNEL_ACTIVE;
	settle();
	assert_int_equal(view().state, QKD_CHANNEL_ACTIVE);
	assert_int_equal(view().events_lost, 6);
}

static uint64_t lost_so_far;

static bool more_were_lost(void)
{
	return view().events_lost > lost_so_far;
}

/* No event follows that would say it: the counters do. */
static void lost_events_are_counted_too(void **state)
{
	struct qkd_event event = {.channel = 9, .type = QKD_EVENT_RETIRED, .lost = 2};

	counters.events_lost = 100; /* before this daemon: it has read all anew since */
	lost_so_far = 0;
	start();
	settle_until(more_were_lost);
	assert_int_equal(view().events_lost, 100);
	did[0] = '\0';
	counters.events_lost = 102;
	events.event(&event, events.arg);
	assert_non_null(strstr(settle(), "list 3; state office; "));
	assert_int_equal(view().events_lost, 102);
	/* That was all of them. */
	did[0] = '\0';
	lost_so_far = view().events_lost;
	standing[0].state = QKD_CHANNEL_OVERDUE;
	counters.events_lost = 105;
	settle_until(more_were_lost);
	assert_non_null(strstr(settle(), "list 3; state office; "));
	assert_int_equal(view().state, QKD_CHANNEL_OVERDUE);
	assert_int_equal(view().events_lost, 105);
}

static void limits_need_a_new_module(void **state)
{
	office.soft_packets = 1000;
	start();
	assert_string_equal(settle(), "fence; row office; policy+; ");
	assert_non_null(strstr(view().last_error, "has not got jitter_ms, soft_bytes"));
	assert_non_null(strstr(view().last_error, "or remove these fields"));
	features = QKD_FEATURE_LIMITS;
	office.jitter_ms = 100;
	office.soft_bytes = 1 << 20;
	office.hard_bytes = 1 << 21;
	office.hard_packets = 2000;
	restart();
	assert_non_null(strstr(settle(), "add 3@5; "));
	assert_int_equal(standing[0].soft_packets, 1000);
	assert_int_equal(standing[0].soft_bytes, 1 << 20);
	assert_int_equal(standing[0].hard_bytes, 1 << 21);
	assert_int_equal(standing[0].hard_packets, 2000);
	assert_int_equal(standing[0].jitter_ms, 100);
	/* Any of them changed: it is replaced. */
	office.hard_packets = 2001;
	restart();
	assert_non_null(strstr(settle(), "delete 3; add 3@5; "));
}

static void a_long_lookahead_needs_a_new_module(void **state)
{
	office.lookahead = 65; /* the fake one has 64 */
	start();
	assert_string_equal(settle(), "fence; row office; policy+; ");
	assert_non_null(strstr(view().last_error, "looks ahead 64 epochs at most"));
}

/* Whatever waits for an answer when the daemon ends is let go. */
static void ends_in_the_middle(void **state)
{
	start();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* What the first digest of a process takes is not to be part of a test. */
static int warm_up(void **state)
{
	uint8_t address[2][QKD_ADDR_BYTES] = {{1}, {2}}, key[16];

	return digest_spi_key("office", address[0], address[1], key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(policies_come_before_the_channel),
		TEST(attaches_to_what_stands_unchanged),
		TEST(knows_simulated_keys_of_before),
		TEST(replaces_what_was_changed),
		TEST(finds_its_channel_under_another_number),
		TEST(leaves_other_channels_alone),
		TEST(the_number_of_another_channel_is_not_taken),
		TEST(nor_is_it_deleted),
		TEST(two_channels_change_their_numbers),
		TEST(shows_and_deletes_an_orphan),
		TEST(an_orphan_that_cannot_be_deleted_stays_listed),
		TEST(an_orphan_of_a_stranger),
		TEST(without_policies_there_is_no_channel),
		TEST(says_why_the_kernel_refuses),
		TEST(other_peers_have_no_part_in_it),
		TEST(offers_wait_until_the_channel_stands),
		TEST(deletes),
		TEST(adds_at_run_time),
		TEST(added_while_it_is_deleted),
		TEST(what_the_kernel_keeps_stays_listed),
		TEST(what_the_store_keeps_stays_listed),
		TEST(policies_that_stay_are_told),
		TEST(without_a_backend_nothing_is_deleted),
		TEST(without_its_number_nothing_is_deleted),
		TEST(what_is_half_made_is_deleted),
		TEST(ends_while_deleting),
		TEST(remembers_what_was_added),
		TEST(rollover_needs_a_channel),
		TEST(falling_back_to_netlink_is_warned_of),
		TEST(netlink_that_was_asked_for_is_not),
		TEST(a_lost_backend_is_shown),
		TEST(a_lost_backend_is_opened_again),
		TEST(the_module_may_come_later),
		TEST(a_backend_that_does_not_answer_is_opened_again),
		TEST(policies_are_tried_again_soon),
		TEST(events_follow_the_state),
		TEST(lost_events_are_made_good),
		TEST(lost_events_are_counted_too),
		TEST(limits_need_a_new_module),
		TEST(a_long_lookahead_needs_a_new_module),
		TEST(ends_in_the_middle),
	};

	return cmocka_run_group_tests(tests, warm_up, NULL);
}
