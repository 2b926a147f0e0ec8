// SPDX-License-Identifier: GPL-2.0-or-later
/* SAs through /dev/qkd; see device.h. */
#include <sys/socket.h>

#include "bench.h"
#include "device.h"

void device_open(struct client *c)
{
	client_open(c);
	client_hello(c);
}

void device_command(struct client *c, uint32_t op, uint32_t count, const char *what)
{
	int n = client_command(c, op, count);
	size_t size = _IOC_SIZE(op);

	if (n < 0)
		bench_die(what, n);
	for (uint32_t i = 0; (uint32_t)n != count && i < count; i++) {
		int32_t status;

		memcpy(&status, c->buf + i * size, sizeof(status));
		if (status)
			bench_die(what, status);
	}
}

struct qkd_channel device_channel(uint32_t pair)
{
	uint32_t remote = pair_remote(pair), local = pair_local();
	struct qkd_channel channel = {
		.id = pair + 1,
		.kind = QKD_KIND_ESP_TUNNEL,
		.cipher = QKD_CIPHER_AES_256_GCM,
		.on_exhausted = QKD_EXHAUSTED_HOLD,
		.flags = QKD_CHANNEL_ESN,
		.lookahead = 4,
		.family = AF_INET,
		.rollover_ms = 86400000,
		.grace_ms = DEVICE_GRACE_MS,
		.reqid = pair + 1,
		.replay_window = 128,
		.first_epoch = pair_epoch(pair, 0),
	};

	memcpy(channel.spi_key, pair_spi_key, sizeof(pair_spi_key));
	memcpy(channel.local, &local, sizeof(local));
	memcpy(channel.remote, &remote, sizeof(remote));
	snprintf(channel.name, sizeof(channel.name), "bench%u", pair);
	return channel;
}

void device_add_channels_like(struct client *c, uint32_t from, uint32_t pairs,
			      const struct qkd_channel *like)
{
	struct qkd_channel *channel = (struct qkd_channel *)c->buf;

	for (uint32_t done = 0; done < pairs;) {
		uint32_t n = pairs - done < DEVICE_BATCH_MAX ? pairs - done : DEVICE_BATCH_MAX;

		for (uint32_t i = 0; i < n; i++) {
			channel[i] = device_channel(from + done + i);
			channel[i].lookahead = like->lookahead;
			channel[i].rollover_ms = like->rollover_ms;
			channel[i].soft_packets = like->soft_packets;
		}
		device_command(c, QKD_CMD_CHANNEL_ADD, n, "CHANNEL_ADD");
		done += n;
	}
}

void device_add_channels(struct client *c, uint32_t from, uint32_t pairs)
{
	const struct qkd_channel like = device_channel(0);

	device_add_channels_like(c, from, pairs, &like);
}

void device_put(struct client *c, uint32_t from, uint32_t n, uint32_t round)
{
	struct qkd_key *key = (struct qkd_key *)c->buf;

	memset(key, 0, n * sizeof(*key));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t pair = from + i;

		key[i].channel = pair + 1;
		key[i].epoch = pair_epoch(pair, round);
		memcpy(key[i].key_id, &key[i].epoch, sizeof(key[i].epoch));
		pair_material(&key[i].in, pair, round, false);
		pair_material(&key[i].out, pair, round, true);
	}
	device_command(c, QKD_CMD_KEY_PUT, n, "KEY_PUT");
}

void device_watermark(struct client *c, uint32_t from, uint32_t n, uint32_t round)
{
	struct qkd_watermark *watermark = (struct qkd_watermark *)c->buf;

	memset(watermark, 0, n * sizeof(*watermark));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t pair = from + i;

		watermark[i].channel = pair + 1;
		watermark[i].first = pair_epoch(pair, 0);
		watermark[i].last = pair_epoch(pair, round);
		watermark[i].peer_out = pair_epoch(pair, round ? round - 1 : 0);
	}
	device_command(c, QKD_CMD_WATERMARK, n, "WATERMARK");
}

void device_roll_over(struct client *c, uint32_t from, uint32_t n)
{
	struct qkd_rollover *rollover = (struct qkd_rollover *)c->buf;

	memset(rollover, 0, n * sizeof(*rollover));
	for (uint32_t i = 0; i < n; i++)
		rollover[i].channel = from + i + 1;
	device_command(c, QKD_CMD_ROLLOVER, n, "ROLLOVER");
}

void device_activate(struct client *c, uint32_t from, uint32_t n, uint32_t round)
{
	device_put(c, from, n, round);
	device_watermark(c, from, n, round);
	if (round)
		device_roll_over(c, from, n);
}

struct device_sums device_sums(struct client *c, uint32_t pairs)
{
	struct device_sums sums = {0};

	for (uint32_t pair = 0; pair < pairs; pair++) {
		struct qkd_counters one = {.channel = pair + 1};
		int err = client_one(c, QKD_CMD_COUNTERS, &one);

		if (err)
			bench_die("COUNTERS", err);
		sums.installed += one.installed;
		sums.rollovers += one.rollovers;
		sums.retired += one.retired;
		sums.failed += one.failed;
		sums.exhausted += one.exhausted;
		sums.pool_hits += one.pool_hits;
		sums.pool_misses += one.pool_misses;
	}
	return sums;
}
