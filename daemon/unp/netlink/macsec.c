// SPDX-License-Identifier: GPL-2.0-or-later
/* MACsec SAs by netlink; see macsec.h. */
#include "unp/netlink/macsec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/if_macsec.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct netlink_macsec
 * @generic: to the driver
 * @route: to choose the encoding SA
 */
struct netlink_macsec {
	struct netlink *generic;
	struct netlink *route;
	uint16_t family;
};

/* -------- the family -------- */

static int keep_family(const struct nlmsghdr *m, void *arg)
{
	const struct nlattr *attr;
	uint16_t *family = arg;

	mnl_attr_for_each(attr, m, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
		    !mnl_attr_validate(attr, MNL_TYPE_U16))
			*family = mnl_attr_get_u16(attr);
	}
	return MNL_CB_OK;
}

static int find_family(struct netlink_macsec *ms)
{
	struct nlmsghdr *m = netlink_begin(ms->generic, GENL_ID_CTRL, 0);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(m, sizeof(*g));
	int err;

	g->cmd = CTRL_CMD_GETFAMILY;
	g->version = 1;
	mnl_attr_put_strz(m, CTRL_ATTR_FAMILY_NAME, MACSEC_GENL_NAME);
	err = netlink_ask(ms->generic, keep_family, &ms->family);
	return err ? err : ms->family ? 0 : -ENOENT;
}

int netlink_macsec_open(struct netlink_macsec **macsec)
{
	struct netlink_macsec *ms = calloc(1, sizeof(*ms));
	int err;

	if (!ms)
		return -ENOMEM;
	err = netlink_open(NETLINK_GENERIC, &ms->generic);
	if (!err)
		err = netlink_open(NETLINK_ROUTE, &ms->route);
	if (!err)
		err = find_family(ms);
	if (err) {
		netlink_macsec_close(ms);
		return err;
	}
	*macsec = ms;
	return 0;
}

void netlink_macsec_close(struct netlink_macsec *ms)
{
	if (!ms)
		return;
	netlink_close(ms->generic);
	netlink_close(ms->route);
	free(ms);
}

const char *netlink_macsec_text(const struct netlink_macsec *ms)
{
	return netlink_text(ms->generic);
}

/* -------- requests -------- */

static struct nlmsghdr *begin(struct netlink_macsec *ms, const struct qkd_channel *c, uint8_t cmd,
			      uint16_t flags)
{
	struct nlmsghdr *m = netlink_begin(ms->generic, ms->family, flags);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(m, sizeof(*g));

	g->cmd = cmd;
	g->version = MACSEC_GENL_VERSION;
	mnl_attr_put_u32(m, MACSEC_ATTR_IFINDEX, (uint32_t)c->ifindex);
	return m;
}

static void put_rxsc(struct nlmsghdr *m, const struct qkd_channel *c)
{
	struct nlattr *nest = mnl_attr_nest_start(m, MACSEC_ATTR_RXSC_CONFIG);

	mnl_attr_put(m, MACSEC_RXSC_ATTR_SCI, sizeof(c->sci_peer), c->sci_peer);
	mnl_attr_nest_end(m, nest);
}

/* Short secure channel identifiers: 1 and 2, see QKD_CHANNEL_SSCI_1. */
static uint32_t ssci(const struct qkd_channel *c, bool rx)
{
	bool one = c->flags & QKD_CHANNEL_SSCI_1;

	return htonl(one != rx ? 1 : 2);
}

static void put_key(struct nlmsghdr *m, const struct qkd_channel *c, bool rx,
		    const struct qkd_key *key)
{
	const struct qkd_material *material = rx ? &key->in : &key->out;

	mnl_attr_put(m, MACSEC_SA_ATTR_KEY, QKD_KEY_BYTES, material->key);
	mnl_attr_put(m, MACSEC_SA_ATTR_KEYID, QKD_KEY_ID_BYTES, key->key_id);
	if (c->cipher != QKD_CIPHER_GCM_AES_XPN_256) {
		mnl_attr_put_u32(m, MACSEC_SA_ATTR_PN, 1);
		return;
	}
	mnl_attr_put_u64(m, MACSEC_SA_ATTR_PN, 1);
	mnl_attr_put_u32(m, MACSEC_SA_ATTR_SSCI, ssci(c, rx));
	mnl_attr_put(m, MACSEC_SA_ATTR_SALT, QKD_SALT_BYTES, material->salt);
}

enum activity {
	INACTIVE,
	ACTIVE,
	UNSAID
};

/* One of the commands about an SA; @key only to add one. */
static int ask_sa(struct netlink_macsec *ms, const struct qkd_channel *c, uint8_t cmd, bool rx,
		  uint8_t an, enum activity activity, const struct qkd_key *key)
{
	struct nlmsghdr *m = begin(ms, c, cmd, 0);
	struct nlattr *nest;

	if (rx)
		put_rxsc(m, c);
	nest = mnl_attr_nest_start(m, MACSEC_ATTR_SA_CONFIG);
	mnl_attr_put_u8(m, MACSEC_SA_ATTR_AN, an);
	if (activity != UNSAID)
		mnl_attr_put_u8(m, MACSEC_SA_ATTR_ACTIVE, activity == ACTIVE);
	if (key)
		put_key(m, c, rx, key);
	mnl_attr_nest_end(m, nest);
	return netlink_ask(ms->generic, NULL, NULL);
}

int netlink_macsec_add_rxsc(struct netlink_macsec *ms, const struct qkd_channel *c, bool *made)
{
	int err;

	put_rxsc(begin(ms, c, MACSEC_CMD_ADD_RXSC, 0), c);
	err = netlink_ask(ms->generic, NULL, NULL);
	*made = !err;
	return err == -EEXIST ? 0 : err;
}

int netlink_macsec_delete_rxsc(struct netlink_macsec *ms, const struct qkd_channel *c)
{
	put_rxsc(begin(ms, c, MACSEC_CMD_DEL_RXSC, 0), c);
	return netlink_ask(ms->generic, NULL, NULL);
}

int netlink_macsec_install(struct netlink_macsec *ms, const struct qkd_channel *c, uint8_t an,
			   const struct qkd_key *key)
{
	int err = ask_sa(ms, c, MACSEC_CMD_ADD_RXSA, true, an, ACTIVE, key);

	if (err)
		return err;
	err = ask_sa(ms, c, MACSEC_CMD_ADD_TXSA, false, an, INACTIVE, key);
	if (err)
		netlink_macsec_remove_rx(ms, c, an);
	return err;
}

static int choose(struct netlink_macsec *ms, const struct qkd_channel *c, uint8_t an)
{
	struct nlmsghdr *m = netlink_begin(ms->route, RTM_NEWLINK, 0);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(m, sizeof(*link));
	struct nlattr *info, *data;

	link->ifi_family = AF_UNSPEC;
	link->ifi_index = c->ifindex;
	info = mnl_attr_nest_start(m, IFLA_LINKINFO);
	mnl_attr_put_strz(m, IFLA_INFO_KIND, "macsec");
	data = mnl_attr_nest_start(m, IFLA_INFO_DATA);
	mnl_attr_put_u8(m, IFLA_MACSEC_ENCODING_SA, an);
	mnl_attr_put_u8(m, IFLA_MACSEC_PROTECT, 1);
	mnl_attr_put_u8(m, IFLA_MACSEC_ENCRYPT, 1);
	mnl_attr_nest_end(m, data);
	mnl_attr_nest_end(m, info);
	return netlink_ask(ms->route, NULL, NULL);
}

int netlink_macsec_activate(struct netlink_macsec *ms, const struct qkd_channel *c, uint8_t an)
{
	int err = ask_sa(ms, c, MACSEC_CMD_UPD_TXSA, false, an, ACTIVE, NULL);

	if (err)
		return err;
	err = choose(ms, c, an);
	if (err)
		ask_sa(ms, c, MACSEC_CMD_UPD_TXSA, false, an, INACTIVE, NULL);
	return err;
}

/* An active SA cannot be deleted. */
/* -ENODEV: the SA, or the whole device, is not there. */
static int gone(int err)
{
	return err == -ENODEV ? 0 : err;
}

int netlink_macsec_remove_rx(struct netlink_macsec *ms, const struct qkd_channel *c, uint8_t an)
{
	ask_sa(ms, c, MACSEC_CMD_UPD_RXSA, true, an, INACTIVE, NULL);
	return gone(ask_sa(ms, c, MACSEC_CMD_DEL_RXSA, true, an, UNSAID, NULL));
}

int netlink_macsec_remove_tx(struct netlink_macsec *ms, const struct qkd_channel *c, uint8_t an)
{
	ask_sa(ms, c, MACSEC_CMD_UPD_TXSA, false, an, INACTIVE, NULL);
	return gone(ask_sa(ms, c, MACSEC_CMD_DEL_TXSA, false, an, UNSAID, NULL));
}

/* -------- what was sent -------- */

static int keep_sent(const struct nlmsghdr *m, void *arg)
{
	struct rtnl_link_stats64 *stats = arg;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, m, sizeof(struct ifinfomsg))
	{
		if (mnl_attr_get_type(attr) == IFLA_STATS64 &&
		    mnl_attr_get_payload_len(attr) >= sizeof(*stats))
			memcpy(stats, mnl_attr_get_payload(attr), sizeof(*stats));
	}
	return MNL_CB_OK;
}

int netlink_macsec_sent(struct netlink_macsec *ms, const struct qkd_channel *c, uint64_t *packets,
			uint64_t *bytes)
{
	struct nlmsghdr *m = netlink_begin(ms->route, RTM_GETLINK, 0);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(m, sizeof(*link));
	struct rtnl_link_stats64 stats = {0};
	int err;

	link->ifi_family = AF_UNSPEC;
	link->ifi_index = c->ifindex;
	err = netlink_ask(ms->route, keep_sent, &stats);
	*packets = stats.tx_packets;
	*bytes = stats.tx_bytes;
	return err;
}

/* -------- what stands -------- */

struct search {
	const struct qkd_channel *channel;
	struct netlink_macsec_found *found;
	bool seen;
};

/* The numbers in a list of SAs. */
static uint8_t numbers(const struct nlattr *list)
{
	const struct nlattr *sa, *attr;
	uint8_t bits = 0;

	mnl_attr_for_each_nested(sa, list)
	{
		mnl_attr_for_each_nested(attr, sa)
		{
			if (mnl_attr_get_type(attr) == MACSEC_SA_ATTR_AN &&
			    !mnl_attr_validate(attr, MNL_TYPE_U8))
				bits |= (uint8_t)(1U << (mnl_attr_get_u8(attr) & 3));
		}
	}
	return bits;
}

static void read_rxscs(struct search *s, const struct nlattr *list)
{
	const struct nlattr *rxsc, *attr;

	mnl_attr_for_each_nested(rxsc, list)
	{
		const struct nlattr *sas = NULL;
		bool peer = false;

		mnl_attr_for_each_nested(attr, rxsc)
		{
			uint16_t type = mnl_attr_get_type(attr);

			if (type == MACSEC_RXSC_ATTR_SA_LIST)
				sas = attr;
			else if (type == MACSEC_RXSC_ATTR_SCI &&
				 mnl_attr_get_payload_len(attr) == 8)
				peer = !memcmp(mnl_attr_get_payload(attr), s->channel->sci_peer, 8);
		}
		if (peer && sas)
			s->found->rx = numbers(sas);
	}
}

static void read_secy(struct search *s, const struct nlattr *secy)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, secy)
	{
		if (mnl_attr_get_type(attr) == MACSEC_SECY_ATTR_ENCODING_SA &&
		    !mnl_attr_validate(attr, MNL_TYPE_U8))
			s->found->encoding = mnl_attr_get_u8(attr) & 3;
	}
}

static bool is_device(const struct nlmsghdr *m, const struct search *s)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, m, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(attr) == MACSEC_ATTR_IFINDEX &&
		    !mnl_attr_validate(attr, MNL_TYPE_U32))
			return mnl_attr_get_u32(attr) == (uint32_t)s->channel->ifindex;
	}
	return false;
}

static int read_device(const struct nlmsghdr *m, void *arg)
{
	struct search *s = arg;
	const struct nlattr *attr;

	if (!is_device(m, s))
		return MNL_CB_OK;
	s->seen = true;
	mnl_attr_for_each(attr, m, sizeof(struct genlmsghdr))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == MACSEC_ATTR_SECY)
			read_secy(s, attr);
		else if (type == MACSEC_ATTR_TXSA_LIST)
			s->found->tx = numbers(attr);
		else if (type == MACSEC_ATTR_RXSC_LIST)
			read_rxscs(s, attr);
	}
	return MNL_CB_OK;
}

int netlink_macsec_find(struct netlink_macsec *ms, const struct qkd_channel *c,
			struct netlink_macsec_found *found)
{
	struct nlmsghdr *m = netlink_begin(ms->generic, ms->family, NLM_F_DUMP);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(m, sizeof(*g));
	struct search search = {.channel = c, .found = found};
	int err;

	memset(found, 0, sizeof(*found));
	g->cmd = MACSEC_CMD_GET_TXSC;
	g->version = MACSEC_GENL_VERSION;
	err = netlink_ask(ms->generic, read_device, &search);
	return err ? err : search.seen ? 0 : -ENODEV;
}
