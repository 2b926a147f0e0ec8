// SPDX-License-Identifier: GPL-2.0-or-later
/* SAs by netlink; see xfrm.h. */
#include <libmnl/libmnl.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "bench.h"
#include "xfrm.h"

#define MESSAGE_ROOM 1024

struct aead {
	struct xfrm_algo_aead algo;
	uint8_t key[QKD_KEY_BYTES + QKD_ESP_SALT_BYTES];
};

struct replay {
	struct xfrm_replay_state_esn esn;
	uint32_t bitmap[4];
};

void xfrm_open(struct xfrm *x, uint32_t batch)
{
	memset(x, 0, sizeof(*x));
	x->batch = batch;
	x->buffer = malloc((size_t)XFRM_BATCH_MAX * MESSAGE_ROOM);
	x->socket = mnl_socket_open(NETLINK_XFRM);
	if (!x->buffer || !x->socket || mnl_socket_bind(x->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		bench_die("netlink socket", errno);
}

static void read_answer(struct xfrm *x)
{
	uint8_t answer[8192];
	ssize_t len = mnl_socket_recvfrom(x->socket, answer, sizeof(answer));
	const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);

	if (len < (ssize_t)(sizeof(*header) + sizeof(*error)) || header->nlmsg_type != NLMSG_ERROR)
		bench_die("netlink answer", EPROTO);
	if (error->error)
		bench_die("netlink", error->error);
}

void xfrm_flush(struct xfrm *x)
{
	if (!x->queued)
		return;
	((struct nlmsghdr *)x->last)->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(x->socket, x->buffer, x->used) < 0)
		bench_die("netlink send", errno);
	read_answer(x);
	x->queued = 0;
	x->used = 0;
}

static struct nlmsghdr *begin(struct xfrm *x, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header((uint8_t *)x->buffer + x->used);

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = ++x->sequence;
	return header;
}

static void end(struct xfrm *x, struct nlmsghdr *header)
{
	x->last = header;
	x->used += MNL_ALIGN(header->nlmsg_len);
	if (++x->queued == x->batch)
		xfrm_flush(x);
}

static void put_info(const struct xfrm *x, struct nlmsghdr *header, uint32_t pair, uint32_t round,
		     bool out)
{
	struct xfrm_usersa_info *sa = mnl_nlmsg_put_extra_header(header, sizeof(*sa));

	sa->family = AF_INET;
	sa->mode = XFRM_MODE_TUNNEL;
	sa->reqid = pair + 1;
	sa->flags = XFRM_STATE_ESN;
	sa->replay_window = 0;
	sa->id.proto = IPPROTO_ESP;
	sa->id.spi = pair_spi(pair, round, out);
	sa->id.daddr.a4 = out ? pair_remote(pair) : pair_local();
	sa->saddr.a4 = out ? pair_local() : pair_remote(pair);
	sa->lft.soft_byte_limit = sa->lft.hard_byte_limit = XFRM_INF;
	sa->lft.soft_packet_limit = x->soft_packets ? x->soft_packets : XFRM_INF;
	sa->lft.hard_packet_limit = XFRM_INF;
}

void xfrm_new(struct xfrm *x, uint32_t pair, uint32_t round, bool out)
{
	struct nlmsghdr *header = begin(x, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);
	const struct replay replay = {.esn = {.bmp_len = 4, .replay_window = 128}};
	struct aead aead = {
		.algo = {.alg_name = "rfc4106(gcm(aes))", .alg_key_len = 288, .alg_icv_len = 128}};
	struct qkd_material m;

	put_info(x, header, pair, round, out);
	pair_material(&m, pair, round, out);
	memcpy(aead.key, m.key, QKD_KEY_BYTES);
	memcpy(aead.key + QKD_KEY_BYTES, m.salt, QKD_ESP_SALT_BYTES);
	mnl_attr_put(header, XFRMA_ALG_AEAD, sizeof(aead), &aead);
	mnl_attr_put(header, XFRMA_REPLAY_ESN_VAL, sizeof(replay), &replay);
	end(x, header);
}

void xfrm_delete(struct xfrm *x, uint32_t pair, uint32_t round, bool out)
{
	struct nlmsghdr *header = begin(x, XFRM_MSG_DELSA, 0);
	struct xfrm_usersa_id *id = mnl_nlmsg_put_extra_header(header, sizeof(*id));

	id->daddr.a4 = out ? pair_remote(pair) : pair_local();
	id->spi = pair_spi(pair, round, out);
	id->family = AF_INET;
	id->proto = IPPROTO_ESP;
	end(x, header);
}
