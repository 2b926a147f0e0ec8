// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The KMs of both ends of many ESP channels, records in batches.
 *
 *   km_pair A B CHANNELS seconds SECONDS      the channels roll over by themselves,
 *                                             once a second
 *   km_pair A B CHANNELS rollovers COUNT      this program rolls them over, one end
 *                                             after the other, COUNT times each
 *
 * A and B are network namespaces with outer addresses 10.0.0.1 and 10.0.0.2. Channel N
 * has request ID N. The KMs tell one another what stands (COUNTERS, WATERMARK), and put
 * the same epochs at both ends. At the end prints a line NAME=VALUE for each end.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/bench.h"
#include "lib/device.h"

#define BATCH	  64
#define LOOKAHEAD 4
#define TICK_MS	  250
#define FORCE_MS  1
/* Epochs on their way out, each for DEVICE_GRACE_MS, count for a channel's room. */
#define FORCE_LOOKAHEAD 128

struct end {
	struct client client;
	bool is_a;
};

struct players {
	struct end end[2];
	uint32_t channels;
	uint32_t lookahead;
	uint32_t rollover_ms;
	uint32_t *next; /* of each channel: round of its next epoch */
};

static void enter(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		bench_die(path, errno);
	close(fd);
}

static void add_channel(struct players *p, struct end *end, uint32_t index)
{
	struct qkd_channel channel = device_channel(index);
	int err;

	inet_pton(AF_INET, end->is_a ? "10.0.0.1" : "10.0.0.2", channel.local);
	inet_pton(AF_INET, end->is_a ? "10.0.0.2" : "10.0.0.1", channel.remote);
	channel.lookahead = p->lookahead;
	channel.rollover_ms = p->rollover_ms;
	channel.jitter_ms = p->rollover_ms / 10 < 1000 ? p->rollover_ms / 10 : 0;
	channel.replay_window = 4096;
	err = client_one(&end->client, QKD_CMD_CHANNEL_ADD, &channel);
	if (err)
		bench_die("CHANNEL_ADD", err);
}

static void put(struct players *p, uint32_t from, uint32_t n, const bool *wanted)
{
	for (int e = 0; e < 2; e++) {
		struct client *c = &p->end[e].client;
		struct qkd_key *key = (struct qkd_key *)c->buf;
		uint32_t count = 0;

		memset(key, 0, n * sizeof(*key));
		for (uint32_t i = 0; i < n; i++) {
			struct qkd_key *k = &key[count];

			if (!wanted[i])
				continue;
			count++;
			k->channel = from + i + 1;
			k->epoch = pair_epoch(from + i, p->next[from + i]);
			memcpy(k->key_id, &k->epoch, sizeof(k->epoch));
			pair_material(&k->in, from + i, p->next[from + i], p->end[e].is_a);
			pair_material(&k->out, from + i, p->next[from + i], !p->end[e].is_a);
		}
		if (count)
			device_command(c, QKD_CMD_KEY_PUT, count, "KEY_PUT");
	}
	for (uint32_t i = 0; i < n; i++)
		p->next[from + i] += wanted[i];
}

static void read_counters(struct end *end, uint32_t from, uint32_t n, struct qkd_counters *to)
{
	struct qkd_counters *r = (struct qkd_counters *)end->client.buf;

	memset(r, 0, n * sizeof(*r));
	for (uint32_t i = 0; i < n; i++)
		r[i].channel = from + i + 1;
	device_command(&end->client, QKD_CMD_COUNTERS, n, "COUNTERS");
	memcpy(to, r, n * sizeof(*r));
}

static void tell(struct end *end, uint32_t n, const struct qkd_counters *peer)
{
	struct qkd_watermark *r = (struct qkd_watermark *)end->client.buf;

	memset(r, 0, n * sizeof(*r));
	for (uint32_t i = 0; i < n; i++) {
		r[i].channel = peer[i].channel;
		r[i].first = peer[i].in_first;
		r[i].last = peer[i].in_last;
		r[i].peer_out = peer[i].out_epoch;
		r[i].flags = peer[i].in_first == QKD_EPOCH_NONE ? QKD_WATERMARK_NONE : 0;
	}
	device_command(&end->client, QKD_CMD_WATERMARK, n, "WATERMARK");
}

/* An epoch is put if it has room at both ends, for one more in each turn. */
static bool feed(struct players *p, uint32_t from, uint32_t n)
{
	struct qkd_counters at[2][BATCH];
	bool wanted[BATCH], any = false;

	for (int e = 0; e < 2; e++)
		read_counters(&p->end[e], from, n, at[e]);
	for (uint32_t i = 0; i < n; i++) {
		wanted[i] = at[0][i].ready < LOOKAHEAD && at[1][i].ready < LOOKAHEAD;
		any |= wanted[i];
	}
	put(p, from, n, wanted);
	for (int e = 0; e < 2; e++)
		read_counters(&p->end[e], from, n, at[e]);
	for (int e = 0; e < 2; e++)
		tell(&p->end[!e], n, at[e]);
	return any;
}

static void feed_all(struct players *p)
{
	for (uint32_t done = 0; done < p->channels;) {
		uint32_t left = p->channels - done, n = left < BATCH ? left : BATCH;

		while (feed(p, done, n))
			;
		done += n;
	}
}

static void roll_over_all(struct players *p, struct end *end)
{
	for (uint32_t done = 0; done < p->channels;) {
		uint32_t left = p->channels - done, n = left < BATCH ? left : BATCH;

		device_roll_over(&end->client, done, n);
		done += n;
	}
}

static void play_seconds(struct players *p, uint32_t seconds)
{
	uint64_t start = bench_now(), elapsed = 0;

	while (elapsed < seconds * 1000000000ULL) {
		feed_all(p);
		bench_sleep(TICK_MS);
		elapsed = bench_now() - start;
	}
	printf("seconds=%.1f\n", (double)elapsed / 1e9);
}

static void play_rollovers(struct players *p, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		for (int e = 0; e < 2; e++) {
			roll_over_all(p, &p->end[e]);
			bench_sleep(FORCE_MS);
		}
		feed_all(p);
	}
}

static void begin(struct players *p, char **names)
{
	p->next = calloc(p->channels, sizeof(*p->next));
	if (!p->next)
		bench_die("memory", errno);
	for (int e = 0; e < 2; e++) {
		p->end[e].is_a = !e;
		enter(names[e]);
		device_open(&p->end[e].client);
		for (uint32_t i = 0; i < p->channels; i++)
			add_channel(p, &p->end[e], i);
	}
	feed_all(p);
	puts("ready");
	fflush(stdout);
}

static void print_sums(struct players *p)
{
	for (int e = 0; e < 2; e++) {
		struct device_sums sums = device_sums(&p->end[e].client, p->channels);

		printf("rollovers=%llu failed=%llu exhausted=%llu\n",
		       (unsigned long long)sums.rollovers, (unsigned long long)sums.failed,
		       (unsigned long long)sums.exhausted);
	}
}

int main(int argc, char **argv)
{
	struct players p = {.lookahead = LOOKAHEAD, .rollover_ms = 1000};
	bool forced = argc == 6 && !strcmp(argv[4], "rollovers");
	uint32_t count;

	if (argc != 6 || (!forced && strcmp(argv[4], "seconds") != 0)) {
		fprintf(stderr, "usage: km_pair A B CHANNELS seconds SECONDS|rollovers COUNT\n");
		return 2;
	}
	p.channels = bench_number(argv[3], 1, PAIR_MAX);
	count = bench_number(argv[5], 1, 1000000);
	if (forced) {
		p.lookahead = FORCE_LOOKAHEAD;
		p.rollover_ms = 86400000;
	}
	begin(&p, argv + 1);
	if (forced)
		play_rollovers(&p, count);
	else
		play_seconds(&p, count);
	print_sums(&p);
	return 0;
}
