// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A steady UDP load that knows exactly what was lost.
 *
 *   load send ADDRESS PORT PACKETS_PER_SECOND SECONDS [BYTES [ADDRESSES]]
 *   load sink ADDRESS PORT
 *
 * With ADDRESSES that many IPv4 ones, from ADDRESS on, get datagrams in turn.
 * Every datagram carries a marker in the clear and a sequence number. The
 * sender ends with "sent N errors N"; the sink prints "received N duplicates
 * N highest N" each second and when it gets SIGTERM.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARKER	  "QKD-LOAD-IN-THE-CLEAR"
#define SEQUENCES (1U << 22)

struct datagram {
	char marker[24];
	uint64_t sequence;
	char padding[1400];
};
#define DATAGRAM_MIN (sizeof(struct datagram) - sizeof(((struct datagram *)0)->padding))

static volatile sig_atomic_t stopped;

static void stop(int signo)
{
	(void)signo;
	stopped = 1;
}

static int udp_socket(const char *address, const char *port, struct sockaddr_storage *to,
		      socklen_t *to_len)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	int fd, err = getaddrinfo(address, port, &hints, &found);

	if (err) {
		fprintf(stderr, "load: %s port %s: %s\n", address, port, gai_strerror(err));
		return -1;
	}
	memcpy(to, found->ai_addr, found->ai_addrlen);
	*to_len = found->ai_addrlen;
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		perror("load: socket");
	freeaddrinfo(found);
	return fd;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = {.tv_sec = ns / 1000000000ULL, .tv_nsec = ns % 1000000000ULL};

	while (!stopped && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* IPv4: the address @n behind that of @to. */
static struct sockaddr_storage next_address(const struct sockaddr_storage *to, unsigned n)
{
	struct sockaddr_storage next = *to;
	struct sockaddr_in *in = (struct sockaddr_in *)&next;

	if (n)
		in->sin_addr.s_addr = htonl(ntohl(in->sin_addr.s_addr) + n);
	return next;
}

static int send_load(int fd, const struct sockaddr_storage *to, socklen_t to_len, unsigned rate,
		     unsigned seconds, size_t bytes, unsigned addresses)
{
	struct sockaddr_storage address;
	struct datagram datagram = {.marker = MARKER};
	uint64_t start = now_ns(), count = (uint64_t)rate * seconds, errors = 0, i;

	for (i = 0; i < count && !stopped; i++) {
		sleep_until(start + i * 1000000000ULL / rate);
		datagram.sequence = htobe64(i);
		address = next_address(to, i % addresses);
		if (sendto(fd, &datagram, bytes, 0, (const struct sockaddr *)&address, to_len) < 0)
			errors++;
	}
	printf("sent %llu errors %llu\n", (unsigned long long)i, (unsigned long long)errors);
	return 0;
}

struct tally {
	uint64_t received, duplicates, highest;
	uint8_t seen[SEQUENCES / 8];
};

static void count_datagram(struct tally *tally, const struct datagram *datagram, ssize_t len)
{
	uint64_t sequence = be64toh(datagram->sequence);

	if (len < (ssize_t)DATAGRAM_MIN || memcmp(datagram->marker, MARKER, sizeof(MARKER)) ||
	    sequence >= SEQUENCES)
		return;
	if (tally->seen[sequence / 8] & (1U << sequence % 8)) {
		tally->duplicates++;
		return;
	}
	tally->seen[sequence / 8] |= 1U << sequence % 8;
	tally->received++;
	if (sequence > tally->highest)
		tally->highest = sequence;
}

static void print_tally(const struct tally *tally)
{
	printf("received %llu duplicates %llu highest %llu\n", (unsigned long long)tally->received,
	       (unsigned long long)tally->duplicates, (unsigned long long)tally->highest);
	fflush(stdout);
}

static int sink(int fd, const struct sockaddr_storage *at, socklen_t at_len)
{
	static struct tally tally;
	struct datagram datagram;
	uint64_t next_print = now_ns() + 1000000000ULL;
	int room = 8 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (bind(fd, (const struct sockaddr *)at, at_len) < 0) {
		perror("load: bind");
		return 1;
	}
	while (!stopped) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

		if (poll(&poll_fd, 1, 200) > 0) {
			ssize_t len = recv(fd, &datagram, sizeof(datagram), MSG_DONTWAIT);

			if (len >= 0)
				count_datagram(&tally, &datagram, len);
		}
		if (now_ns() >= next_print) {
			print_tally(&tally);
			next_print += 1000000000ULL;
		}
	}
	print_tally(&tally);
	return 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: load send ADDRESS PORT PACKETS_PER_SECOND SECONDS [BYTES [ADDRESSES]]\n"
		"       load sink ADDRESS PORT\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = stop};
	struct sockaddr_storage address;
	socklen_t address_len;
	unsigned addresses;
	size_t bytes;
	int fd;

	if (argc < 4)
		return usage();
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	fd = udp_socket(argv[2], argv[3], &address, &address_len);
	if (fd < 0)
		return 1;
	if (!strcmp(argv[1], "sink") && argc == 4)
		return sink(fd, &address, address_len);
	if (strcmp(argv[1], "send") || argc < 6 || atoi(argv[4]) < 1 || atoi(argv[5]) < 1)
		return usage();
	bytes = argc > 6 ? strtoul(argv[6], NULL, 10) : 256;
	if (bytes < DATAGRAM_MIN || bytes > sizeof(struct datagram))
		return usage();
	addresses = argc > 7 ? strtoul(argv[7], NULL, 10) : 1;
	if (addresses < 1 || (addresses > 1 && address.ss_family != AF_INET))
		return usage();
	return send_load(fd, &address, address_len, atoi(argv[4]), atoi(argv[5]), bytes, addresses);
}
