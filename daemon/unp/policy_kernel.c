// SPDX-License-Identifier: GPL-2.0-or-later
/* XFRM policies in the kernel; see policy_kernel.h. */
#include "unp/policy_kernel.h"

#include <errno.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_TRIES 8

/**
 * struct policy_kernel
 * @answered: the message under way has been acknowledged or refused, the dump is over
 * @refused: the kernel's answer to it, negative errno
 * @list: what has come of a dump, or of a get
 * @failed: negative errno: what came could not be kept
 */
struct policy_kernel {
	struct nl_sock *socket;
	bool answered;
	int refused;
	struct policy_entry *list;
	size_t count;
	size_t room;
	int failed;
};

const char *policy_kernel_reason(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "not permitted: the daemon needs CAP_NET_ADMIN in this network namespace";
	case -EPROTONOSUPPORT:
	case -EOPNOTSUPP:
		return "the kernel has no XFRM user interface: modprobe xfrm_user";
	case -ECONNREFUSED:
		return "the kernel's XFRM user interface does not answer yet: xfrm_user is just "
		       "being loaded; trying again helps";
	case -EAGAIN:
	case -EINTR:
		return "reading them was interrupted every time, somebody else changes policies "
		       "all the time; trying again helps";
	case -ENOMEM:
	case -ENOBUFS:
		return "no memory for policies, here or in the kernel";
	default:
		return strerror(-err);
	}
}

/* -------- one exchange -------- */

/* libnl has error numbers of its own, and one for all that it does not know. */
static int from_libnl(int nl_error)
{
	switch (nl_error < 0 ? -nl_error : nl_error) {
	case NLE_SUCCESS:
		return 0;
	case NLE_DUMP_INTR:
	case NLE_INTR:
	case NLE_AGAIN:
	case NLE_SEQ_MISMATCH:
		return -EAGAIN;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_PROTO_MISMATCH:
	case NLE_AF_NOSUPPORT:
	case NLE_OPNOTSUPP:
		return -EPROTONOSUPPORT;
	case NLE_FAILURE:
		return errno ? -errno : -EIO;
	default:
		return -EIO;
	}
}

static int was_answered(struct nl_msg *msg, void *arg)
{
	struct policy_kernel *k = arg;

	k->answered = true;
	return NL_STOP;
}

static int was_refused(struct sockaddr_nl *who, struct nlmsgerr *answer, void *arg)
{
	struct policy_kernel *k = arg;

	k->answered = true;
	k->refused = answer->error < 0 ? answer->error : -EIO;
	return NL_STOP;
}

static int close_message(struct nl_msg *msg, const struct policy_entry *of)
{
	if ((of->mark.m && nla_put(msg, XFRMA_MARK, sizeof(of->mark), &of->mark)) ||
	    (of->if_id && nla_put_u32(msg, XFRMA_IF_ID, of->if_id)))
		return -ENOMEM;
	return 0;
}

/* Sends @msg, which it frees, and hears the kernel out: a record comes before its ack. */
static int exchange(struct policy_kernel *k, struct nl_msg *msg)
{
	int err;

	k->answered = false;
	k->refused = 0;
	k->failed = 0;
	k->count = 0;
	errno = 0;
	err = nl_send_auto(k->socket, msg);
	nlmsg_free(msg);
	while (err >= 0 && !k->answered)
		err = nl_recvmsgs_default(k->socket);
	if (k->refused)
		return k->refused;
	return err < 0 ? from_libnl(err) : k->failed;
}

/* -------- what comes -------- */

static struct nla_policy expected[XFRMA_MAX + 1] = {
	[XFRMA_POLICY] = {.minlen = sizeof(struct xfrm_userpolicy_info)},
	[XFRMA_TMPL] = {.minlen = sizeof(struct xfrm_user_tmpl)},
	[XFRMA_MARK] = {.minlen = sizeof(struct xfrm_mark)},
	[XFRMA_IF_ID] = {.type = NLA_U32},
};

static void read_attrs(struct nlattr **attrs, struct policy_entry *entry)
{
	entry->protect = attrs[XFRMA_TMPL] != NULL;
	if (entry->protect)
		memcpy(&entry->template, nla_data(attrs[XFRMA_TMPL]), sizeof(entry->template));
	if (attrs[XFRMA_MARK])
		memcpy(&entry->mark, nla_data(attrs[XFRMA_MARK]), sizeof(entry->mark));
	if (attrs[XFRMA_IF_ID])
		entry->if_id = nla_get_u32(attrs[XFRMA_IF_ID]);
}

static int read_entry(struct nlmsghdr *header, struct policy_entry *entry)
{
	struct nlattr *attrs[XFRMA_MAX + 1];

	memset(entry, 0, sizeof(*entry));
	if (nlmsg_parse(header, sizeof(entry->info), attrs, XFRMA_MAX, expected))
		return -EPROTO;
	memcpy(&entry->info, nlmsg_data(header), sizeof(entry->info));
	read_attrs(attrs, entry);
	return 0;
}

/* The traffic is in the header, or, if it was deleted by index, with the whole policy. */
static int read_deleted(struct nlmsghdr *header, struct policy_entry *entry)
{
	struct nlattr *attrs[XFRMA_MAX + 1];
	struct xfrm_userpolicy_id id;

	memset(entry, 0, sizeof(*entry));
	if (nlmsg_parse(header, sizeof(id), attrs, XFRMA_MAX, expected))
		return -EPROTO;
	memcpy(&id, nlmsg_data(header), sizeof(id));
	if (attrs[XFRMA_POLICY]) {
		memcpy(&entry->info, nla_data(attrs[XFRMA_POLICY]), sizeof(entry->info));
	} else if (id.index) {
		return -EPROTO;
	} else {
		memcpy(&entry->info.sel, &id.sel, sizeof(id.sel));
		entry->info.dir = id.dir;
	}
	read_attrs(attrs, entry);
	return 0;
}

int policy_kernel_event(const struct nlmsghdr *header, struct policy_entry *entry, bool *gone)
{
	struct nlmsghdr *h = (struct nlmsghdr *)header; /* libnl only reads it */

	*gone = h->nlmsg_type == XFRM_MSG_DELPOLICY;
	if (*gone)
		return read_deleted(h, entry);
	if (h->nlmsg_type != XFRM_MSG_NEWPOLICY && h->nlmsg_type != XFRM_MSG_UPDPOLICY)
		return -EPROTO;
	return read_entry(h, entry);
}

static int keep(struct policy_kernel *k, const struct policy_entry *entry)
{
	if (k->count == k->room) {
		size_t room = k->room ? 2 * k->room : 64;
		struct policy_entry *more = reallocarray(k->list, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		k->list = more;
		k->room = room;
	}
	k->list[k->count++] = *entry;
	return 0;
}

static int has_come(struct nl_msg *msg, void *arg)
{
	struct policy_kernel *k = arg;
	struct policy_entry entry;
	struct nlmsghdr *header = nlmsg_hdr(msg);
	int err = header->nlmsg_type == XFRM_MSG_NEWPOLICY ? read_entry(header, &entry) : -EPROTO;

	/* Those of single sockets come in a dump as well; they have directions of their own. */
	if (!err && entry.info.dir < XFRM_POLICY_MAX)
		err = keep(k, &entry);
	if (err)
		k->failed = err;
	return NL_OK;
}

/* -------- calls -------- */

int policy_kernel_open(struct policy_kernel **kernel, char *error, size_t error_len)
{
	struct policy_kernel *k = calloc(1, sizeof(*k));
	int err = -ENOMEM;

	if (k)
		k->socket = nl_socket_alloc();
	if (!k || !k->socket)
		goto fail;
	if (nl_socket_modify_cb(k->socket, NL_CB_VALID, NL_CB_CUSTOM, has_come, k) ||
	    nl_socket_modify_cb(k->socket, NL_CB_ACK, NL_CB_CUSTOM, was_answered, k) ||
	    nl_socket_modify_cb(k->socket, NL_CB_FINISH, NL_CB_CUSTOM, was_answered, k) ||
	    nl_socket_modify_err_cb(k->socket, NL_CB_CUSTOM, was_refused, k))
		goto fail;
	errno = 0;
	err = from_libnl(nl_connect(k->socket, NETLINK_XFRM));
	if (err)
		goto fail;
	*kernel = k;
	return 0;
fail:
	snprintf(error, error_len, "the kernel's IPsec policies cannot be reached: %s",
		 policy_kernel_reason(err));
	policy_kernel_close(k);
	return err;
}

void policy_kernel_close(struct policy_kernel *k)
{
	if (!k)
		return;
	if (k->socket)
		nl_socket_free(k->socket);
	free(k->list);
	free(k);
}

int policy_kernel_put(struct policy_kernel *k, const struct policy_entry *entry, bool replace)
{
	struct nl_msg *msg =
		nlmsg_alloc_simple(replace ? XFRM_MSG_UPDPOLICY : XFRM_MSG_NEWPOLICY,
				   replace ? NLM_F_REPLACE : NLM_F_CREATE | NLM_F_EXCL);

	if (!msg)
		return -ENOMEM;
	if (nlmsg_append(msg, (void *)&entry->info, sizeof(entry->info), NLMSG_ALIGNTO) ||
	    (entry->protect &&
	     nla_put(msg, XFRMA_TMPL, sizeof(entry->template), &entry->template)) ||
	    close_message(msg, entry)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return exchange(k, msg);
}

/* By what it is for, not by index: the kernel looks one up without a dump. */
static int ask_by_traffic(struct policy_kernel *k, int type, const struct policy_entry *like)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, 0);
	struct xfrm_userpolicy_id id;

	if (!msg)
		return -ENOMEM;
	/* With its padding: the kernel compares that too. */
	memset(&id, 0, sizeof(id));
	memcpy(&id.sel, &like->info.sel, sizeof(id.sel));
	id.dir = like->info.dir;
	if (nlmsg_append(msg, &id, sizeof(id), NLMSG_ALIGNTO) || close_message(msg, like)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return exchange(k, msg);
}

int policy_kernel_find(struct policy_kernel *k, const struct policy_entry *like,
		       struct policy_entry *found)
{
	int err = ask_by_traffic(k, XFRM_MSG_GETPOLICY, like);

	if (!err && k->count != 1)
		err = -EPROTO;
	if (!err)
		*found = k->list[0];
	return err;
}

int policy_kernel_delete(struct policy_kernel *k, const struct policy_entry *like)
{
	return ask_by_traffic(k, XFRM_MSG_DELPOLICY, like);
}

static int list_once(struct policy_kernel *k)
{
	struct xfrm_userpolicy_id any = {0};
	struct nl_msg *msg = nlmsg_alloc_simple(XFRM_MSG_GETPOLICY, NLM_F_DUMP);

	if (!msg)
		return -ENOMEM;
	if (nlmsg_append(msg, &any, sizeof(any), NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return exchange(k, msg);
}

int policy_kernel_list(struct policy_kernel *k, struct policy_entry **list, size_t *count)
{
	int err = -EAGAIN, i;

	for (i = 0; i < LIST_TRIES && err == -EAGAIN; i++)
		err = list_once(k);
	if (err)
		return err;
	*list = k->list;
	*count = k->count;
	k->list = NULL;
	k->count = 0;
	k->room = 0;
	return 0;
}
