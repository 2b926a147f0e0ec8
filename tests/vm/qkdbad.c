// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything that /dev/qkd must refuse, and how; then many threads at once.
 * Prints TAP; needs root in a network namespace of its own.
 */
#include <arpa/inet.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>

#include "qkdclient.h"

static int tests, failed;

static void check(const char *name, long got, long expected)
{
	tests++;
	if (got == expected) {
		printf("ok %d - %s\n", tests, name);
		return;
	}
	failed++;
	printf("not ok %d - %s\n#   got %ld, expected %ld\n", tests, name, got, expected);
}

static struct qkd_channel channel(uint32_t id)
{
	struct qkd_channel r = {
		.id = id,
		.kind = QKD_KIND_ESP_TUNNEL,
		.cipher = QKD_CIPHER_AES_256_GCM,
		.on_exhausted = QKD_EXHAUSTED_HOLD,
		.lookahead = 2,
		.family = AF_INET,
		.rollover_ms = 60000,
		.grace_ms = 100,
		.hard_ms = 60000,
		.reqid = id,
		.replay_window = 64,
		.local = {10, 0, 0, 1},
		.remote = {10, 0, 0, 2},
		.name = "bad",
	};

	r.spi_key[0] = (uint8_t)id;
	return r;
}

static long raw(struct client *c, uint32_t op, uint64_t addr, uint32_t count, uint32_t cmd_flags,
		uint32_t sqe_flags)
{
	const struct qkd_cmd cmd = {.addr = addr, .count = count, .flags = cmd_flags};

	return client_raw(c, op, &cmd, sqe_flags);
}

static void bad_hello(struct client *c)
{
	struct qkd_hello h = {.abi = QKD_ABI_VERSION};
	struct qkd_channel list = {0};

	check("nothing before HELLO", client_one(c, QKD_CMD_CHANNEL_LIST, &list), -EPROTO);
	h.reserved[3] = 1;
	check("HELLO with a reserved field", client_one(c, QKD_CMD_HELLO, &h), -EINVAL);
	h = (struct qkd_hello){.abi = QKD_ABI_VERSION + 1};
	check("HELLO of another ABI", client_one(c, QKD_CMD_HELLO, &h), -EPROTONOSUPPORT);
	check("which is told ours", h.abi, QKD_ABI_VERSION);
	h = (struct qkd_hello){.abi = QKD_ABI_VERSION, .features = 1ULL << 63};
	check("HELLO that wants what is not there", client_one(c, QKD_CMD_HELLO, &h), -EOPNOTSUPP);
	check("still nothing", client_one(c, QKD_CMD_CHANNEL_LIST, &list), -EPROTO);
	h = (struct qkd_hello){.abi = QKD_ABI_VERSION,
			       .features = QKD_FEATURE_ESP | QKD_FEATURE_ESP_CHACHA |
					   QKD_FEATURE_MACSEC | QKD_FEATURE_MACSEC_XPN};
	check("HELLO that wants what is there", client_one(c, QKD_CMD_HELLO, &h), 0);
	check("batch limit", h.max_batch, 256);
}

static void bad_commands(struct client *c)
{
	const uint32_t fixed = IORING_URING_CMD_FIXED;
	const uint64_t buf = (uintptr_t)c->buf, end = buf + CLIENT_BUFFER;
	const uint32_t list = QKD_CMD_CHANNEL_LIST;
	const uint64_t size = sizeof(struct qkd_channel);

	memset(c->buf, 0, CLIENT_BUFFER);
	check("no such command", raw(c, _IOWR('q', 0x7f, struct qkd_channel), buf, 1, 0, fixed),
	      -ENOTTY);
	check("another record size", raw(c, _IOWR('q', 0x12, struct qkd_epoch), buf, 1, 0, fixed),
	      -ENOTTY);
	check("another direction", raw(c, _IOR('q', 0x12, struct qkd_channel), buf, 1, 0, fixed),
	      -ENOTTY);
	check("command 0", raw(c, 0, buf, 1, 0, fixed), -ENOTTY);
	check("no records", raw(c, list, buf, 0, 0, fixed), -EINVAL);
	check("flags", raw(c, list, buf, 1, 1, fixed), -EINVAL);
	check("no registered buffer", raw(c, list, buf, 1, 0, 0), -EINVAL);
	check("unaligned", raw(c, list, buf + 4, 1, 0, fixed), -EINVAL);
	check("too many records", raw(c, list, buf, 257, 0, fixed), -E2BIG);
	check("far too many", raw(c, list, buf, UINT32_MAX, 0, fixed), -E2BIG);
	check("as many as allowed", raw(c, list, buf, 256, 0, fixed), 0);
	check("outside the buffer", raw(c, list, end, 1, 0, fixed), -EFAULT);
	check("before the buffer", raw(c, list, buf - 8, 1, 0, fixed), -EFAULT);
	check("across its end", raw(c, list, end - size + 8, 1, 0, fixed), -EFAULT);
	check("up to its end", raw(c, list, end - size, 1, 0, fixed), 0);
	check("address 0", raw(c, list, 0, 1, 0, fixed), -EFAULT);
	check("across the end of memory", raw(c, list, ~7ULL, 1, 0, fixed), -EFAULT);
}

#define ADD_WITH(text, field, value)                                                               \
	do {                                                                                       \
		struct qkd_channel r_ = channel(1);                                                \
		r_.field = (value);                                                                \
		check("ADD with " text, client_one(c, QKD_CMD_CHANNEL_ADD, &r_), -EINVAL);         \
	} while (0)

static void bad_channels(struct client *c)
{
	struct qkd_channel r;

	ADD_WITH("id 0", id, 0);
	ADD_WITH("no kind", kind, 0);
	ADD_WITH("unknown kind", kind, 9);
	ADD_WITH("MACsec's cipher", cipher, QKD_CIPHER_GCM_AES_256);
	ADD_WITH("unknown cipher", cipher, 0x80);
	ADD_WITH("no on_exhausted", on_exhausted, 0);
	ADD_WITH("a state", state, 1);
	ADD_WITH("unknown flag", flags, 1U << 31);
	ADD_WITH("no lookahead", lookahead, 0);
	ADD_WITH("much lookahead", lookahead, 257);
	ADD_WITH("no family", family, 0);
	ADD_WITH("short rollover_ms", rollover_ms, 99);
	ADD_WITH("long rollover_ms", rollover_ms, 86400001);
	ADD_WITH("short grace_ms", grace_ms, 99);
	ADD_WITH("long grace_ms", grace_ms, 60001);
	ADD_WITH("a hard limit that is none", on_exhausted, QKD_EXHAUSTED_BLOCK);
	ADD_WITH("no reqid", reqid, 0);
	ADD_WITH("mark outside its mask", mark, 1);
	ADD_WITH("no replay window", replay_window, 0);
	ADD_WITH("large replay window", replay_window, 4097);
	ADD_WITH("ifindex", ifindex, 1);
	ADD_WITH("sci_peer", sci_peer[0], 1);
	ADD_WITH("equal addresses", local[3], 2);
	ADD_WITH("multicast address", remote[0], 224);
	ADD_WITH("more than an IPv4 address", local[4], 1);
	ADD_WITH("first_epoch beyond the last", first_epoch, QKD_EPOCH_NONE);
	ADD_WITH("a control character in its name", name[1], '\n');
	ADD_WITH("a name that is not padded", name[20], 'x');
	ADD_WITH("a reserved field", reserved[2], 1);
	r = channel(1);
	r.kind = QKD_KIND_MACSEC;
	check("ADD of MACsec with ESP's fields", client_one(c, QKD_CMD_CHANNEL_ADD, &r), -EINVAL);
	r = (struct qkd_channel){.id = 5, .reserved = {1}};
	check("DELETE with a reserved field", client_one(c, QKD_CMD_CHANNEL_DELETE, &r), -EINVAL);
	r = (struct qkd_channel){.id = 5, .flags = QKD_CHANNEL_ESN};
	check("DELETE with a flag", client_one(c, QKD_CMD_CHANNEL_DELETE, &r), -EINVAL);
	r = (struct qkd_channel){.id = 5};
	check("DELETE of none", client_one(c, QKD_CMD_CHANNEL_DELETE, &r), -ENOENT);
	r = (struct qkd_channel){.reserved = {1}};
	memcpy(c->buf, &r, sizeof(r));
	check("LIST with a reserved field", client_command(c, QKD_CMD_CHANNEL_LIST, 1), 0);
	check("says so", ((struct qkd_channel *)c->buf)->status, -EINVAL);
	r = (struct qkd_channel){.id = 5, .status = -1};
	memcpy(c->buf, &r, sizeof(r));
	check("LIST of none", client_command(c, QKD_CMD_CHANNEL_LIST, 1), 0);
	check("is no error", ((struct qkd_channel *)c->buf)->status, 0);
}

/* The status, and that nothing of the key is left. */
static long put(struct client *c, struct qkd_key key)
{
	struct qkd_key empty = {.channel = key.channel, .epoch = key.epoch};
	long status = client_one(c, QKD_CMD_KEY_PUT, &key);

	empty.status = (int32_t)status;
	return memcmp(&key, &empty, sizeof(key)) || memcmp(c->buf, &empty, sizeof(key)) ? 1
											: status;
}

static void bad_keys(struct client *c)
{
	const struct qkd_key good = client_key(1, QKD_CIPHER_AES_256_GCM, 0, 1);
	struct qkd_key k = good;

	k.channel = 99;
	check("KEY_PUT on no channel", put(c, k), -ENOENT);
	k.channel = 0;
	check("KEY_PUT on channel 0", put(c, k), -EINVAL);
	k = good;
	k.in.reserved = 1;
	check("KEY_PUT with a reserved field, in", put(c, k), -EINVAL);
	k = good;
	k.out.reserved = 1;
	check("KEY_PUT with a reserved field, out", put(c, k), -EINVAL);
	k = good;
	memset(k.in.key, 0, sizeof(k.in.key));
	check("KEY_PUT with no key, in", put(c, k), -EINVAL);
	k = good;
	memset(k.out.key, 0, sizeof(k.out.key));
	check("KEY_PUT with no key, out", put(c, k), -EINVAL);
	memcpy(k.out.key, k.in.key, sizeof(k.in.key));
	check("KEY_PUT with one key for both directions", put(c, k), -EINVAL);
	k = good;
	k.out.salt[QKD_ESP_SALT_BYTES] = 1;
	check("KEY_PUT with a long salt", put(c, k), -EINVAL);
	k = good;
	k.epoch = QKD_EPOCH_NONE;
	check("KEY_PUT beyond the last epoch", put(c, k), -ERANGE);
	check("KEY_PUT as it should be", put(c, good), 0);
	check("KEY_PUT of the same again", put(c, good), -ESTALE);
	check("KEY_PUT of the next", put(c, client_key(1, QKD_CIPHER_AES_256_GCM, 1, 1)), 0);
	k = client_key(1, QKD_CIPHER_AES_256_GCM, 2, 1);
	check("KEY_PUT above the lookahead", put(c, k), -ENOBUFS);
}

static void bad_others(struct client *c)
{
	struct qkd_watermark w = {.channel = 1, .first = 1, .last = 0};
	struct qkd_rollover r = {.channel = 1, .epoch = 1};
	struct qkd_retire d = {.channel = 1, .epoch = 77};
	struct qkd_counters n = {.channel = 1, .reserved = {0, 0, 0, 1}};
	struct qkd_epoch *e = (struct qkd_epoch *)c->buf;

	check("WATERMARK upside down", client_one(c, QKD_CMD_WATERMARK, &w), -EINVAL);
	w = (struct qkd_watermark){.channel = 1, .flags = 2};
	check("WATERMARK with an unknown flag", client_one(c, QKD_CMD_WATERMARK, &w), -EINVAL);
	w = (struct qkd_watermark){.channel = 1, .reserved32 = 2};
	check("WATERMARK with a reserved number", client_one(c, QKD_CMD_WATERMARK, &w), -EINVAL);
	w = (struct qkd_watermark){.channel = 1, .reserved = {0, 1}};
	check("WATERMARK with a reserved field", client_one(c, QKD_CMD_WATERMARK, &w), -EINVAL);
	w = (struct qkd_watermark){.channel = 99};
	check("WATERMARK of no channel", client_one(c, QKD_CMD_WATERMARK, &w), -ENOENT);
	check("ROLLOVER to an epoch", client_one(c, QKD_CMD_ROLLOVER, &r), -EINVAL);
	r = (struct qkd_rollover){.channel = 99};
	check("ROLLOVER of no channel", client_one(c, QKD_CMD_ROLLOVER, &r), -ENOENT);
	r.channel = 1;
	check("ROLLOVER without the peer", client_one(c, QKD_CMD_ROLLOVER, &r), -EAGAIN);
	check("RETIRE of no epoch", client_one(c, QKD_CMD_RETIRE, &d), -ENOENT);
	d.channel = 99;
	check("RETIRE of no channel", client_one(c, QKD_CMD_RETIRE, &d), -ENOENT);
	d.reserved[1] = 1;
	check("RETIRE with a reserved field", client_one(c, QKD_CMD_RETIRE, &d), -EINVAL);
	check("COUNTERS with a reserved field", client_one(c, QKD_CMD_COUNTERS, &n), -EINVAL);
	n = (struct qkd_counters){.channel = 99};
	check("COUNTERS of no channel", client_one(c, QKD_CMD_COUNTERS, &n), -ENOENT);
	*e = (struct qkd_epoch){.channel = 99};
	check("EPOCH_LIST of no channel", client_command(c, QKD_CMD_EPOCH_LIST, 4), 0);
	check("says so", e->status, -ENOENT);
	*e = (struct qkd_epoch){.channel = 1, .reserved32 = 1};
	check("EPOCH_LIST with a reserved field", client_command(c, QKD_CMD_EPOCH_LIST, 4), 0);
	check("says so", e->status, -EINVAL);
	*e = (struct qkd_epoch){.channel = 1, .epoch = 1};
	check("EPOCH_LIST from epoch 1", client_command(c, QKD_CMD_EPOCH_LIST, 4), 1);
	*e = (struct qkd_epoch){.channel = 1, .epoch = 2, .status = -1};
	check("EPOCH_LIST of none", client_command(c, QKD_CMD_EPOCH_LIST, 4), 0);
	check("is no error", e->status, 0);
}

/* One bad record in the middle does not stop the others. */
static void mixed_batch(struct client *c)
{
	struct qkd_channel *r = (struct qkd_channel *)c->buf;
	int i;

	for (i = 0; i < 10; i++)
		r[i] = channel(100 + (uint32_t)i);
	r[4].reserved[0] = 1;
	r[7].id = 100;
	check("ADD of ten, two of them bad", client_command(c, QKD_CMD_CHANNEL_ADD, 10), 8);
	check("the fifth", r[4].status, -EINVAL);
	check("the eighth", r[7].status, -EEXIST);
	check("the last", r[9].status, 0);
	memset(r, 0, sizeof(*r));
	r->id = 99;
	check("LIST of three", client_command(c, QKD_CMD_CHANNEL_LIST, 3), 3);
	check("in order", r[0].id * 10000 + r[1].id * 100 + r[2].id, 1010202);
	for (i = 0; i < 10; i++)
		r[i] = (struct qkd_channel){.id = 100 + (uint32_t)i};
	check("DELETE of ten, two of them not there", client_command(c, QKD_CMD_CHANNEL_DELETE, 10),
	      8);
}

static void reading(struct client *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct qkd_event e[4];
	struct qkd_channel r = channel(200);

	check("read of less than an event", read(c->fd, e, sizeof(*e) - 1) < 0 ? errno : 0, EINVAL);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	while (read(c->fd, e, sizeof(e)) > 0)
		;
	check("read without an event", errno, EAGAIN);
	check("poll without an event", poll(&p, 1, 0), 0);
	fcntl(c->fd, F_SETFL, 0);
	sqe = io_uring_get_sqe(&c->ring);
	if (!sqe)
		client_die("ring", EBUSY);
	io_uring_prep_read(sqe, c->fd, e, sizeof(e), 0);
	io_uring_submit(&c->ring);
	check("a read in the ring waits", io_uring_peek_cqe(&c->ring, &cqe), -EAGAIN);
	{
		struct client other;

		client_open(&other);
		client_hello(&other);
		check("another file adds a channel", client_one(&other, QKD_CMD_CHANNEL_ADD, &r),
		      0);
		r = (struct qkd_channel){.id = 200};
		check("and deletes it", client_one(&other, QKD_CMD_CHANNEL_DELETE, &r), 0);
		client_close(&other);
	}
	if (io_uring_wait_cqe(&c->ring, &cqe))
		client_die("wait", EIO);
	check("the read ends with whole events", cqe->res > 0 && cqe->res % (int)sizeof(*e) == 0,
	      1);
	io_uring_cqe_seen(&c->ring, cqe);
	check("the first tells it", e[0].type == QKD_EVENT_ADDED && e[0].channel == 200, 1);
}

/* More events than a reader's queue holds: the oldest go, and it is told. */
static void lost_events(struct client *c)
{
	struct qkd_channel *r = (struct qkd_channel *)c->buf;
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct qkd_event e;
	uint64_t seen = 0;
	int i;

	if (nowhere == MAP_FAILED)
		client_die("mmap", errno);

	for (i = 0; i < 600; i++) {
		*r = channel(300);
		client_command(c, QKD_CMD_CHANNEL_ADD, 1);
		*r = (struct qkd_channel){.id = 300};
		client_command(c, QKD_CMD_CHANNEL_DELETE, 1);
	}
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	check("read to nowhere", read(c->fd, nowhere, sizeof(e)) < 0 ? errno : 0, EFAULT);
	if (read(c->fd, &e, sizeof(e)) != sizeof(e))
		client_die("read", EIO);
	check("a slow reader is told at once", e.lost >= 176, 1);
	for (seen = 1 + e.lost; read(c->fd, &e, sizeof(e)) == sizeof(e); seen++)
		seen += e.lost;
	check("and exactly", seen >= 1200 && seen <= 1201, 1);
}

/* Rings that the daemon might use, and one that older kernels refuse commands on. */
static void other_rings(void)
{
	static const struct {
		const char *name;
		uint32_t flags;
		int refused;
	} rings[] = {
		{"a ring of large entries", IORING_SETUP_SQE128 | IORING_SETUP_CQE32, 0},
		{"a ring of one task", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0},
		{"a ring that busy-polls", IORING_SETUP_IOPOLL, -EOPNOTSUPP},
	};
	size_t i;

	for (i = 0; i < sizeof(rings) / sizeof(*rings); i++) {
		struct qkd_hello h = {.abi = QKD_ABI_VERSION};
		struct client c;
		struct iovec iov;
		int err;

		client_open(&c);
		io_uring_queue_exit(&c.ring);
		if (io_uring_queue_init(8, &c.ring, rings[i].flags))
			client_die(rings[i].name, EINVAL);
		iov = (struct iovec){.iov_base = c.buf, .iov_len = CLIENT_BUFFER};
		io_uring_register_buffers(&c.ring, &iov, 1);
		err = client_one(&c, QKD_CMD_HELLO, &h);
		if (!err && !h.features)
			err = -EIO; /* nobody has looked at the record */
		check(rings[i].name, err == rings[i].refused ? 0 : err, 0);
		client_close(&c);
	}
}

static void drop_capability(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &header, data);
	data[0].effective &= ~(1U << CAP_NET_ADMIN);
	data[0].permitted &= ~(1U << CAP_NET_ADMIN);
	syscall(SYS_capset, &header, data);
}

static void without_capability(struct client *c)
{
	struct qkd_channel list = {0};
	int fd;

	drop_capability();
	check("a command without CAP_NET_ADMIN", client_one(c, QKD_CMD_CHANNEL_LIST, &list),
	      -EPERM);
	fd = open("/dev/qkd", O_RDWR | O_CLOEXEC);
	check("open without CAP_NET_ADMIN", fd < 0 ? errno : 0, EPERM);
}

/* --- many at once: nothing to check but that all goes on ------------------- */

static volatile bool stop;

static void random_put(struct client *c, uint64_t seed)
{
	struct qkd_key *k = (struct qkd_key *)c->buf;
	uint32_t i;

	for (i = 0; i < 4; i++)
		k[i] = client_key(1 + seed % 3, QKD_CIPHER_AES_256_GCM, seed / 64 + i, 1);
	client_command(c, QKD_CMD_KEY_PUT, 4);
}

static void random_step(struct client *c, uint64_t seed)
{
	uint32_t id = 1 + seed % 3;
	uint64_t base = seed / 64;
	struct qkd_channel r = channel(id), gone = {.id = id};
	struct qkd_watermark w = {.channel = id, .last = base + 4, .peer_out = base};
	struct qkd_rollover o = {.channel = id};
	struct qkd_retire d = {.channel = id, .epoch = base + 1};

	r.rollover_ms = 100;
	switch (seed / 3 % 8) {
	case 0:
		client_one(c, QKD_CMD_CHANNEL_ADD, &r);
		break;
	case 1:
		if (seed % 5 == 0)
			client_one(c, QKD_CMD_CHANNEL_DELETE, &gone);
		break;
	case 2:
		client_one(c, QKD_CMD_WATERMARK, &w);
		break;
	case 3:
		client_one(c, QKD_CMD_ROLLOVER, &o);
		break;
	case 4:
		client_one(c, QKD_CMD_RETIRE, &d);
		break;
	case 5:
		memset(c->buf, 0, sizeof(struct qkd_channel));
		client_command(c, QKD_CMD_CHANNEL_LIST, 8);
		break;
	default:
		random_put(c, seed);
	}
}

static void *crowd(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 1000003;
	struct client c;

	client_open(&c);
	client_hello(&c);
	for (; !stop; seed++)
		random_step(&c, client_mix(seed) % 4096 + seed / 16 % 4096 * 64);
	client_close(&c);
	return NULL;
}

/* Writes all over the records while the module reads them. */
static void *scribble(void *arg)
{
	uint8_t *buf = arg;
	uint64_t seed = 1;

	while (!stop) {
		seed = client_mix(seed + 1);
		buf[seed % 1024] ^= (uint8_t)(seed >> 32);
	}
	return NULL;
}

static void many_at_once(void)
{
	struct qkd_channel r = channel(1);
	struct timespec a, b;
	pthread_t t[5];
	struct client c;
	uint64_t n = 0;
	size_t i;

	client_open(&c);
	client_hello(&c);
	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, crowd, (void *)(i + 1));
	pthread_create(&t[4], NULL, scribble, c.buf);
	clock_gettime(CLOCK_MONOTONIC, &a);
	do {
		random_put(&c, n++);
		clock_gettime(CLOCK_MONOTONIC, &b);
	} while (b.tv_sec - a.tv_sec < 8);
	stop = true;
	for (i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	for (i = 1; i <= 3; i++) {
		r = (struct qkd_channel){.id = (uint32_t)i};
		client_one(&c, QKD_CMD_CHANNEL_DELETE, &r);
	}
	memset(c.buf, 0, sizeof(r));
	check("a crowd leaves nothing behind", client_command(&c, QKD_CMD_CHANNEL_LIST, 8), 0);
	client_close(&c);
}

int main(void)
{
	struct qkd_channel r = channel(1);
	struct client c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	client_open(&c);
	bad_hello(&c);
	bad_commands(&c);
	bad_channels(&c);
	check("ADD as it should be", client_one(&c, QKD_CMD_CHANNEL_ADD, &r), 0);
	bad_keys(&c);
	bad_others(&c);
	r = (struct qkd_channel){.id = 1};
	check("DELETE with keys standing", client_one(&c, QKD_CMD_CHANNEL_DELETE, &r), 0);
	mixed_batch(&c);
	reading(&c);
	lost_events(&c);
	other_rings();
	many_at_once();
	without_capability(&c);
	client_close(&c);
	printf("1..%d\n", tests);
	return failed != 0;
}
