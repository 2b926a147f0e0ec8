// SPDX-License-Identifier: GPL-2.0-or-later
/* A netlink socket for short requests; see socket.h. */
#include "unp/netlink/socket.h"
#include "km/secret.h"

#include <errno.h>
#include <linux/netlink.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_BYTES 4096
#define ANSWER_BYTES  32768

/**
 * struct netlink
 * @request: locked; the message that is being built
 * @answer: locked
 */
struct netlink {
	struct mnl_socket *socket;
	unsigned int port;
	uint32_t sequence;
	uint8_t *request;
	uint8_t *answer;
	char text[160];
};

static int configure(struct netlink *nl)
{
	int on = 1;

	/* No echo of the request, with its key, in an error; a text instead. */
	if (mnl_socket_setsockopt(nl->socket, NETLINK_CAP_ACK, &on, sizeof(on)))
		return -errno;
	mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	nl->port = mnl_socket_get_portid(nl->socket);
	return 0;
}

int netlink_open(int bus, struct netlink **netlink)
{
	struct netlink *nl = calloc(1, sizeof(*nl));
	int err = -ENOMEM;

	if (!nl)
		return err;
	nl->request = secret_alloc(REQUEST_BYTES);
	nl->answer = secret_alloc(ANSWER_BYTES);
	if (!nl->request || !nl->answer)
		goto fail;
	nl->socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	err = nl->socket ? configure(nl) : -errno;
	if (err)
		goto fail;
	*netlink = nl;
	return 0;
fail:
	netlink_close(nl);
	return err;
}

void netlink_close(struct netlink *nl)
{
	if (!nl)
		return;
	if (nl->socket)
		mnl_socket_close(nl->socket);
	secret_free(nl->request);
	secret_free(nl->answer);
	free(nl);
}

struct nlmsghdr *netlink_begin(struct netlink *nl, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(nl->request);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	return message;
}

/* -------- answers -------- */

struct reading {
	struct netlink *nl;
	netlink_message_fn message;
	void *arg;
	bool ended;
	int err;
};

/* The kernel's sentence, if it sent one. */
static void keep_text(struct netlink *nl, const struct nlmsghdr *message)
{
	const struct nlattr *attr;

	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	mnl_attr_for_each(attr, message, sizeof(struct nlmsgerr))
	{
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			snprintf(nl->text, sizeof(nl->text), "%s", mnl_attr_get_str(attr));
	}
}

static int acknowledged(struct reading *r, const struct nlmsghdr *message)
{
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(message);

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*ack))
		return -EPROTO;
	if (ack->error)
		keep_text(r->nl, message);
	return ack->error;
}

static void read_message(struct reading *r, const struct nlmsghdr *message)
{
	if (message->nlmsg_seq != r->nl->sequence)
		return; /* the late answer of a request that was given up */
	switch (message->nlmsg_type) {
	case NLMSG_NOOP:
		return;
	case NLMSG_ERROR:
		r->ended = true;
		r->err = acknowledged(r, message);
		return;
	case NLMSG_DONE:
		r->ended = true;
		if (mnl_nlmsg_get_payload_len(message) >= sizeof(int))
			r->err = *(const int *)mnl_nlmsg_get_payload(message);
		return;
	default:
		if (r->message && r->message(message, r->arg) != MNL_CB_OK)
			r->err = -EPROTO;
	}
}

/* Data without NLM_F_MULTI is followed by the acknowledgement that we asked for. */
static int read_answer(struct reading *r)
{
	while (!r->ended) {
		ssize_t got = mnl_socket_recvfrom(r->nl->socket, r->nl->answer, ANSWER_BYTES);
		const struct nlmsghdr *message = (const struct nlmsghdr *)r->nl->answer;
		int left = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		for (; mnl_nlmsg_ok(message, left) && !r->ended;
		     message = mnl_nlmsg_next(message, &left))
			read_message(r, message);
	}
	return r->err;
}

int netlink_ask(struct netlink *nl, netlink_message_fn message, void *arg)
{
	struct nlmsghdr *request = (struct nlmsghdr *)nl->request;
	struct reading reading = {.nl = nl, .message = message, .arg = arg};
	int err;

	nl->text[0] = '\0';
	request->nlmsg_seq = ++nl->sequence;
	request->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl->socket, request, request->nlmsg_len) < 0)
		err = -errno;
	else
		err = read_answer(&reading);
	OPENSSL_cleanse(nl->request, REQUEST_BYTES);
	OPENSSL_cleanse(nl->answer, ANSWER_BYTES);
	return err;
}

const char *netlink_text(const struct netlink *nl)
{
	return nl->text;
}
