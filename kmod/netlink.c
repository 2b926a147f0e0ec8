// SPDX-License-Identifier: GPL-2.0
/* Requests to the kernel's own netlink families; see netlink.h. */
#include <linux/if_macsec.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <net/sock.h>
#include "netlink.h"

#define REQUEST_BYTES 512
#define REPLY_BYTES   8192 /* a part of a listing is no larger */

/**
 * struct qkd_netlink - a socket of one network namespace
 * @sock: generic netlink
 * @macsec: number of the macsec family, 0: not known
 * @seq: of the last request
 * @reply: what came back
 */
struct qkd_netlink {
	struct socket *sock;
	u16 macsec;
	u32 seq;
	u8 reply[REPLY_BYTES] __aligned(NLMSG_ALIGNTO);
};

/* Without CAP_ACK an error would echo the request, key included. */
struct qkd_netlink *qkd_netlink_open(struct net *net)
{
	struct qkd_netlink *nl = kzalloc(sizeof(*nl), GFP_KERNEL);
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int one = 1;

	if (!nl)
		return NULL;
	if (sock_create_kern(net, AF_NETLINK, SOCK_RAW, NETLINK_GENERIC, &nl->sock))
		goto err_memory;
	if (nl->sock->ops->setsockopt(nl->sock, SOL_NETLINK, NETLINK_CAP_ACK, KERNEL_SOCKPTR(&one),
				      sizeof(one)) ||
	    kernel_bind(nl->sock, (void *)&any, sizeof(any)))
		goto err_socket;
	return nl;

err_socket:
	sock_release(nl->sock);
err_memory:
	kfree(nl);
	return NULL;
}

void qkd_netlink_close(struct qkd_netlink *nl)
{
	if (!nl)
		return;
	sock_release(nl->sock);
	kfree_sensitive(nl);
}

/*
 * The message sits at the end of its buffer: with much room behind it, netlink
 * would move it to a smaller one and free this one with the key in it.
 */
static struct sk_buff *new_request(u16 family, u16 flags, u8 cmd, u8 version)
{
	struct sk_buff *skb = alloc_skb(REQUEST_BYTES, GFP_KERNEL);
	struct nlmsghdr *header;
	struct genlmsghdr *genl;

	if (!skb)
		return NULL;
	skb_reserve(skb, skb_tailroom(skb) - REQUEST_BYTES);
	header = nlmsg_put(skb, 0, 0, family, GENL_HDRLEN, NLM_F_REQUEST | flags);
	if (!header) {
		kfree_skb(skb);
		return NULL;
	}
	genl = nlmsg_data(header);
	*genl = (struct genlmsghdr){.cmd = cmd, .version = version};
	return skb;
}

struct sk_buff *qkd_netlink_macsec(struct qkd_netlink *nl, u8 cmd)
{
	return new_request(nl->macsec, NLM_F_ACK, cmd, MACSEC_GENL_VERSION);
}

static u32 own_port(struct socket *sock)
{
	struct sockaddr_nl self = {};

	return kernel_getsockname(sock, (struct sockaddr *)&self) < 0 ? 0 : self.nl_pid;
}

void qkd_netlink_drop(struct sk_buff *skb)
{
	memzero_explicit(skb->data, skb->len);
	kfree_skb(skb);
}

static void keep_family(struct qkd_netlink *nl, const struct nlmsghdr *header)
{
	const struct nlattr *name = nlmsg_find_attr(header, GENL_HDRLEN, CTRL_ATTR_FAMILY_NAME);
	const struct nlattr *id = nlmsg_find_attr(header, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);

	if (name && !nla_strcmp(name, MACSEC_GENL_NAME) && id && nla_len(id) >= (int)sizeof(u16))
		nl->macsec = nla_get_u16(id);
}

/* Return: whether the answer ends here; then @err is what it says. */
static bool read_reply(struct qkd_netlink *nl, int len, int *err)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)nl->reply;

	for (; nlmsg_ok(header, len); header = nlmsg_next(header, &len)) {
		if (header->nlmsg_seq != nl->seq)
			continue;
		if (header->nlmsg_type == GENL_ID_CTRL)
			keep_family(nl, header);
		if (header->nlmsg_type != NLMSG_ERROR && header->nlmsg_type != NLMSG_DONE)
			continue;
		if (nlmsg_len(header) < (int)sizeof(int))
			continue;
		*err = *(const int *)nlmsg_data(header); /* both begin with it */
		return true;
	}
	return false;
}

/* The kernel's families, port 0, answer before they return: all there is, is here. */
static int receive(struct qkd_netlink *nl)
{
	int len, err = -EIO;
	bool done = false;

	do {
		struct kvec vec = {.iov_base = nl->reply, .iov_len = sizeof(nl->reply)};
		struct sockaddr_nl from = {};
		struct msghdr msg = {.msg_name = &from, .msg_namelen = sizeof(from)};

		len = kernel_recvmsg(nl->sock, &msg, &vec, 1, sizeof(nl->reply), MSG_DONTWAIT);
		if (len > 0 && !from.nl_pid)
			done = read_reply(nl, len, &err);
	} while (len > 0 && !done);
	return err;
}

/*
 * Delivered directly rather than by sendmsg(), which copies into a buffer that
 * is freed as it is: here the receiver is done with it in the end, and what is
 * left is wiped; not before the answer is read, since the parts of a listing
 * are made from the request one by one. NETLINK_SKB_DST says that the request
 * names its receiver; without it the check of the sender's rights wants an open
 * file.
 */
int qkd_netlink_ask(struct qkd_netlink *nl, struct sk_buff *skb)
{
	struct nlmsghdr *header = (struct nlmsghdr *)skb->data;
	unsigned int len;
	int err;

	nlmsg_end(skb, header);
	len = skb->len;
	header->nlmsg_seq = ++nl->seq;
	NETLINK_CB(skb).portid = own_port(nl->sock);
	NETLINK_CB(skb).flags = NETLINK_SKB_DST;
	skb_get(skb);
	err = netlink_unicast(nl->sock->sk, skb, 0, 0);
	if (err >= 0)
		err = receive(nl);
	memzero_explicit(header, len);
	kfree_skb(skb);
	return err;
}

/*
 * Asked by name, the kernel would load a driver that is not there, and wait for
 * it: the driver waits for network namespaces that are coming and going, and
 * such a namespace may wait for this thread. So all families are listed.
 */
int qkd_netlink_find_macsec(struct qkd_netlink *nl)
{
	struct sk_buff *skb = new_request(GENL_ID_CTRL, NLM_F_DUMP, CTRL_CMD_GETFAMILY, 1);
	int err;

	if (!skb)
		return -ENOMEM;
	nl->macsec = 0;
	err = qkd_netlink_ask(nl, skb);
	if (!err && !nl->macsec)
		err = -ENOENT;
	return err;
}
