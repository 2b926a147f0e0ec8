// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A KM for tests: drives /dev/qkd with keys that are a function of the epoch.
 * See usage(). Exit status: 0 done, 1 refused (the reason on stderr), 2 usage.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <time.h>

#include "qkdclient.h"

static const char usage_text[] =
	"usage: qkdtest [-n NETNS] VERB ...\n"
	"  hello\n"
	"  add ID NAME=VALUE...        kind=tunnel|transport|macsec cipher=aes|chacha|gcm|xpn\n"
	"                              exhausted=hold|block lookahead= rollover= grace= hard=\n"
	"                              local= remote= reqid= if_id= mark= mask= window= esn=\n"
	"                              dev= sci= (16 hex digits) ssci1= first= name= jitter=\n"
	"                              soft_packets= hard_packets= soft_bytes= hard_bytes=\n"
	"  delete ID | list | counters ID | epochs ID | retire ID EPOCH | rollover ID\n"
	"  put ID a|b FIRST [COUNT]\n"
	"  watermark ID FIRST|none LAST|- PEER_OUT|-\n"
	"  events COUNT                waits for that many, prints them\n"
	"  pair A B ID SECONDS [KEYS]  plays both KMs of channel ID in the network\n"
	"                              namespaces A and B; stops feeding after KEYS epochs\n";

static const char *const states[] = {"?", "idle", "active", "overdue", "blocked"};
static const char *const sa_states[] = {"none", "ready", "active", "grace", "queued"};
static const char *const event_names[] = {"?",	       "installed", "activated", "retired",
					  "low",       "exhausted", "blocked",	 "failed",
					  "peermoved", "added",	    "deleted"};

static _Noreturn void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		usage();
	return n;
}

/* "-" and "none" stand for no epoch. */
static uint64_t epoch_of(const char *text)
{
	return !strcmp(text, "-") || !strcmp(text, "none") ? QKD_EPOCH_NONE : number(text);
}

static const char *epoch_text(uint64_t epoch)
{
	static char text[8][24];
	static unsigned int next;
	char *p = text[next++ % 8];

	if (epoch == QKD_EPOCH_NONE)
		return "-";
	snprintf(p, sizeof(text[0]), "%llu", (unsigned long long)epoch);
	return p;
}

static int finish(const char *what, int status)
{
	if (!status)
		return 0;
	fprintf(stderr, "qkdtest: %s: %s\n", what, strerrorname_np(-status));
	return 1;
}

static uint8_t one_of(const char *value, const char *const *names, uint8_t count)
{
	uint8_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(value, names[i]))
			return i + 1;
	usage();
}

static void set_address(struct qkd_channel *r, uint8_t *to, const char *value)
{
	r->family = strchr(value, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(r->family, value, to) != 1)
		usage();
}

static bool set_names(struct qkd_channel *r, const char *name, const char *value)
{
	static const char *const kinds[] = {"tunnel", "transport", "macsec"};
	static const char *const ciphers[] = {"aes", "chacha", "gcm", "xpn"};
	static const char *const exhausted[] = {"hold", "block"};

	if (!strcmp(name, "kind"))
		r->kind = one_of(value, kinds, 3);
	else if (!strcmp(name, "cipher"))
		r->cipher = one_of(value, ciphers, 4);
	else if (!strcmp(name, "exhausted"))
		r->on_exhausted = one_of(value, exhausted, 2);
	else if (!strcmp(name, "local"))
		set_address(r, r->local, value);
	else if (!strcmp(name, "remote"))
		set_address(r, r->remote, value);
	else if (!strcmp(name, "dev"))
		r->ifindex = (int)if_nametoindex(value);
	else if (!strcmp(name, "name"))
		snprintf(r->name, sizeof(r->name), "%s", value);
	else
		return false;
	return true;
}

static void set_sci(struct qkd_channel *r, const char *value)
{
	uint64_t sci = strtoull(value, NULL, 16);
	int i;

	if (strlen(value) != 16)
		usage();
	for (i = 7; i >= 0; i--, sci >>= 8)
		r->sci_peer[i] = (uint8_t)sci;
}

static bool set_numbers(struct qkd_channel *r, const char *name, const char *value)
{
	const struct {
		const char *name;
		uint32_t *field;
	} fields[] = {
		{"rollover", &r->rollover_ms}, {"grace", &r->grace_ms},
		{"hard", &r->hard_ms},	       {"reqid", &r->reqid},
		{"if_id", &r->if_id},	       {"mark", &r->mark},
		{"mask", &r->mark_mask},       {"window", &r->replay_window},
		{"jitter", &r->jitter_ms},
	};
	const struct {
		const char *name;
		__u64 *field;
	} limits[] = {
		{"soft_packets", &r->soft_packets},
		{"hard_packets", &r->hard_packets},
		{"soft_bytes", &r->soft_bytes},
		{"hard_bytes", &r->hard_bytes},
	};
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (strcmp(name, fields[i].name) != 0)
			continue;
		*fields[i].field = (uint32_t)number(value);
		return true;
	}
	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		if (strcmp(name, limits[i].name) != 0)
			continue;
		*limits[i].field = number(value);
		return true;
	}
	return false;
}

static void set_field(struct qkd_channel *r, const char *name, const char *value)
{
	if (set_names(r, name, value) || set_numbers(r, name, value))
		return;
	if (!strcmp(name, "lookahead"))
		r->lookahead = (uint16_t)number(value);
	else if (!strcmp(name, "first"))
		r->first_epoch = number(value);
	else if (!strcmp(name, "sci"))
		set_sci(r, value);
	else if (!strcmp(name, "esn") && number(value))
		r->flags |= QKD_CHANNEL_ESN;
	else if (!strcmp(name, "ssci1") && number(value))
		r->flags |= QKD_CHANNEL_SSCI_1;
	else if (strcmp(name, "esn") != 0 && strcmp(name, "ssci1") != 0)
		usage();
}

static void set_defaults(struct qkd_channel *r)
{
	bool macsec = r->kind == QKD_KIND_MACSEC;

	r->on_exhausted = r->on_exhausted ? r->on_exhausted : QKD_EXHAUSTED_HOLD;
	r->lookahead = r->lookahead ? r->lookahead : macsec ? 2 : 4;
	r->rollover_ms = r->rollover_ms ? r->rollover_ms : 1000;
	r->grace_ms = r->grace_ms ? r->grace_ms : 100;
	if (macsec)
		return;
	r->replay_window = r->replay_window ? r->replay_window : 4096;
	r->reqid = r->reqid ? r->reqid : r->id;
	memset(r->spi_key, 0x5a, sizeof(r->spi_key));
	r->spi_key[0] = (uint8_t)r->id;
}

static int add(struct client *c, int argc, char **argv)
{
	struct qkd_channel r = {0};

	if (argc < 1)
		usage();
	r.id = (uint32_t)number(argv[0]);
	for (argv++; --argc; argv++) {
		char *value = strchr(*argv, '=');

		if (!value)
			usage();
		*value = '\0';
		set_field(&r, *argv, value + 1);
	}
	set_defaults(&r);
	return finish("add", client_one(c, QKD_CMD_CHANNEL_ADD, &r));
}

static int list(struct client *c)
{
	struct qkd_channel *r = (struct qkd_channel *)c->buf;
	uint32_t last = 0;
	int n, i;

	do {
		memset(r, 0, sizeof(*r));
		r->id = last;
		n = client_command(c, QKD_CMD_CHANNEL_LIST, 16);
		if (n < 0)
			return finish("list", n);
		for (i = 0; i < n; i++)
			printf("channel=%u name=%s state=%s next=%s\n", r[i].id, r[i].name,
			       states[r[i].state % 5], epoch_text(r[i].first_epoch));
		last = n ? r[n - 1].id : 0;
	} while (n == 16);
	return 0;
}

static int counters(struct client *c, uint32_t id)
{
	struct qkd_counters r = {.channel = id};
	int err = client_one(c, QKD_CMD_COUNTERS, &r);

	if (err)
		return finish("counters", err);
	printf("installed=%llu rollovers=%llu retired=%llu failed=%llu exhausted=%llu "
	       "blocked=%llu out=%s in=%s..%s peer=%s..%s ready=%llu lost=%llu switched=%s "
	       "limit=%llu delayed=%llu hard=%llu hits=%llu misses=%llu longest=%s queued=%llu\n",
	       r.installed, r.rollovers, r.retired, r.failed, r.exhausted, r.blocked,
	       epoch_text(r.out_epoch), epoch_text(r.in_first), epoch_text(r.in_last),
	       epoch_text(r.peer_first), epoch_text(r.peer_last), r.ready, r.events_lost,
	       r.last_rollover_ns ? "yes" : "no", r.limit_rollovers, r.delayed, r.hard_expiries,
	       r.pool_hits, r.pool_misses, r.activation_max_ns ? "yes" : "no", r.queued);
	return 0;
}

static const char *uuid(const uint8_t id[QKD_KEY_ID_BYTES])
{
	static char text[2 * QKD_KEY_ID_BYTES + 1];
	int i;

	for (i = 0; i < QKD_KEY_ID_BYTES; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", id[i]);
	return text;
}

static int epochs(struct client *c, uint32_t id)
{
	struct qkd_epoch *r = (struct qkd_epoch *)c->buf;
	int n, i;

	memset(r, 0, sizeof(*r));
	r->channel = id;
	n = client_command(c, QKD_CMD_EPOCH_LIST, 256);
	if (n < 0)
		return finish("epochs", n);
	if (!n && r->status)
		return finish("epochs", r->status);
	for (i = 0; i < n; i++)
		printf("epoch=%s in=%s out=%s an=%u key=%s spi_in=%08x spi_out=%08x "
		       "packets_in=%llu "
		       "packets_out=%llu\n",
		       epoch_text(r[i].epoch), sa_states[r[i].in % 5], sa_states[r[i].out % 5],
		       r[i].an, uuid(r[i].key_id), ntohl(r[i].spi_in), ntohl(r[i].spi_out),
		       r[i].packets_in, r[i].packets_out);
	return 0;
}

/* The slot must come back with nothing but what names it. */
static int put_one(struct client *c, uint32_t id, uint8_t cipher, uint64_t epoch, bool is_a)
{
	struct qkd_key key = client_key(id, cipher, epoch, is_a), empty = {0};
	int status = client_one(c, QKD_CMD_KEY_PUT, &key);

	empty.status = status;
	empty.channel = id;
	empty.epoch = epoch;
	if (memcmp(&key, &empty, sizeof(key)) != 0 || memcmp(c->buf, &empty, sizeof(empty)) != 0) {
		fprintf(stderr, "qkdtest: put: the slot was not wiped\n");
		exit(1);
	}
	return status;
}

static int put(struct client *c, int argc, char **argv)
{
	struct qkd_channel r;
	uint64_t epoch, end;
	int status = 0;

	if (argc < 3)
		usage();
	if (client_channel(c, (uint32_t)number(argv[0]), &r)) {
		r.id = (uint32_t)number(argv[0]);
		r.cipher = QKD_CIPHER_AES_256_GCM;
	}
	epoch = number(argv[2]);
	for (end = epoch + (argc > 3 ? number(argv[3]) : 1); epoch < end && !status; epoch++)
		status = put_one(c, r.id, r.cipher, epoch, argv[1][0] == 'a');
	return finish("put", status);
}

static int watermark(struct client *c, char **argv)
{
	struct qkd_watermark r = {.channel = (uint32_t)number(argv[0])};

	if (!strcmp(argv[1], "none"))
		r.flags = QKD_WATERMARK_NONE;
	r.first = epoch_of(argv[1]);
	r.last = epoch_of(argv[2]);
	r.peer_out = epoch_of(argv[3]);
	return finish("watermark", client_one(c, QKD_CMD_WATERMARK, &r));
}

static int events(struct client *c, uint64_t count)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	struct qkd_event e[16];
	ssize_t n;

	puts("ready");
	fflush(stdout);
	while (count) {
		if (poll(&p, 1, 60000) != 1) {
			fprintf(stderr, "qkdtest: events: nothing for a minute\n");
			return 1;
		}
		n = read(c->fd, e, sizeof(e));
		if (n <= 0 || n % (ssize_t)sizeof(*e))
			client_die("read", n < 0 ? errno : EIO);
		for (n /= (ssize_t)sizeof(*e); n && count; n--, count--) {
			const struct qkd_event *one = &e[0];

			printf("event=%s channel=%u epoch=%s value=%llu error=%d lost=%u\n",
			       event_names[one->type % 11], one->channel, epoch_text(one->epoch),
			       one->value, one->error, one->lost);
			memmove(e, e + 1, sizeof(e) - sizeof(*e));
		}
		fflush(stdout);
	}
	return 0;
}

/* Both ends of one channel. */
struct pair {
	struct client end[2];
	uint32_t id;
	uint8_t cipher;
	uint64_t next;
	uint64_t left;
};

static void enter(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		client_die(path, errno);
	close(fd);
}

static void open_in(struct client *c, const char *name)
{
	enter(name);
	client_open(c);
	client_hello(c);
}

/* An epoch that only one end could take is taken back there. */
static void feed(struct pair *p)
{
	struct qkd_retire back = {.channel = p->id};
	int a, b;

	while (p->left) {
		a = put_one(&p->end[0], p->id, p->cipher, p->next, true);
		if (a == -ENOBUFS)
			return;
		if (a)
			client_die("put at a", a);
		b = put_one(&p->end[1], p->id, p->cipher, p->next, false);
		if (b && b != -ENOBUFS)
			client_die("put at b", b);
		back.epoch = p->next++;
		if (b) {
			client_one(&p->end[0], QKD_CMD_RETIRE, &back);
			return;
		}
		p->left--;
	}
}

static void report_to(struct pair *p, int from, int to)
{
	struct qkd_counters r = {.channel = p->id};
	struct qkd_watermark w = {.channel = p->id};
	int err = client_one(&p->end[from], QKD_CMD_COUNTERS, &r);

	if (err)
		client_die("counters", err);
	w.first = r.in_first;
	w.last = r.in_last;
	w.peer_out = r.out_epoch;
	w.flags = r.in_first == QKD_EPOCH_NONE ? QKD_WATERMARK_NONE : 0;
	err = client_one(&p->end[to], QKD_CMD_WATERMARK, &w);
	if (err)
		client_die("watermark", err);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int pair(int argc, char **argv)
{
	struct pair p = {.left = UINT64_MAX};
	struct qkd_channel r;
	uint64_t end;

	if (argc < 4)
		usage();
	p.id = (uint32_t)number(argv[2]);
	end = now_ms() + number(argv[3]) * 1000;
	if (argc > 4)
		p.left = number(argv[4]);
	open_in(&p.end[0], argv[0]);
	open_in(&p.end[1], argv[1]);
	if (client_channel(&p.end[0], p.id, &r))
		client_die("no such channel", ENOENT);
	p.cipher = r.cipher;
	p.next = r.first_epoch;
	do {
		feed(&p);
		report_to(&p, 0, 1);
		report_to(&p, 1, 0);
		usleep(20000);
	} while (now_ms() < end);
	client_close(&p.end[0]);
	client_close(&p.end[1]);
	return 0;
}

static int with_id(struct client *c, const char *verb, uint32_t id, char **rest, int count)
{
	struct qkd_channel del = {.id = id};
	struct qkd_retire back = {.channel = id};
	struct qkd_rollover force = {.channel = id};
	int status;

	if (!strcmp(verb, "delete"))
		return finish(verb, client_one(c, QKD_CMD_CHANNEL_DELETE, &del));
	if (!strcmp(verb, "counters"))
		return counters(c, id);
	if (!strcmp(verb, "epochs"))
		return epochs(c, id);
	if (!strcmp(verb, "events"))
		return events(c, id);
	if (!strcmp(verb, "retire") && count == 1) {
		back.epoch = number(rest[0]);
		return finish(verb, client_one(c, QKD_CMD_RETIRE, &back));
	}
	if (strcmp(verb, "rollover") != 0)
		usage();
	status = client_one(c, QKD_CMD_ROLLOVER, &force);
	if (!status)
		printf("out=%s\n", epoch_text(force.epoch));
	return finish(verb, status);
}

int main(int argc, char **argv)
{
	struct qkd_hello hello;
	struct client c;
	int ret;

	if (argc > 3 && !strcmp(argv[1], "-n")) {
		enter(argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc < 2)
		usage();
	if (!strcmp(argv[1], "pair"))
		return pair(argc - 2, argv + 2);
	client_open(&c);
	hello = client_hello(&c);
	if (!strcmp(argv[1], "hello")) {
		printf("abi=%u features=%llx batch=%u channels=%u lookahead=%u/%u\n", hello.abi,
		       hello.features, hello.max_batch, hello.max_channels, hello.max_lookahead,
		       hello.max_lookahead_macsec);
		ret = 0;
	} else if (!strcmp(argv[1], "list")) {
		ret = list(&c);
	} else if (!strcmp(argv[1], "add")) {
		ret = add(&c, argc - 2, argv + 2);
	} else if (!strcmp(argv[1], "put")) {
		ret = put(&c, argc - 2, argv + 2);
	} else if (!strcmp(argv[1], "watermark") && argc == 6) {
		ret = watermark(&c, argv + 2);
	} else if (argc >= 3) {
		ret = with_id(&c, argv[1], (uint32_t)number(argv[2]), argv + 3, argc - 3);
	} else {
		usage();
	}
	client_close(&c);
	return ret;
}
