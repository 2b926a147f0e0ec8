// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qkdfail tunnel|transport|macsec DEVICE
 *
 * Each command: first its allocations are counted, then it is given over and over with
 * the first, the second, the third, ... of them refused, until none is left to refuse.
 * The status must be a documented one each time, nothing may be left, no epoch comes
 * back, and the command succeeds when it is given again. Prints TAP; needs a network
 * namespace of its own, and a kernel with fail-nth (tests/vm/debug/failnth.sh).
 *
 * A command begins in a worker of the ring, one of MACsec goes on in a worker of the
 * kernel, and so does what it leaves behind. The two are refused memory in turns: if
 * both were at once, the second would never come to its first allocations.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>

#include "qkdarm.h"
#include "qkdclient.h"

#define CHANNEL	 7
#define LONG_MS	 3600000
#define SOON_MS	 1000 /* not before it is armed */
#define AFTER_MS 100  /* what a command leaves to the kernel workers */
#define MOST	 3000 /* allocations of one command: it never ends */
#define TRIES	 3    /* runs for one that another task may make, or none at all */

static int tests, failed;
static struct client client;
static struct qkd_channel config;
static bool macsec;
static const char *device;
static uint64_t epoch; /* the next that was never used */

static void result(bool good, const char *name)
{
	tests++;
	failed += !good;
	printf("%s %d - %s %s\n", good ? "ok" : "not ok", tests,
	       config.kind == QKD_KIND_ESP_TUNNEL ? "tunnel"
	       : macsec				  ? "macsec"
						  : "transport",
	       name);
}

/* --- commands ------------------------------------------------------------------- */

static int add(void)
{
	struct qkd_channel r = config;

	r.first_epoch = epoch;
	return client_one(&client, QKD_CMD_CHANNEL_ADD, &r);
}

static int delete (void)
{
	struct qkd_channel r = {.id = CHANNEL};

	return client_one(&client, QKD_CMD_CHANNEL_DELETE, &r);
}

/* -EBADMSG, which is no status: the slot was not wiped. */
static int put(void)
{
	struct qkd_key key = client_key(CHANNEL, config.cipher, epoch, 1);
	struct qkd_key empty = {.channel = CHANNEL, .epoch = epoch};
	int status = client_one(&client, QKD_CMD_KEY_PUT, &key);

	empty.status = status;
	return memcmp(client.buf, &empty, sizeof(empty)) ? -EBADMSG : status;
}

static int watermark(void)
{
	struct qkd_watermark r = {.channel = CHANNEL, .last = epoch, .peer_out = QKD_EPOCH_NONE};

	return client_one(&client, QKD_CMD_WATERMARK, &r);
}

static int rollover(void)
{
	struct qkd_rollover r = {.channel = CHANNEL};

	return client_one(&client, QKD_CMD_ROLLOVER, &r);
}

static int retire(void)
{
	struct qkd_retire r = {.channel = CHANNEL, .epoch = epoch};

	return client_one(&client, QKD_CMD_RETIRE, &r);
}

static int counters(void)
{
	struct qkd_counters r = {.channel = CHANNEL};

	return client_one(&client, QKD_CMD_COUNTERS, &r);
}

static uint64_t out_epoch(void)
{
	struct qkd_counters r = {.channel = CHANNEL};

	return client_one(&client, QKD_CMD_COUNTERS, &r) ? 0 : r.out_epoch;
}

/* Return: records, or what the command says. */
static int list(void)
{
	memset(client.buf, 0, sizeof(struct qkd_channel));
	return client_command(&client, QKD_CMD_CHANNEL_LIST, 4);
}

static int epochs(void)
{
	struct qkd_epoch *r = (struct qkd_epoch *)client.buf;
	int n;

	*r = (struct qkd_epoch){.channel = CHANNEL};
	n = client_command(&client, QKD_CMD_EPOCH_LIST, 16);
	return n ? n : r->status;
}

static int hello(void)
{
	struct qkd_hello r = {.abi = QKD_ABI_VERSION,
			      .features = macsec ? QKD_FEATURE_MACSEC : QKD_FEATURE_ESP};

	return client_one(&client, QKD_CMD_HELLO, &r);
}

static int open_it(void)
{
	int fd = open("/dev/qkd", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int read_it(void)
{
	struct qkd_event e[4];

	return read(client.fd, e, sizeof(e)) < 0 ? -errno : 0;
}

static void forget_events(void)
{
	struct pollfd p = {.fd = client.fd, .events = POLLIN};

	while (poll(&p, 1, 0) > 0 && !read_it())
		;
}

/* Until the epoch goes into use, or does not. */
static int pass_time(void)
{
	struct pollfd p = {.fd = client.fd, .events = POLLIN};
	struct qkd_event e;

	while (poll(&p, 1, 60000) > 0) {
		if (read(client.fd, &e, sizeof(e)) != sizeof(e))
			return -errno;
		if (e.epoch == epoch &&
		    (e.type == QKD_EVENT_ACTIVATED || e.type == QKD_EVENT_FAILED))
			return 0;
	}
	return -ETIMEDOUT;
}

/* --- the scenes ------------------------------------------------------------------ */

static bool must(const char *what, int status)
{
	if (!status)
		return true;
	printf("# %s: %s\n", what, strerror(-status));
	return false;
}

static bool fresh(void)
{
	return must("ADD", add());
}

static bool with_key(void)
{
	return fresh() && must("KEY_PUT", put());
}

/* The kernel takes all transforms that wait for use; more are built when one is asked for. */
static bool no_spares(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	bool good = fresh();

	usleep(AFTER_MS * 1000);	      /* those that were ordered for the channel */
	if (fd < 0 || write(fd, "2", 1) != 1) /* what slabs can give back */
		client_die("drop_caches", errno);
	close(fd);
	usleep(AFTER_MS * 1000);
	return good;
}

static bool in_use(void)
{
	return with_key() && must("WATERMARK", watermark());
}

/* One in use, one behind it that the peer has as well. */
static bool two_keys(void)
{
	if (!in_use())
		return false;
	epoch++;
	return must("KEY_PUT", put()) && must("WATERMARK", watermark());
}

static bool rolling(void)
{
	bool good;

	forget_events();
	config.rollover_ms = SOON_MS;
	good = two_keys();
	config.rollover_ms = LONG_MS;
	return good;
}

static bool nothing(void)
{
	return true;
}

static bool ends(int status)
{
	epoch++;
	return must("DELETE", delete ()) && must("LIST", list());
}

/* What was refused succeeds when it is asked again. */
static bool added(int status)
{
	return (!status || (must("LIST", list()) && fresh())) && ends(0);
}

static bool was_put(int status)
{
	int again = put();

	if (again != -ESTALE)
		return must("an epoch that came back", again ? again : -EEXIST);
	epoch++;
	return must("KEY_PUT of the next", put()) && ends(0);
}

/* An epoch that would not go into use is gone, and the next one does. */
static bool moved(int status)
{
	uint64_t out = out_epoch();

	if (out != epoch) {
		epoch++;
		if (!must("KEY_PUT", put()) || !must("WATERMARK", watermark()))
			return false;
		if (out != QKD_EPOCH_NONE && !must("ROLLOVER", rollover()))
			return false;
	}
	if (out_epoch() != epoch)
		return must("the next epoch does not go into use", -ESTALE);
	return ends(0);
}

/* Or will be, once what failed to go is tried again. */
static bool retired(int status)
{
	int i, n = epochs();

	for (i = 0; n && i < 40; i++, n = epochs())
		usleep(100000);
	return (!n || must("an epoch that does not go", -EBUSY)) && ends(0);
}

static bool deleted(int status)
{
	epoch++;
	return must("LIST", list());
}

static bool same_again(int status)
{
	return true;
}

/*
 * In a new network namespace the first HELLO opens what MACsec goes through. The device
 * is opened there, and used with the ring that we have. It stays open, and with it the
 * namespace: to end one takes allocations too, of others.
 */
static int own_fd;

static bool elsewhere(void)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int err = home < 0 || unshare(CLONE_NEWNET);

	own_fd = client.fd;
	client.fd = err ? -1 : open("/dev/qkd", O_RDWR | O_CLOEXEC);
	if (client.fd < 0 || setns(home, CLONE_NEWNET))
		client_die("a new network namespace", errno);
	close(home);
	return true;
}

static bool welcome(int status)
{
	bool good = !status || must("HELLO again", hello());

	client.fd = own_fd;
	return good;
}

/**
 * struct scene - a command
 * @name: it
 * @before: makes what it needs
 * @act: gives it
 * @after: whether all is well, and back to where it was
 * @self: it is no command of the ring
 * @allocates: it does, itself
 * @asks: it asks the macsec driver, on a channel that has to do with that
 * @varies: a worker of the kernel may do a part of it, or not; of ESP only
 * @statuses: that it may have besides 0
 */
struct scene {
	const char *name;
	bool (*before)(void);
	int (*act)(void);
	bool (*after)(int status);
	bool self;
	bool allocates;
	bool asks;
	bool varies;
	int statuses[3];
};

static const struct scene scenes[] = {
	{"open", nothing, open_it, same_again, .self = true, .allocates = true,
	 .statuses = {-ENOMEM}},
	{"HELLO", nothing, hello, same_again, .statuses = {-EOPNOTSUPP}},
	{"HELLO elsewhere", elsewhere, hello, welcome, .asks = true, .statuses = {-EOPNOTSUPP}},
	{"ADD", nothing, add, added, .allocates = true, .asks = true, .statuses = {-ENOMEM}},
	{"LIST", fresh, list, ends, .statuses = {1}},
	{"KEY_PUT", fresh, put, was_put, .allocates = true, .asks = true,
	 .statuses = {-ENOMEM, -EIO}},
	{"KEY_PUT, no spares", no_spares, put, was_put, .allocates = true, .varies = true,
	 .statuses = {-ENOMEM, -EIO}},
	{"WATERMARK", with_key, watermark, moved, .asks = true},
	{"ROLLOVER", two_keys, rollover, moved, .asks = true, .statuses = {-EAGAIN}},
	{"a rollover on time", rolling, pass_time, moved, .asks = true},
	{"RETIRE", with_key, retire, retired, .asks = true},
	{"COUNTERS", in_use, counters, ends, .self = false},
	{"EPOCH_LIST", in_use, epochs, ends, .statuses = {1}},
	{"read", fresh, read_it, ends, .self = true},
	{"DELETE", two_keys, delete, deleted, .asks = true},
};

static bool is_documented(const struct scene *s, int status)
{
	size_t i;

	for (i = 0; i < sizeof(s->statuses) / sizeof(*s->statuses); i++)
		if (status == s->statuses[i])
			return true; /* the rest of them are 0 */
	return false;
}

/* No association and no receive channel is left on the device; told if one is. */
static bool device_is_clean(void)
{
	char command[128], line[256];
	bool clean = true;
	FILE *f;

	if (!macsec)
		return true;
	snprintf(command, sizeof(command), "ip macsec show %s", device);
	f = popen(command, "r"); // NOLINT(cert-env33-c): our own words
	if (!f)
		client_die("ip macsec", errno);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "RXSC") || strstr(line, " PN ")) {
			printf("# left on the device: %s", line);
			clean = false;
		}
	pclose(f);
	return clean;
}

static void remake_device(void)
{
	char command[256];

	snprintf(command, sizeof(command), "tests/vm/macsec-device %s", device);
	if (system(command)) // NOLINT(cert-env33-c): the test's own script
		client_die("cannot make the device", EIO);
	config.ifindex = (int)if_nametoindex(device);
}

/* One run with allocation @nth refused. Return: whether all went as it should. */
static bool one_run(const struct scene *s, enum arm_whose whose, unsigned int nth, int *status,
		    struct arm_count *count)
{
	bool good = s->before();

	if (!good)
		return false;
	list(); /* so that the ring has a worker */
	arm(whose, nth);
	*status = s->act();
	if (whose == ARM_KERNEL)
		usleep(AFTER_MS * 1000);
	*count = disarm();
	good = is_documented(s, *status);
	if (!good)
		printf("# status %s\n", strerror(-*status));
	good = s->after(*status) && good && (!count->refused || device_is_clean());
	if (!good && nth != ARM_NEVER)
		printf("# that was with allocation %u refused\n", nth);
	return good;
}

/* How many it makes. Of two runs, since the kernel's workers have other work as well. */
static bool count_made(const struct scene *s, enum arm_whose whose, unsigned int *made)
{
	struct arm_count count;
	int i, status;

	*made = MOST;
	for (i = 0; i < 2; i++) {
		if (!one_run(s, whose, ARM_NEVER, &status, &count))
			return false;
		if (!must("with nothing refused", status < 0 ? status : 0))
			return false;
		if (count.made < *made)
			*made = count.made;
	}
	return true;
}

/**
 * struct tally - what was refused
 * @made: allocations, counted before
 * @last: the highest number that was refused one
 * @runs: with one refused
 * @told: of those, how many ended with an error
 * @missed: numbers at which none was, however often it was tried
 * @gaps: of those, the ones below @last
 */
struct tally {
	unsigned int made;
	unsigned int last;
	unsigned int runs;
	unsigned int told;
	unsigned int missed;
	unsigned int gaps;
};

/* Allocation @nth. Return: -1 if that went wrong, else whether there was one. */
static int refuse(const struct scene *s, enum arm_whose whose, unsigned int nth, struct tally *t)
{
	struct arm_count count = {0};
	int i, status = 0;

	for (i = 0; i < TRIES && !count.refused; i++)
		if (!one_run(s, whose, nth, &status, &count))
			return -1;
	if (!count.refused)
		return 0;
	t->last = nth;
	t->gaps = t->missed;
	t->runs++;
	t->told += status < 0;
	return 1;
}

/* All of them, up to the first number behind the count at which none is refused. */
static bool refuse_each(const struct scene *s, enum arm_whose whose, struct tally *t)
{
	unsigned int nth;
	int hit = 1;

	if (!count_made(s, whose, &t->made))
		return false;
	for (nth = 1; hit >= 0 && (hit || nth <= t->made + 1) && nth < MOST; nth++) {
		hit = refuse(s, whose, nth, t);
		t->missed += !hit;
	}
	if (nth == MOST)
		printf("# it does not come to an end\n");
	return hit >= 0 && nth < MOST;
}

/* Whether it was seen to test what it is about. */
static bool is_complete(const struct scene *s, enum arm_whose whose, const struct tally *t)
{
	bool complete;

	if (whose == ARM_KERNEL)
		complete = !macsec || !s->asks || (t->runs && !t->gaps);
	else
		complete = !s->allocates || (t->runs && t->told && (!t->gaps || s->varies));
	if (!complete)
		printf("# allocations that it has were not refused, %u before the last\n", t->gaps);
	return complete;
}

static void play(const struct scene *s, enum arm_whose whose)
{
	static const char *const names[] = {"", ", the ring's worker", ", the kernel's workers"};
	struct tally t = {0};
	char text[200];
	bool good = refuse_each(s, whose, &t);

	if (!good) {
		delete ();
		if (macsec)
			remake_device();
	}
	snprintf(text, sizeof(text),
		 "%s%s: %u allocations counted, %u refused, the last was number %u, %u errors; "
		 "then %d runs with none refused",
		 s->name, names[whose], t.made, t.runs, t.last, t.told, TRIES);
	result(good && is_complete(s, whose, &t), text);
}

static void play_all(const struct scene *s)
{
	if (macsec && s->varies)
		return;
	if (s->self) {
		play(s, ARM_SELF);
		return;
	}
	play(s, ARM_RING);
	play(s, ARM_KERNEL);
}

/* --- what it is played with ------------------------------------------------------- */

static void set_esp(uint8_t kind)
{
	config = (struct qkd_channel){
		.kind = kind,
		.cipher = QKD_CIPHER_AES_256_GCM,
		.flags = QKD_CHANNEL_ESN,
		.lookahead = 4,
		.family = AF_INET,
		.reqid = 1,
		.replay_window = 64,
		.local = {10, 9, 0, 1},
		.remote = {10, 9, 0, 2},
		.spi_key = {1},
	};
}

static void set_macsec(void)
{
	config = (struct qkd_channel){
		.kind = QKD_KIND_MACSEC,
		.cipher = QKD_CIPHER_GCM_AES_XPN_256,
		.lookahead = 2,
		.sci_peer = {2, 0, 0, 0, 0, 11, 0, 1},
	};
	macsec = true;
	remake_device();
}

static void set_config(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "tunnel")) {
		set_esp(QKD_KIND_ESP_TUNNEL);
	} else if (argc == 2 && !strcmp(argv[1], "transport")) {
		set_esp(QKD_KIND_ESP_TRANSPORT);
	} else if (argc == 3 && !strcmp(argv[1], "macsec")) {
		device = argv[2];
		set_macsec();
	} else {
		fputs("usage: qkdfail tunnel|transport|macsec DEVICE\n", stderr);
		exit(2);
	}
	config.id = CHANNEL;
	config.on_exhausted = QKD_EXHAUSTED_HOLD;
	config.rollover_ms = LONG_MS;
	config.grace_ms = 100;
}

/* So that the one that was armed is the one that has the command. */
static void one_worker(void)
{
	unsigned int most[2] = {1, 1};
	int err = io_uring_register_iowq_max_workers(&client.ring, most);

	if (err)
		client_die("one worker", err);
}

int main(int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	set_config(argc, argv);
	client_open(&client);
	one_worker();
	client_hello(&client);
	for (i = 0; i < sizeof(scenes) / sizeof(*scenes); i++)
		play_all(&scenes[i]);
	client_close(&client);
	printf("1..%d\n", tests);
	return failed != 0;
}
