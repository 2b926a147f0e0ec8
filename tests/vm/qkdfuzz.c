// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qkdfuzz SEED SECONDS keep|clean [DEVICE]
 *
 * Commands that would be right, and then are changed a little: in their records, in how
 * they name them, or not at all. Several threads give them to the same few channels
 * while the keys roll over ten times a second, and one that meddles flushes the states
 * and replaces the macsec DEVICE. Each answer must be one that <linux/qkd.h> has, must
 * agree with its records, and a slot with a key is always wiped; events must come in an
 * order that makes sense. With "clean" all channels are deleted in the end and one is
 * led through its life as usual.
 *
 * The same SEED gives each thread the same commands. Exit status: 0 or 1.
 */
#include <arpa/inet.h>
#include <linux/xfrm.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <time.h>

#include "qkdclient.h"
#include "qkdevents.h"

#define THREADS	  4
#define IDS	  6 /* the last is of MACsec */
#define MOST	  8 /* records of one command */
#define ENOUGH	  200
#define LOOKED_AT 8192UL

static atomic_bool stop;
static atomic_uint bad;
static _Atomic uint64_t next_epoch[IDS + 1];
static atomic_ulong given, accepted;
static const char *device = "";

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list ap;

	if (atomic_fetch_add(&bad, 1) > 20)
		return;
	va_start(ap, format);
	printf("# ");
	vprintf(format, ap); // NOLINT(clang-analyzer-valist.Uninitialized)
	putchar('\n');
	va_end(ap);
}

/* A thread's own random numbers. */
static _Thread_local uint64_t state;

static uint64_t any(uint64_t below)
{
	return client_mix(state += 0x9e3779b97f4a7c15ULL) % below;
}

static bool chance(uint64_t in)
{
	return !any(in);
}

/* --- what each command may answer --------------------------------------------- */

struct command {
	uint32_t op;
	bool lists;
	int statuses[12];
};

static const struct command commands[] = {
	{QKD_CMD_HELLO, false, {-EINVAL, -EPROTONOSUPPORT, -EOPNOTSUPP, -ENOMEM}},
	{QKD_CMD_CHANNEL_ADD, false, {-EEXIST, -EINVAL, -ENOSPC, -ENODEV, -EOPNOTSUPP, -ENOMEM}},
	{QKD_CMD_CHANNEL_DELETE, false, {-ENOENT, -EINVAL}},
	{QKD_CMD_CHANNEL_LIST, true, {-EINVAL}},
	{QKD_CMD_KEY_PUT,
	 false,
	 {-ENOENT, -ESTALE, -ENOBUFS, -EINVAL, -EEXIST, -ERANGE, -ENODEV, -ENOMEM, -EIO}},
	{QKD_CMD_WATERMARK, false, {-ENOENT, -EINVAL}},
	{QKD_CMD_ROLLOVER, false, {-ENOENT, -EAGAIN, -EINVAL}},
	{QKD_CMD_RETIRE, false, {-ENOENT, -EBUSY, -EINVAL}},
	{QKD_CMD_COUNTERS, false, {-ENOENT, -EINVAL}},
	{QKD_CMD_EPOCH_LIST, true, {-ENOENT, -EINVAL}},
};

static const int refusals[] = {-ENOTTY, -EINVAL, -E2BIG, -EFAULT};

static bool is_one_of(int value, const int *values, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (values[i] && values[i] == value)
			return true;
	return false;
}

static const struct command *command_of(uint32_t op)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (commands[i].op == op)
			return &commands[i];
	return NULL;
}

/* --- commands that are right ---------------------------------------------------- */

static uint8_t cipher_of(uint32_t id)
{
	if (id == IDS)
		return QKD_CIPHER_GCM_AES_XPN_256;
	return id % 2 ? QKD_CIPHER_AES_256_GCM : QKD_CIPHER_CHACHA20_POLY1305;
}

static void make_macsec(struct qkd_channel *r)
{
	r->kind = QKD_KIND_MACSEC;
	r->ifindex = (int)if_nametoindex(device);
	r->sci_peer[0] = 2;
	r->sci_peer[7] = 1;
	r->lookahead = 2;
}

static void make_esp(struct qkd_channel *r)
{
	r->kind = r->id % 3 ? QKD_KIND_ESP_TUNNEL : QKD_KIND_ESP_TRANSPORT;
	r->flags = r->id % 2 ? QKD_CHANNEL_ESN : 0;
	r->family = r->id % 4 ? AF_INET : AF_INET6;
	r->reqid = r->id;
	r->replay_window = 64;
	r->lookahead = 4;
	r->local[0] = r->remote[0] = 10;
	r->remote[3] = 1;
	r->spi_key[0] = (uint8_t)r->id;
}

static void make_channel(struct qkd_channel *r, uint32_t id)
{
	r->id = id;
	r->cipher = cipher_of(id);
	r->on_exhausted = id % 2 ? QKD_EXHAUSTED_HOLD : QKD_EXHAUSTED_BLOCK;
	r->rollover_ms = 101 + (uint32_t)any(100);
	r->grace_ms = 100;
	if (id == IDS)
		make_macsec(r);
	else
		make_esp(r);
}

static void make_watermark(struct qkd_watermark *r, uint32_t id, uint64_t base)
{
	r->channel = id;
	r->first = base > 8 ? base - any(8) : 0;
	r->last = base + any(8);
	r->peer_out = chance(4) ? QKD_EPOCH_NONE : r->first;
	r->flags = chance(16) ? QKD_WATERMARK_NONE : 0;
}

/* Record @r of command @op; all else in it is zero. */
static void make_record(uint32_t op, void *r)
{
	uint32_t id = 1 + (uint32_t)any(IDS);
	uint64_t base = atomic_load(&next_epoch[id]);

	memset(r, 0, _IOC_SIZE(op));
	if (op == QKD_CMD_HELLO)
		((struct qkd_hello *)r)->abi = QKD_ABI_VERSION;
	else if (op == QKD_CMD_CHANNEL_ADD)
		make_channel(r, id);
	else if (op == QKD_CMD_CHANNEL_DELETE)
		((struct qkd_channel *)r)->id = id;
	else if (op == QKD_CMD_CHANNEL_LIST)
		((struct qkd_channel *)r)->id = (uint32_t)any(IDS);
	else if (op == QKD_CMD_KEY_PUT)
		*(struct qkd_key *)r = client_key(id, cipher_of(id),
						  atomic_fetch_add(&next_epoch[id], 1 + any(2)), 1);
	else if (op == QKD_CMD_WATERMARK)
		make_watermark(r, id, base);
	else if (op == QKD_CMD_RETIRE)
		*(struct qkd_retire *)r = (struct qkd_retire){0, id, base - any(8), {0}};
	else /* ROLLOVER, COUNTERS, EPOCH_LIST: the channel, and no more */
		((struct qkd_counters *)r)->channel = id;
}

/* Often what makes a channel live, seldom what ends it. */
static uint32_t some_op(void)
{
	static const uint32_t usual[] = {
		QKD_CMD_KEY_PUT,  QKD_CMD_KEY_PUT,  QKD_CMD_KEY_PUT,	 QKD_CMD_WATERMARK,
		QKD_CMD_ROLLOVER, QKD_CMD_COUNTERS, QKD_CMD_CHANNEL_ADD, QKD_CMD_EPOCH_LIST,
	};

	if (chance(3))
		return commands[any(sizeof(commands) / sizeof(*commands))].op;
	return usual[any(sizeof(usual) / sizeof(*usual))];
}

/* --- and then are changed -------------------------------------------------------- */

static void flip(void *data, size_t len)
{
	static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
	uint8_t *p = data;
	size_t at = any(len);

	switch (any(3)) {
	case 0:
		p[at] ^= (uint8_t)(1U << any(8));
		break;
	case 1:
		p[at] = edges[any(sizeof(edges))];
		break;
	default:
		memset(p + at, edges[any(sizeof(edges))], 1 + any(len - at < 8 ? len - at : 8));
	}
}

static void change_command(struct qkd_cmd *cmd, uint32_t *op, uint32_t *flags)
{
	switch (any(5)) {
	case 0:
		flip(op, sizeof(*op));
		break;
	case 1:
		*flags = 0;
		break;
	case 2:
		cmd->addr += any(64) * 8; /* other records, perhaps half of each */
		break;
	default:
		flip(cmd, sizeof(*cmd));
	}
}

/* --- the answers ------------------------------------------------------------------ */

/* All but status, channel and epoch. */
static bool is_wiped(const struct qkd_key *k)
{
	const struct qkd_key empty = {
		.status = k->status, .channel = k->channel, .epoch = k->epoch};

	return !memcmp(k, &empty, sizeof(empty));
}

static void check_records(const struct command *c, const uint8_t *r, uint32_t count, int res)
{
	size_t size = _IOC_SIZE(c->op);
	uint32_t i;
	int good = 0;

	for (i = 0; i < count; i++, r += size) {
		int32_t status;

		memcpy(&status, r, sizeof(status));
		good += !status;
		if (status && !is_one_of(status, c->statuses, 12))
			wrong("command %x answers %d", c->op, status);
		if (c->op == QKD_CMD_KEY_PUT && !is_wiped((const struct qkd_key *)r))
			wrong("a slot was not wiped, status %d", status);
	}
	if (good != res)
		wrong("command %x counts %d good records, %d are", c->op, res, good);
}

static void check_listing(const struct command *c, const uint8_t *r, uint32_t count, int res)
{
	int32_t status;

	memcpy(&status, r, sizeof(status));
	if (res > (int)count)
		wrong("command %x lists %d of %u", c->op, res, count);
	if (status && (res || !is_one_of(status, c->statuses, 12)))
		wrong("command %x lists %d, status %d", c->op, res, status);
}

static void check_answer(struct client *c, const uint8_t *before, uint32_t op,
			 const struct qkd_cmd *cmd, int res)
{
	const struct command *known = command_of(op);

	atomic_fetch_add(&given, 1);
	if (res < 0) {
		if (!is_one_of(res, refusals, sizeof(refusals) / sizeof(*refusals)))
			wrong("command %x is refused with %d", op, res);
		if (memcmp(before, c->buf, LOOKED_AT) != 0)
			wrong("command %x was refused, but records were touched", op);
		return;
	}
	atomic_fetch_add(&accepted, 1);
	if (!known || cmd->addr < (uintptr_t)c->buf ||
	    cmd->addr + (uint64_t)cmd->count * _IOC_SIZE(op) > (uintptr_t)c->buf + CLIENT_BUFFER)
		wrong("command %x was taken, count %u", op, cmd->count);
	else if (known->lists)
		check_listing(known, (uint8_t *)(uintptr_t)cmd->addr, cmd->count, res);
	else
		check_records(known, (uint8_t *)(uintptr_t)cmd->addr, cmd->count, res);
}

static void one_command(struct client *c)
{
	static _Thread_local uint8_t before[LOOKED_AT];
	uint32_t op = some_op(), flags = IORING_URING_CMD_FIXED, i;
	struct qkd_cmd cmd = {.addr = (uintptr_t)c->buf, .count = 1 + (uint32_t)any(MOST)};

	for (i = 0; i < cmd.count; i++)
		make_record(op, c->buf + (size_t)i * _IOC_SIZE(op));
	if (chance(3))
		flip(c->buf, (size_t)cmd.count * _IOC_SIZE(op));
	if (chance(8))
		change_command(&cmd, &op, &flags);
	memcpy(before, c->buf, LOOKED_AT);
	check_answer(c, before, op, &cmd, client_raw(c, op, &cmd, flags));
}

/* --- who is at it ------------------------------------------------------------------ */

static void *give_commands(void *seed)
{
	struct client c;

	state = *(uint64_t *)seed;
	client_open(&c);
	client_hello(&c);
	while (!atomic_load(&stop))
		one_command(&c);
	client_close(&c);
	return NULL;
}

static void *read_events(void *unused)
{
	struct events *all = calloc(1, sizeof(*all));
	struct pollfd p = {.events = POLLIN};
	struct qkd_event e[16];
	ssize_t n, i;

	p.fd = open("/dev/qkd", O_RDWR | O_CLOEXEC);
	if (!all || p.fd < 0)
		client_die("reading events", errno);
	while (poll(&p, 1, 100) || !atomic_load(&stop)) {
		n = p.revents ? read(p.fd, e, sizeof(e)) : 0;
		if (n < 0 || n % (ssize_t)sizeof(*e))
			wrong("read: %zd, %s", n, strerror(errno));
		for (i = 0; i < n / (ssize_t)sizeof(*e); i++) {
			const char *why = events_next(all, &e[i]);

			if (why)
				wrong("%s: channel %u epoch %llu", why, e[i].channel, e[i].epoch);
		}
	}
	close(p.fd);
	free(all);
	return NULL;
}

static void flush_states(void)
{
	struct {
		struct nlmsghdr head;
		struct xfrm_usersa_flush flush;
	} m = {.head = {.nlmsg_len = sizeof(m),
			.nlmsg_type = XFRM_MSG_FLUSHSA,
			.nlmsg_flags = NLM_F_REQUEST}};
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);

	if (s < 0 || send(s, &m, sizeof(m), 0) != sizeof(m))
		client_die("flush", errno);
	close(s);
}

static void replace_device(void)
{
	char command[128];

	snprintf(command, sizeof(command), "tests/vm/macsec-device %s", device);
	if (system(command)) // NOLINT(cert-env33-c): the test's own script
		client_die("cannot replace the device", EIO);
}

static void *meddle(void *seed)
{
	state = *(uint64_t *)seed;
	while (!atomic_load(&stop)) {
		usleep(20000 + (useconds_t)any(300000));
		if (*device && chance(2))
			replace_device();
		else
			flush_states();
	}
	return NULL;
}

/* --- in the end -------------------------------------------------------------------- */

static void delete_all(struct client *c)
{
	struct qkd_channel *r = (struct qkd_channel *)c->buf;
	struct qkd_channel one;
	int n;

	do {
		memset(r, 0, sizeof(*r));
		n = client_command(c, QKD_CMD_CHANNEL_LIST, 1);
		if (n != 1)
			break;
		one = (struct qkd_channel){.id = r->id};
		n = client_one(c, QKD_CMD_CHANNEL_DELETE, &one);
	} while (!n);
	if (n)
		wrong("a channel cannot be listed or deleted: %d", n);
}

static void expect(const char *what, int status)
{
	if (status)
		wrong("afterwards %s fails: %d", what, status);
}

/* The life of a channel, as it should be. */
static void live(struct client *c, uint32_t id)
{
	struct qkd_channel r = {0}, gone = {.id = id};
	struct qkd_key k = client_key(id, cipher_of(id), 10, 1);
	struct qkd_watermark w = {
		.channel = id, .first = 10, .last = 11, .peer_out = QKD_EPOCH_NONE};
	struct qkd_rollover o = {.channel = id};

	make_channel(&r, id);
	r.rollover_ms = 60000;
	expect("ADD", client_one(c, QKD_CMD_CHANNEL_ADD, &r));
	expect("KEY_PUT", client_one(c, QKD_CMD_KEY_PUT, &k));
	k = client_key(id, cipher_of(id), 11, 1);
	expect("KEY_PUT", client_one(c, QKD_CMD_KEY_PUT, &k));
	expect("WATERMARK", client_one(c, QKD_CMD_WATERMARK, &w));
	expect("ROLLOVER", client_one(c, QKD_CMD_ROLLOVER, &o));
	if (o.epoch != 11)
		wrong("afterwards epoch %llu is in use", o.epoch);
	expect("DELETE", client_one(c, QKD_CMD_CHANNEL_DELETE, &gone));
}

/* The first one loads what is missing. */
static void say_hello(void)
{
	struct client c;

	client_open(&c);
	client_hello(&c);
	client_close(&c);
}

static void clean_up(void)
{
	struct client c;
	uint32_t id;

	client_open(&c);
	client_hello(&c);
	delete_all(&c);
	for (id = 1; id <= (*device ? IDS : IDS - 1); id++)
		live(&c, id);
	client_close(&c);
}

static void run(uint64_t seed, unsigned int seconds)
{
	pthread_t t[THREADS + 2];
	uint64_t seeds[THREADS + 1];
	size_t i;

	for (i = 0; i <= THREADS; i++)
		seeds[i] = client_mix(seed + i);
	pthread_create(&t[THREADS + 1], NULL, read_events, NULL);
	pthread_create(&t[THREADS], NULL, meddle, &seeds[THREADS]);
	for (i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, give_commands, &seeds[i]);
	for (i = 0; i < seconds || atomic_load(&given) < ENOUGH; i++)
		sleep(1);
	atomic_store(&stop, true);
	for (i = 0; i < THREADS + 2; i++)
		pthread_join(t[i], NULL);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fputs("usage: qkdfuzz SEED SECONDS keep|clean [DEVICE]\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 4)
		device = argv[4];
	say_hello();
	run(strtoull(argv[1], NULL, 0), (unsigned int)strtoul(argv[2], NULL, 0));
	if (!strcmp(argv[3], "clean"))
		clean_up();
	printf("# seed %s: %lu commands, %lu of them taken\n", argv[1], atomic_load(&given),
	       atomic_load(&accepted));
	return atomic_load(&bad) || !atomic_load(&accepted);
}
