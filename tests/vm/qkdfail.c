// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qkdfail tunnel|transport|macsec DEVICE
 *
 * Each command, over and over, with the first, the second, the third, ... of its
 * allocations failing, until one run has none left to fail. The status must be a
 * documented one each time, nothing may be left, no epoch comes back, and the command
 * succeeds when it is given again. Prints TAP; needs a network namespace of its own,
 * and a kernel with fail-nth (tests/vm/debug/failnth.sh).
 *
 * fail-nth belongs to a task. Commands run in the ring's workers, which are threads of
 * ours, and those of MACsec in the kernel's unbound workers: all of either are armed
 * before a command. What is left of the number afterwards tells who was hit.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <stdbool.h>
#include <time.h>

#include "qkdclient.h"

#define CHANNEL	 7
#define LONG_MS	 3600000
#define MOST	 3000 /* failing allocations of one command: it never ends */
#define MAX_ARMS 256

static int tests, failed;
static struct client client;
static struct qkd_channel config;
static bool macsec;
static const char *device;
static uint64_t epoch; /* the next that was never used */

static void result(bool good, const char *name, const char *more)
{
	tests++;
	failed += !good;
	printf("%s %d - %s %s%s%s\n", good ? "ok" : "not ok", tests,
	       config.kind == QKD_KIND_ESP_TUNNEL ? "tunnel"
	       : macsec				  ? "macsec"
						  : "transport",
	       name, more ? ": " : "", more ? more : "");
}

/* --- who is to fail ------------------------------------------------------------- */

static struct {
	int fd[MAX_ARMS];
	int count;
} armed;

static bool has_name(const char *directory, const char *task, const char *prefix)
{
	char path[300], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/comm", directory, task);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return !strncmp(name, prefix, strlen(prefix));
}

static void add_task(const char *directory, const char *task)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/fail-nth", directory, task);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && armed.count < MAX_ARMS)
		armed.fd[armed.count++] = fd;
}

static void add_tasks(const char *directory, const char *prefix)
{
	DIR *d = opendir(directory);
	struct dirent *e;

	if (!d)
		client_die(directory, errno);
	while ((e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' &&
		    has_name(directory, e->d_name, prefix))
			add_task(directory, e->d_name);
	closedir(d);
}

static void set_all(unsigned int n)
{
	char text[16];
	int i, len = snprintf(text, sizeof(text), "%u", n);

	/* A worker may have ended meanwhile. */
	for (i = 0; i < armed.count; i++)
		if (pwrite(armed.fd[i], text, (size_t)len, 0) != len && errno != ESRCH)
			client_die("fail-nth", errno);
}

static void arm_workers(unsigned int n)
{
	add_tasks("/proc/self/task", "iou-wrk");
	add_tasks("/proc", "kworker/u");
	set_all(n);
}

static void arm_self(unsigned int n)
{
	add_task("/proc", "thread-self");
	set_all(n);
}

/* Return: how many were hit. */
static int disarm(void)
{
	char text[16];
	int i, hits = 0;

	for (i = 0; i < armed.count; i++) {
		ssize_t len = pread(armed.fd[i], text, sizeof(text) - 1, 0);

		hits += len > 0 && text[0] == '0';
	}
	set_all(0);
	while (armed.count)
		close(armed.fd[--armed.count]);
	return hits;
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

static int pass_time(void)
{
	usleep(150000);
	return 0;
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

	config.rollover_ms = 150;
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

struct scene {
	const char *name;
	bool (*before)(void);
	int (*act)(void);
	bool (*after)(int status);
	bool self;
	bool allocates;
	int statuses[4];
};

static const struct scene scenes[] = {
	{"open", nothing, open_it, same_again, true, true, {-ENOMEM}},
	{"HELLO", nothing, hello, same_again, .statuses = {-ENOMEM}},
	{"ADD", nothing, add, added, .allocates = true, .statuses = {-ENOMEM}},
	{"LIST", fresh, list, ends, .statuses = {1}},
	{"KEY_PUT", fresh, put, was_put, .allocates = true, .statuses = {-ENOMEM, -EIO}},
	{"WATERMARK", with_key, watermark, moved, .self = false},
	{"ROLLOVER", two_keys, rollover, moved, .statuses = {-EAGAIN}},
	{"a rollover on time", rolling, pass_time, moved, .self = false},
	{"RETIRE", with_key, retire, retired, .self = false},
	{"COUNTERS", in_use, counters, ends, .self = false},
	{"EPOCH_LIST", in_use, epochs, ends, .statuses = {1}},
	{"read", fresh, read_it, ends, .self = true},
	{"DELETE", two_keys, delete, deleted, .self = false},
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

/* One run with its @nth allocation failing. Return: how many failed, -1: all is lost. */
static int one_run(const struct scene *s, unsigned int nth, int *status)
{
	int hits;

	if (!s->before())
		return -1;
	list(); /* so that the ring has a worker */
	if (s->self)
		arm_self(nth);
	else
		arm_workers(nth);
	*status = s->act();
	hits = disarm();
	if (!is_documented(s, *status)) {
		printf("# allocation %u fails: status %s\n", nth, strerror(-*status));
		return -1;
	}
	return s->after(*status) ? hits : -1;
}

/*
 * Two runs without a failure end it: in one alone the command may have had a worker
 * that was not there yet.
 */
static void play(const struct scene *s)
{
	unsigned int nth, total = 0, refused = 0, quiet = 0;
	char text[128];
	int hits = 0, status = 0;
	bool good = true;

	for (nth = 1; good && quiet < 2 && nth < MOST; nth++) {
		hits = one_run(s, nth, &status);
		good = hits >= 0 && device_is_clean();
		if (!good)
			printf("# that was with allocation %u failing\n", nth);
		total += hits > 0;
		quiet = hits > 0 ? 0 : quiet + 1;
		refused += status < 0;
	}
	if (!good) {
		delete ();
		if (macsec)
			remake_device();
	}
	snprintf(text, sizeof(text), "%u failing allocations, refused %u times", total, refused);
	result(good && nth < MOST && (!s->allocates || (total && refused)), s->name, text);
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

int main(int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	set_config(argc, argv);
	client_open(&client);
	client_hello(&client);
	for (i = 0; i < sizeof(scenes) / sizeof(*scenes); i++)
		play(&scenes[i]);
	client_close(&client);
	printf("1..%d\n", tests);
	return failed != 0;
}
