/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least client of /dev/qkd: a plain ring, one registered buffer, one
 * command at a time. For the module's tests; the daemon has its own.
 */
#ifndef QKD_TEST_CLIENT_H
#define QKD_TEST_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/qkd.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLIENT_BUFFER (256UL * 1024)

/** One open /dev/qkd; @buf is registered as buffer 0. */
struct client {
	int fd;
	struct io_uring ring;
	uint8_t *buf;
};

static inline void client_die(const char *what, int err)
{
	fprintf(stderr, "qkdtest: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

/** Opens the device in the network namespace of the caller; no HELLO yet. */
static inline void client_open(struct client *c)
{
	struct iovec iov;
	int err;

	c->fd = open("/dev/qkd", O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		client_die("/dev/qkd", errno);
	c->buf = mmap(NULL, CLIENT_BUFFER, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	if (c->buf == MAP_FAILED)
		client_die("mmap", errno);
	err = io_uring_queue_init(8, &c->ring, 0);
	if (err)
		client_die("io_uring", err);
	iov = (struct iovec){.iov_base = c->buf, .iov_len = CLIENT_BUFFER};
	err = io_uring_register_buffers(&c->ring, &iov, 1);
	if (err)
		client_die("registering a buffer", err);
}

/** Closes it, and what belongs to it. */
static inline void client_close(struct client *c)
{
	io_uring_queue_exit(&c->ring);
	munmap(c->buf, CLIENT_BUFFER);
	close(c->fd);
}

/** Sends @cmd as it is and waits. Return: cqe->res. */
static inline int client_raw(struct client *c, uint32_t op, const struct qkd_cmd *cmd,
			     uint32_t flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);
	struct io_uring_cqe *cqe;
	int err, res;

	if (!sqe)
		client_die("ring", EBUSY);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = c->fd;
	sqe->cmd_op = op;
	sqe->uring_cmd_flags = flags;
	sqe->buf_index = 0;
	memcpy((uint8_t *)sqe + offsetof(struct io_uring_sqe, addr3), cmd, sizeof(*cmd));
	err = io_uring_submit_and_wait(&c->ring, 1);
	if (err < 0)
		client_die("submit", err);
	err = io_uring_wait_cqe(&c->ring, &cqe);
	if (err < 0)
		client_die("wait", err);
	res = cqe->res;
	io_uring_cqe_seen(&c->ring, cqe);
	return res;
}

/** One command on @count records from the start of the buffer. Return: cqe->res. */
static inline int client_command(struct client *c, uint32_t op, uint32_t count)
{
	const struct qkd_cmd cmd = {.addr = (uintptr_t)c->buf, .count = count};

	return client_raw(c, op, &cmd, IORING_URING_CMD_FIXED);
}

/** One command on a copy of @record, which comes back. Return: its status. */
static inline int client_one(struct client *c, uint32_t op, void *record)
{
	size_t size = _IOC_SIZE(op);
	int32_t status;
	int res;

	memcpy(c->buf, record, size);
	res = client_command(c, op, 1);
	if (res < 0)
		return res;
	memcpy(record, c->buf, size);
	memcpy(&status, record, sizeof(status));
	return status;
}

/** QKD_CMD_HELLO. Return: what the module can do. */
static inline struct qkd_hello client_hello(struct client *c)
{
	struct qkd_hello hello = {.abi = QKD_ABI_VERSION};
	int err = client_one(c, QKD_CMD_HELLO, &hello);

	if (err)
		client_die("hello", err);
	return hello;
}

/** Fills @r with channel @id. Return: 0 or -ENOENT. */
static inline int client_channel(struct client *c, uint32_t id, struct qkd_channel *r)
{
	int n;

	memset(r, 0, sizeof(*r));
	r->id = id - 1;
	memcpy(c->buf, r, sizeof(*r));
	n = client_command(c, QKD_CMD_CHANNEL_LIST, 1);
	if (n < 0)
		client_die("list", n);
	memcpy(r, c->buf, sizeof(*r));
	return n == 1 && r->id == id ? 0 : -ENOENT;
}

static inline uint64_t client_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline void client_fill(void *to, size_t len, uint64_t seed)
{
	uint8_t *p = to;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)client_mix(seed + i);
}

/** Test material of one direction: a function of its arguments, at both ends. */
static inline void client_material(struct qkd_material *m, uint8_t cipher, uint64_t epoch,
				   int from_a)
{
	uint64_t seed = client_mix(epoch * 2 + (from_a ? 1 : 0)) * 1024;
	size_t salt = cipher == QKD_CIPHER_GCM_AES_XPN_256 ? QKD_SALT_BYTES
		      : cipher == QKD_CIPHER_GCM_AES_256   ? 0
							   : QKD_ESP_SALT_BYTES;

	memset(m, 0, sizeof(*m));
	client_fill(m->key, sizeof(m->key), seed);
	client_fill(m->salt, salt, seed + 512);
}

/** The record that puts @epoch on channel @id, at end a or b. */
static inline struct qkd_key client_key(uint32_t id, uint8_t cipher, uint64_t epoch, int is_a)
{
	struct qkd_key k = {.channel = id, .epoch = epoch};

	client_fill(k.key_id, sizeof(k.key_id), epoch * 64 + 7);
	client_material(&k.out, cipher, epoch, is_a);
	client_material(&k.in, cipher, epoch, !is_a);
	return k;
}

#endif
