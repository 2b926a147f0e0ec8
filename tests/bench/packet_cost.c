// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What one packet costs from one network namespace to another, whatever is between.
 *
 *   packet_cost FROM TO ADDRESS PACKETS [OCTETS]
 *
 * ADDRESS belongs to TO. Each UDP packet is awaited before the next is sent. Some
 * warm up, then PACKETS are measured, several times. Prints the nanoseconds for one,
 * the least of all times, since what else the kernel had to do is not the packet's.
 * Under QEMU's instruction counter they are guest instructions (tests/vm/run --icount).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/bench.h"

#define PORT	   7001
#define WARM_UP	   2000
#define TIMES	   5
#define OCTETS_MAX 1400

static int socket_in(const char *netns, const struct sockaddr_in *at, bool receives)
{
	const struct timeval patience = {.tv_sec = 5};
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		bench_die(path, errno);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		bench_die("socket", errno);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if ((receives ? bind : connect)(fd, (const struct sockaddr *)at, sizeof(*at)))
		bench_die(receives ? "bind" : "connect", errno);
	return fd;
}

static void exchange(int out, int in, uint32_t packets, size_t octets)
{
	char packet[OCTETS_MAX] = {0};

	for (uint32_t i = 0; i < packets; i++) {
		if (send(out, packet, octets, 0) < 0)
			bench_die("send", errno);
		if (recv(in, packet, sizeof(packet), 0) < 0)
			bench_die("no packet came", errno);
	}
}

static double least_cost(int out, int in, uint32_t packets, size_t octets)
{
	uint64_t start, cost, least = UINT64_MAX;

	exchange(out, in, WARM_UP, octets);
	for (int i = 0; i < TIMES; i++) {
		start = bench_now();
		exchange(out, in, packets, octets);
		cost = bench_now() - start;
		least = cost < least ? cost : least;
	}
	return (double)least / packets;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	uint32_t packets, octets;
	int out, in;

	if (argc < 5 || argc > 6 || inet_pton(AF_INET, argv[3], &at.sin_addr) != 1) {
		fprintf(stderr, "usage: packet_cost FROM TO ADDRESS PACKETS [OCTETS]\n");
		return 2;
	}
	packets = bench_number(argv[4], 1, 10000000);
	octets = argc > 5 ? bench_number(argv[5], 1, OCTETS_MAX) : 256;
	in = socket_in(argv[2], &at, true);
	out = socket_in(argv[1], &at, false);
	printf("%.1f\n", least_cost(out, in, packets, octets));
	close(out);
	close(in);
	return 0;
}
