// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Outbound SAs that reach their soft limit of packets under a light load, and are
 * replaced: by the module, or by a process that hears of it by netlink.
 *
 *   expiry peer                  prints the peer's outer address
 *   expiry netlink|qkd TIMES     sends until that many have expired
 *
 * Sends from 10.1.0.1 to 10.2.0.1, which policies with request ID 1 take through the
 * tunnel. What is measured, tests/bench/kernel-expiry sees in a trace.
 */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/xfrm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/bench.h"
#include "lib/device.h"
#include "lib/xfrm.h"

#define PAIR	 0
#define PACKETS	 QKD_SOFT_PACKETS_MIN
#define PAUSE_NS 200000 /* between packets: enough for the switch to end */

static int udp_socket(void)
{
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, "10.1.0.1", &from.sin_addr);
	inet_pton(AF_INET, "10.2.0.1", &to.sin_addr);
	to.sin_port = htons(7002);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)))
		bench_die("UDP socket", errno);
	return fd;
}

/* A little more than all limits. */
static void send_packets(uint32_t times)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	char packet[256] = {0};
	int fd = udp_socket();

	for (uint32_t i = 0; i < times * (PACKETS + 5) + PACKETS / 2; i++) {
		if (send(fd, packet, sizeof(packet), 0) < 0)
			bench_die("send", errno);
		nanosleep(&pause, NULL);
	}
	close(fd);
}

static struct mnl_socket *expire_socket(void)
{
	struct mnl_socket *socket = mnl_socket_open(NETLINK_XFRM);
	int group = XFRMNLGRP_EXPIRE;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		bench_die("netlink socket", errno);
	return socket;
}

/* What a key daemon does: the next outbound SA at once; the old one goes later. */
static void rekey_forever(struct mnl_socket *events, struct xfrm *x)
{
	uint8_t message[8192];
	uint32_t round = 0;

	for (;;) {
		const struct nlmsghdr *header = (const struct nlmsghdr *)message;
		const struct xfrm_user_expire *expire = mnl_nlmsg_get_payload(header);
		ssize_t len = mnl_socket_recvfrom(events, message, sizeof(message));

		if (len < (ssize_t)(sizeof(*header) + sizeof(*expire)))
			bench_die("expire event", len < 0 ? errno : EPROTO);
		if (header->nlmsg_type != XFRM_MSG_EXPIRE || expire->hard)
			continue;
		xfrm_new(x, PAIR, ++round, true);
		if (round > 1)
			xfrm_delete(x, PAIR, round - 2, true);
	}
}

static void by_netlink(uint32_t times)
{
	struct mnl_socket *events = expire_socket();
	struct xfrm x;
	pid_t daemon;

	xfrm_open(&x, 1);
	x.soft_packets = PACKETS;
	xfrm_new(&x, PAIR, 0, true);
	daemon = fork();
	if (daemon < 0)
		bench_die("fork", errno);
	if (!daemon) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		rekey_forever(events, &x);
	}
	send_packets(times);
	kill(daemon, SIGKILL);
}

static void by_device(uint32_t times)
{
	struct qkd_channel like = device_channel(PAIR);
	struct device_sums sums;
	struct client c;

	like.lookahead = times + 1;
	like.soft_packets = PACKETS;
	device_open(&c);
	device_add_channels_like(&c, PAIR, 1, &like);
	for (uint32_t round = 0; round <= times + 1; round++) {
		device_put(&c, PAIR, 1, round);
		if (!round)
			device_watermark(&c, PAIR, 1, 0);
	}
	device_watermark(&c, PAIR, 1, times + 1);
	send_packets(times);
	sums = device_sums(&c, PAIR + 1);
	fprintf(stderr, "expiry: %llu rollovers\n", (unsigned long long)sums.rollovers);
}

int main(int argc, char **argv)
{
	char text[INET_ADDRSTRLEN];
	uint32_t peer = pair_remote(PAIR);

	if (argc == 2 && !strcmp(argv[1], "peer")) {
		puts(inet_ntop(AF_INET, &peer, text, sizeof(text)));
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "netlink")) {
		by_netlink(bench_number(argv[2], 1, 200));
	} else if (argc == 3 && !strcmp(argv[1], "qkd")) {
		by_device(bench_number(argv[2], 1, 200));
	} else {
		fprintf(stderr, "usage: expiry peer | netlink|qkd TIMES\n");
		return 2;
	}
	return 0;
}
