// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one ESP SA costs to install: by netlink, as key daemons do, and through
 * /dev/qkd. Both sides get the same number of SAs with the same SPIs and
 * addresses, since hash chains are part of the cost.
 *
 *   sa_cost netlink PAIRS BATCH     BATCH 1: each message is acknowledged
 *   sa_cost qkd PAIRS BATCH
 *
 * A pair is an inbound and an outbound SA. One round of PAIRS warms up (crypto
 * modules, hash tables, slabs), the second is measured: it prints the
 * nanoseconds of CLOCK_MONOTONIC for one SA. Under QEMU's instruction counter
 * that is the number of guest instructions (tests/vm/run --icount).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <libmnl/libmnl.h>
#include <linux/qkd.h>
#include <linux/xfrm.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "spi.h"

#define BATCH_MAX    256
#define MESSAGE_ROOM 1024

static const uint8_t spi_key[16] = "sa_cost spi key";

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "sa_cost: %s: %s\n", what, strerror(err));
	exit(1);
}

static uint32_t local_address(void)
{
	return htonl(0xc0000201); /* 192.0.2.1 */
}

static uint32_t remote_address(uint32_t pair)
{
	return htonl(0x0b000000 + pair); /* 11.0.0.0/8: one peer for each channel */
}

static void fill_key(uint8_t *key, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		key[i] = seed >> 33;
	}
}

/* ---- netlink ---- */

struct netlink {
	struct mnl_socket *socket;
	uint8_t buffer[BATCH_MAX * MESSAGE_ROOM];
	uint32_t sequence;
};

static struct nlmsghdr *put_newsa(void *at, uint32_t seq, uint16_t flags, uint32_t pair,
				  uint64_t epoch, enum qkd_direction direction)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(at);
	struct xfrm_usersa_info *sa;
	struct {
		struct xfrm_algo_aead algo;
		uint8_t key[36];
	} aead = {
		.algo = {.alg_name = "rfc4106(gcm(aes))", .alg_key_len = 288, .alg_icv_len = 128}};
	struct {
		struct xfrm_replay_state_esn esn;
		uint32_t bitmap[4];
	} replay = {.esn = {.bmp_len = 4, .replay_window = 128}};
	bool out = direction == QKD_DIRECTION_HIGH_TO_LOW;

	header->nlmsg_type = XFRM_MSG_NEWSA;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | flags;
	header->nlmsg_seq = seq;
	sa = mnl_nlmsg_put_extra_header(header, sizeof(*sa));
	sa->family = AF_INET;
	sa->mode = XFRM_MODE_TUNNEL;
	sa->reqid = pair + 1;
	sa->flags = XFRM_STATE_ESN;
	sa->id.proto = IPPROTO_ESP;
	sa->id.spi = htonl(qkd_spi(spi_key, direction, epoch * 100000 + pair));
	sa->id.daddr.a4 = out ? remote_address(pair) : local_address();
	sa->saddr.a4 = out ? local_address() : remote_address(pair);
	sa->lft.soft_byte_limit = sa->lft.hard_byte_limit = XFRM_INF;
	sa->lft.soft_packet_limit = sa->lft.hard_packet_limit = XFRM_INF;
	fill_key(aead.key, sizeof(aead.key), pair * 2 + out + (epoch << 32));
	mnl_attr_put(header, XFRMA_ALG_AEAD, sizeof(aead), &aead);
	mnl_attr_put(header, XFRMA_REPLAY_ESN_VAL, sizeof(replay), &replay);
	return header;
}

static void netlink_acknowledged(struct netlink *netlink)
{
	uint8_t answer[8192];
	ssize_t len = mnl_socket_recvfrom(netlink->socket, answer, sizeof(answer));
	struct nlmsgerr *error;

	if (len < (ssize_t)(sizeof(struct nlmsghdr) + sizeof(*error)))
		die("netlink answer", EPROTO);
	error = mnl_nlmsg_get_payload((struct nlmsghdr *)answer);
	if (error->error)
		die("XFRM_MSG_NEWSA", -error->error);
}

/* One round: 2 * pairs SAs. Only the last message of a batch is acknowledged. */
static void netlink_round(struct netlink *netlink, uint32_t pairs, uint32_t batch, uint64_t epoch)
{
	uint32_t total = pairs * 2, done = 0;

	while (done < total) {
		size_t used = 0;
		uint32_t n = total - done < batch ? total - done : batch;

		for (uint32_t i = 0; i < n; i++) {
			uint32_t sa = done + i;
			struct nlmsghdr *header = put_newsa(
				netlink->buffer + used, ++netlink->sequence,
				i == n - 1 ? NLM_F_ACK : 0, sa / 2, epoch,
				sa % 2 ? QKD_DIRECTION_HIGH_TO_LOW : QKD_DIRECTION_LOW_TO_HIGH);

			used += MNL_ALIGN(header->nlmsg_len);
		}
		if (mnl_socket_sendto(netlink->socket, netlink->buffer, used) < 0)
			die("netlink send", errno);
		netlink_acknowledged(netlink);
		done += n;
	}
}

static double netlink_cost(uint32_t pairs, uint32_t batch)
{
	static struct netlink netlink;
	uint64_t start;

	netlink.socket = mnl_socket_open(NETLINK_XFRM);
	if (!netlink.socket || mnl_socket_bind(netlink.socket, 0, MNL_SOCKET_AUTOPID) < 0)
		die("netlink socket", errno);
	netlink_round(&netlink, pairs, batch, 0);
	start = now_ns();
	netlink_round(&netlink, pairs, batch, 1);
	return (double)(now_ns() - start) / (2.0 * pairs);
}

/* ---- /dev/qkd ---- */

union record {
	struct qkd_hello hello;
	struct qkd_channel channel;
	struct qkd_key key;
	struct qkd_watermark watermark;
	struct qkd_rollover rollover;
};

struct device {
	int fd;
	struct io_uring ring;
	void *records;
};

static void device_open(struct device *device)
{
	struct iovec all = {.iov_len = BATCH_MAX * sizeof(union record)};
	int err;

	device->fd = open("/dev/qkd", O_RDWR | O_CLOEXEC);
	if (device->fd < 0)
		die("/dev/qkd", errno);
	err = io_uring_queue_init(8, &device->ring, 0);
	if (err)
		die("io_uring", -err);
	device->records =
		mmap(NULL, all.iov_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (device->records == MAP_FAILED)
		die("mmap", errno);
	all.iov_base = device->records;
	err = io_uring_register_buffers(&device->ring, &all, 1);
	if (err)
		die("io_uring buffer", -err);
}

static void device_command(struct device *device, uint32_t cmd, uint32_t count, const char *what)
{
	struct qkd_cmd payload = {.addr = (uintptr_t)device->records, .count = count};
	struct io_uring_sqe *sqe = io_uring_get_sqe(&device->ring);
	struct io_uring_cqe *cqe;
	int res;

	if (!sqe)
		die("io_uring: the ring is full", EAGAIN);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = device->fd;
	sqe->cmd_op = cmd;
	sqe->rw_flags = 1; /* IORING_URING_CMD_FIXED */
	memcpy((uint8_t *)sqe + offsetof(struct io_uring_sqe, addr3), &payload, sizeof(payload));
	res = io_uring_submit_and_wait(&device->ring, 1);
	if (res < 0)
		die("io_uring", -res);
	res = io_uring_wait_cqe(&device->ring, &cqe);
	if (res < 0)
		die("io_uring", -res);
	res = cqe->res;
	io_uring_cqe_seen(&device->ring, cqe);
	if (res < 0)
		die(what, -res);
	if ((uint32_t)res != count) {
		fprintf(stderr, "sa_cost: %s: %d of %u records, first status %d\n", what, res,
			count, *(int *)device->records);
		exit(1);
	}
}

static void channels_add(struct device *device, uint32_t pairs)
{
	uint32_t remote, local = local_address();

	for (uint32_t pair = 0; pair < pairs; pair++) {
		struct qkd_channel *channel = device->records;

		*channel = (struct qkd_channel){
			.id = pair + 1,
			.kind = QKD_KIND_ESP_TUNNEL,
			.cipher = QKD_CIPHER_AES_256_GCM,
			.on_exhausted = QKD_EXHAUSTED_HOLD,
			.flags = QKD_CHANNEL_ESN,
			.lookahead = 4,
			.family = AF_INET,
			.rollover_ms = 86400000,
			.grace_ms = 60000,
			.reqid = pair + 1,
			.replay_window = 128,
		};
		remote = remote_address(pair);
		memcpy(channel->spi_key, spi_key, sizeof(spi_key));
		memcpy(channel->local, &local, sizeof(local));
		memcpy(channel->remote, &remote, sizeof(remote));
		snprintf(channel->name, sizeof(channel->name), "bench%u", pair);
		/* the same SPIs as by netlink: one run of epochs for each channel */
		channel->first_epoch = pair;
		device_command(device, QKD_CMD_CHANNEL_ADD, 1, "CHANNEL_ADD");
	}
}

static uint64_t epoch_of(uint32_t pair, uint64_t epoch)
{
	return epoch * 100000 + pair;
}

static void put_keys(struct device *device, uint32_t from, uint32_t n, uint64_t epoch)
{
	struct qkd_key *key = device->records;

	memset(key, 0, n * sizeof(*key));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t pair = from + i;

		key[i].channel = pair + 1;
		key[i].epoch = epoch_of(pair, epoch);
		memcpy(key[i].key_id, &key[i].epoch, sizeof(key[i].epoch));
		fill_key(key[i].in.key, QKD_KEY_BYTES, pair * 2 + (epoch << 32));
		fill_key(key[i].in.salt, QKD_ESP_SALT_BYTES, pair * 2 + (epoch << 33));
		fill_key(key[i].out.key, QKD_KEY_BYTES, pair * 2 + 1 + (epoch << 32));
		fill_key(key[i].out.salt, QKD_ESP_SALT_BYTES, pair * 2 + 1 + (epoch << 33));
	}
	device_command(device, QKD_CMD_KEY_PUT, n, "KEY_PUT");
}

static void put_watermarks(struct device *device, uint32_t from, uint32_t n, uint64_t epoch)
{
	struct qkd_watermark *watermark = device->records;

	memset(watermark, 0, n * sizeof(*watermark));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t pair = from + i;

		watermark[i].channel = pair + 1;
		watermark[i].first = epoch_of(pair, 0);
		watermark[i].last = epoch_of(pair, epoch);
		watermark[i].peer_out = QKD_EPOCH_NONE;
	}
	device_command(device, QKD_CMD_WATERMARK, n, "WATERMARK");
}

static void roll_over(struct device *device, uint32_t from, uint32_t n)
{
	struct qkd_rollover *rollover = device->records;

	memset(rollover, 0, n * sizeof(*rollover));
	for (uint32_t i = 0; i < n; i++)
		rollover[i].channel = from + i + 1;
	device_command(device, QKD_CMD_ROLLOVER, n, "ROLLOVER");
}

/* One round: every channel's next epoch stands inbound and is in use outbound. */
static void device_round(struct device *device, uint32_t pairs, uint32_t batch, uint64_t epoch)
{
	for (uint32_t done = 0; done < pairs;) {
		uint32_t n = pairs - done < batch ? pairs - done : batch;

		put_keys(device, done, n, epoch);
		put_watermarks(device, done, n, epoch);
		if (epoch > 0)
			roll_over(device, done, n);
		done += n;
	}
}

static double device_cost(uint32_t pairs, uint32_t batch)
{
	struct qkd_hello *hello;
	struct device device;
	uint64_t start;

	device_open(&device);
	hello = device.records;
	hello->abi = QKD_ABI_VERSION;
	device_command(&device, QKD_CMD_HELLO, 1, "HELLO");
	channels_add(&device, pairs);
	device_round(&device, pairs, batch, 0);
	start = now_ns();
	device_round(&device, pairs, batch, 1);
	return (double)(now_ns() - start) / (2.0 * pairs);
}

int main(int argc, char **argv)
{
	uint32_t pairs = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	uint32_t batch = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

	if (pairs < 1 || pairs > 100000 || batch < 1 || batch > BATCH_MAX) {
		fprintf(stderr, "usage: sa_cost netlink|qkd PAIRS BATCH\n");
		return 2;
	}
	if (!strcmp(argv[1], "netlink"))
		printf("%.0f\n", netlink_cost(pairs, batch));
	else if (!strcmp(argv[1], "qkd"))
		printf("%.0f\n", device_cost(pairs, batch));
	else
		return 2;
	return 0;
}
