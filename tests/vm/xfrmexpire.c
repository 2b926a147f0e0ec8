// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ends an ESP SA of this network namespace as a key daemon does whose lifetime for it
 * is over: a hard XFRM_MSG_EXPIRE.
 *
 *   xfrmexpire ADDRESS SPI      destination, IPv4; SPI in hexadecimal
 *
 * Exit status: 0 done, 1 refused (the reason on stderr), 2 usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
	struct nlmsghdr header;
	struct xfrm_user_expire body;
};

struct answer {
	struct nlmsghdr header;
	struct nlmsgerr body;
	struct request about;
};

static int ask(int fd, const struct request *request)
{
	struct answer answer;
	ssize_t n;

	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.body) ||
	    answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.body.error;
}

static int expire(in_addr_t address, uint32_t spi)
{
	struct request r = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.body)),
			   .nlmsg_type = XFRM_MSG_EXPIRE,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.body = {.hard = 1},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	int err;

	if (fd < 0)
		return -errno;
	r.body.state.family = AF_INET;
	r.body.state.id.daddr.a4 = address;
	r.body.state.id.spi = htonl(spi);
	r.body.state.id.proto = IPPROTO_ESP;
	err = ask(fd, &r);
	close(fd);
	return err;
}

int main(int argc, char **argv)
{
	struct in_addr address;
	int err;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &address) != 1) {
		fputs("usage: xfrmexpire ADDRESS SPI\n", stderr);
		return 2;
	}
	err = expire(address.s_addr, (uint32_t)strtoul(argv[2], NULL, 16));
	if (err)
		fprintf(stderr, "xfrmexpire: %s\n", strerror(-err));
	return err ? 1 : 0;
}
