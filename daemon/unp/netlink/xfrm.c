// SPDX-License-Identifier: GPL-2.0-or-later
/* ESP SAs by netlink; see xfrm.h. */
#include "unp/netlink/xfrm.h"
#include "spi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KEYMAT_BYTES	     (QKD_KEY_BYTES + QKD_ESP_SALT_BYTES)
#define ICV_BITS	     128
#define WINDOW_WORDS(window) (((window) + 31) / 32)

uint32_t netlink_xfrm_spi(const struct qkd_channel *c, uint64_t epoch, bool out)
{
	const uint8_t *sender = out ? c->local : c->remote;
	const uint8_t *receiver = out ? c->remote : c->local;
	enum qkd_direction direction = memcmp(sender, receiver, QKD_ADDR_BYTES) < 0
					       ? QKD_DIRECTION_LOW_TO_HIGH
					       : QKD_DIRECTION_HIGH_TO_LOW;

	return htonl(qkd_spi(c->spi_key, direction, epoch));
}

/* -------- building -------- */

static void set_address(xfrm_address_t *to, const uint8_t from[QKD_ADDR_BYTES])
{
	memcpy(to, from, sizeof(*to));
}

static uint64_t limit(uint64_t value)
{
	return value ? value : XFRM_INF;
}

static void put_limits(struct xfrm_lifetime_cfg *to, const struct netlink_limits *limits)
{
	static const struct netlink_limits none;
	const struct netlink_limits *l = limits ? limits : &none;

	to->soft_byte_limit = limit(l->soft_bytes);
	to->hard_byte_limit = limit(l->hard_bytes);
	to->soft_packet_limit = limit(l->soft_packets);
	to->hard_packet_limit = limit(l->hard_packets);
}

static void put_info(struct nlmsghdr *m, const struct qkd_channel *c, uint32_t spi, bool out,
		     const struct netlink_limits *limits)
{
	struct xfrm_usersa_info *info = mnl_nlmsg_put_extra_header(m, sizeof(*info));
	bool tunnel = c->kind == QKD_KIND_ESP_TUNNEL;

	set_address(&info->id.daddr, out ? c->remote : c->local);
	set_address(&info->saddr, out ? c->local : c->remote);
	info->id.spi = spi;
	info->id.proto = IPPROTO_ESP;
	info->family = c->family;
	info->mode = tunnel ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
	info->reqid = c->reqid;
	/* The policies choose what goes into a tunnel, of either family. */
	info->flags = tunnel ? XFRM_STATE_AF_UNSPEC : 0;
	if (c->flags & QKD_CHANNEL_ESN)
		info->flags |= XFRM_STATE_ESN;
	put_limits(&info->lft, limits);
}

static void put_key(struct nlmsghdr *m, const struct qkd_channel *c,
		    const struct qkd_material *material)
{
	struct nlattr *attr = mnl_nlmsg_get_payload_tail(m);
	struct xfrm_algo_aead *aead;
	size_t len = sizeof(*aead) + KEYMAT_BYTES;

	/* Built in place, in the locked message: no other copy of the key. */
	mnl_attr_put(m, XFRMA_ALG_AEAD, 0, NULL);
	attr->nla_len = (uint16_t)(attr->nla_len + len);
	m->nlmsg_len += (uint32_t)MNL_ALIGN(len);
	aead = mnl_attr_get_payload(attr);
	memset(aead, 0, MNL_ALIGN(len));
	snprintf(aead->alg_name, sizeof(aead->alg_name), "%s",
		 c->cipher == QKD_CIPHER_AES_256_GCM ? "rfc4106(gcm(aes))"
						     : "rfc7539esp(chacha20,poly1305)");
	aead->alg_key_len = KEYMAT_BYTES * 8;
	aead->alg_icv_len = ICV_BITS;
	memcpy(aead->alg_key, material->key, QKD_KEY_BYTES);
	memcpy(aead->alg_key + QKD_KEY_BYTES, material->salt, QKD_ESP_SALT_BYTES);
}

/* Outbound has no window, but Linux 6.1 refuses ESN without one. */
static void put_replay(struct nlmsghdr *m, const struct qkd_channel *c, bool out)
{
	uint32_t window = out ? 1 : c->replay_window, words = WINDOW_WORDS(window);
	uint32_t octets[(sizeof(struct xfrm_replay_state_esn) + 4096 / 8) / 4] = {0};
	struct xfrm_replay_state_esn *esn = (struct xfrm_replay_state_esn *)octets;

	esn->bmp_len = words;
	esn->replay_window = window;
	mnl_attr_put(m, XFRMA_REPLAY_ESN_VAL, sizeof(*esn) + words * sizeof(uint32_t), esn);
}

static void put_mark(struct nlmsghdr *m, const struct qkd_channel *c)
{
	struct xfrm_mark mark = {.v = c->mark, .m = c->mark_mask};

	if (c->mark_mask)
		mnl_attr_put(m, XFRMA_MARK, sizeof(mark), &mark);
}

int netlink_xfrm_add(struct netlink *nl, const struct qkd_channel *c, uint32_t spi, bool out,
		     const struct qkd_material *material, const struct netlink_limits *limits)
{
	struct nlmsghdr *m = netlink_begin(nl, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);

	put_info(m, c, spi, out, limits);
	put_key(m, c, material);
	put_replay(m, c, out);
	put_mark(m, c);
	if (c->if_id)
		mnl_attr_put_u32(m, XFRMA_IF_ID, c->if_id);
	return netlink_ask(nl, NULL, NULL);
}

static void put_id(struct nlmsghdr *m, const struct qkd_channel *c, uint32_t spi, bool out)
{
	struct xfrm_usersa_id *id = mnl_nlmsg_put_extra_header(m, sizeof(*id));

	set_address(&id->daddr, out ? c->remote : c->local);
	id->spi = spi;
	id->family = c->family;
	id->proto = IPPROTO_ESP;
	put_mark(m, c);
}

int netlink_xfrm_delete(struct netlink *nl, const struct qkd_channel *c, uint32_t spi, bool out)
{
	int err;

	put_id(netlink_begin(nl, XFRM_MSG_DELSA, 0), c, spi, out);
	err = netlink_ask(nl, NULL, NULL);
	return err == -ESRCH ? 0 : err;
}

/* -------- reading -------- */

static const struct xfrm_usersa_info *info_of(const struct nlmsghdr *m)
{
	if (m->nlmsg_type != XFRM_MSG_NEWSA ||
	    mnl_nlmsg_get_payload_len(m) < sizeof(struct xfrm_usersa_info))
		return NULL;
	return mnl_nlmsg_get_payload(m);
}

static int keep_count(const struct nlmsghdr *m, void *arg)
{
	const struct xfrm_usersa_info *info = info_of(m);
	struct xfrm_lifetime_cur *count = arg;

	if (info)
		*count = info->curlft;
	return MNL_CB_OK;
}

int netlink_xfrm_count(struct netlink *nl, const struct qkd_channel *c, uint32_t spi, bool out,
		       uint64_t *packets, uint64_t *bytes)
{
	struct xfrm_lifetime_cur count = {0};
	int err;

	put_id(netlink_begin(nl, XFRM_MSG_GETSA, 0), c, spi, out);
	err = netlink_ask(nl, keep_count, &count);
	*packets = count.packets;
	*bytes = count.bytes;
	return err;
}

struct search {
	const struct qkd_channel *channel;
	struct netlink_xfrm_found *found;
	size_t count;
};

static bool same_address(const xfrm_address_t *a, const uint8_t b[QKD_ADDR_BYTES],
			 unsigned int family)
{
	return !memcmp(a, b, family == AF_INET6 ? 16 : 4);
}

static int keep_found(const struct nlmsghdr *m, void *arg)
{
	const struct xfrm_usersa_info *info = info_of(m);
	struct search *s = arg;
	const struct qkd_channel *c = s->channel;
	struct netlink_xfrm_found *more;
	bool out;

	if (!info || info->reqid != c->reqid || info->family != c->family ||
	    info->id.proto != IPPROTO_ESP)
		return MNL_CB_OK;
	out = same_address(&info->id.daddr, c->remote, c->family);
	if (!out && !same_address(&info->id.daddr, c->local, c->family))
		return MNL_CB_OK;
	more = reallocarray(s->found, s->count + 1, sizeof(*more));
	if (!more)
		return MNL_CB_ERROR;
	s->found = more;
	s->found[s->count].spi = info->id.spi;
	s->found[s->count++].out = out;
	return MNL_CB_OK;
}

int netlink_xfrm_find(struct netlink *nl, const struct qkd_channel *c,
		      struct netlink_xfrm_found **found, size_t *count)
{
	struct search search = {.channel = c};
	int err;

	netlink_begin(nl, XFRM_MSG_GETSA, NLM_F_DUMP);
	err = netlink_ask(nl, keep_found, &search);
	if (err) {
		free(search.found);
		return err;
	}
	*found = search.found;
	*count = search.count;
	return 0;
}
