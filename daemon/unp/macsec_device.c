// SPDX-License-Identifier: GPL-2.0-or-later
/* The macsec device of a channel; see macsec_device.h. */
#include "unp/macsec_device.h"
#include "config/config_address.h"
#include "log.h"

#include <errno.h>
#include <linux/if_macsec.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/macsec.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/fifo.h>
#include <netlink/route/tc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_FRAMES 1000

/* What one call works on. */
struct job {
	struct nl_sock *socket;
	const struct config_channel *config;
	const char *name;
	char *error;
	size_t error_len;
};

static int fail(struct job *j, int nl_error, const char *what)
{
	int code = nl_error < 0 ? -nl_error : nl_error;

	snprintf(j->error, j->error_len, "%s: %s: %s", j->name, what, nl_geterror(code));
	switch (code) {
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_NODEV:
	case NLE_OBJ_NOTFOUND:
		return -ENODEV;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static uint64_t suite_of(enum qkd_cipher cipher)
{
	return cipher == QKD_CIPHER_GCM_AES_XPN_256 ? MACSEC_CIPHER_ID_GCM_AES_XPN_256
						    : MACSEC_CIPHER_ID_GCM_AES_256;
}

int macsec_device_peer_sci(const struct config_channel *config, uint8_t sci[8])
{
	const struct config_macsec *m = config->macsec;

	if (!m || config_mac_parse(m->peer_mac, sci))
		return -EINVAL;
	sci[6] = (uint8_t)(m->peer_port >> 8);
	sci[7] = (uint8_t)m->peer_port;
	return 0;
}

/* -------- making it -------- */

static struct rtnl_link *describe(const struct job *j, int parent)
{
	const struct config_macsec *m = j->config->macsec;
	struct rtnl_link *link = rtnl_link_macsec_alloc();

	if (!link)
		return NULL;
	rtnl_link_set_name(link, m->device);
	rtnl_link_set_link(link, parent);
	rtnl_link_macsec_set_port(link, m->port); /* host order: libnl turns it */
	rtnl_link_macsec_set_cipher_suite(link, suite_of(j->config->cipher));
	rtnl_link_macsec_set_icv_len(link, MACSEC_STD_ICV_LEN);
	rtnl_link_macsec_set_protect(link, 1);
	rtnl_link_macsec_set_encrypt(link, 1);
	rtnl_link_macsec_set_send_sci(link, 1);
	rtnl_link_macsec_set_end_station(link, 0);
	rtnl_link_macsec_set_scb(link, 0);
	rtnl_link_macsec_set_validation_type(link, MACSEC_VALIDATE_STRICT);
	rtnl_link_macsec_set_replay_protect(link, 1);
	rtnl_link_macsec_set_window(link, m->replay_window);
	return link;
}

static int make(struct job *j)
{
	const struct config_macsec *m = j->config->macsec;
	struct rtnl_link *link;
	unsigned int parent;
	int err;

	if (!m->parent || !*m->parent) {
		snprintf(j->error, j->error_len,
			 "there is no device %s, and no 'parent' to make it on", j->name);
		return -ENODEV;
	}
	parent = if_nametoindex(m->parent);
	if (!parent) {
		snprintf(j->error, j->error_len, "there is no device %s to make %s on", m->parent,
			 j->name);
		return -ENODEV;
	}
	link = describe(j, (int)parent);
	if (!link)
		return -ENOMEM;
	err = rtnl_link_add(j->socket, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(link);
	if (err)
		return fail(j, err, "the macsec device cannot be made");
	log_info("channel %s: made the macsec device %s on %s", j->config->name, j->name,
		 m->parent);
	return 0;
}

/* -------- checking it -------- */

static int differs(struct job *j, const char *setting, const char *command)
{
	snprintf(j->error, j->error_len,
		 "%s: its %s is not what the channel needs: run 'ip link set %s type macsec %s', "
		 "or remove the device and let qkdkeyd make it",
		 j->name, setting, j->name, command);
	return -EINVAL;
}

static int check_protection(struct job *j, struct rtnl_link *link)
{
	enum macsec_validation_type validate = MACSEC_VALIDATE_DISABLED;
	uint8_t on = 0;

	if (rtnl_link_macsec_get_protect(link, &on) || !on)
		return differs(j, "protect", "protect on");
	if (rtnl_link_macsec_get_encrypt(link, &on) || !on)
		return differs(j, "encrypt", "encrypt on");
	if (rtnl_link_macsec_get_validation_type(link, &validate) ||
	    validate != MACSEC_VALIDATE_STRICT)
		return differs(j, "validate", "validate strict");
	if (rtnl_link_macsec_get_replay_protect(link, &on) || !on)
		return differs(j, "replay protection", "replay on window N");
	return 0;
}

static int check(struct job *j, struct rtnl_link *link)
{
	const char *type = rtnl_link_get_type(link);
	uint64_t suite = 0;

	if (!type || strcmp(type, "macsec") != 0) {
		snprintf(
			j->error, j->error_len,
			"%s is there, but is no macsec device: rename it, or name another 'device'",
			j->name);
		return -EINVAL;
	}
	if (rtnl_link_macsec_get_cipher_suite(link, &suite) ||
	    suite != suite_of(j->config->cipher)) {
		snprintf(j->error, j->error_len,
			 "%s: its cipher suite is not %s: remove the device and let qkdkeyd make "
			 "it",
			 j->name, config_cipher_name(j->config->cipher));
		return -EINVAL;
	}
	return check_protection(j, link);
}

/* -------- bringing it up -------- */

static int bring_up(struct job *j, struct rtnl_link *link)
{
	struct rtnl_link *change;
	int err;

	if (rtnl_link_get_flags(link) & IFF_UP)
		return 0;
	change = rtnl_link_alloc();
	if (!change)
		return -ENOMEM;
	rtnl_link_set_flags(change, IFF_UP);
	err = rtnl_link_change(j->socket, link, change, 0);
	rtnl_link_put(change);
	return err ? fail(j, err, "it cannot be brought up") : 0;
}

static bool has_queue(struct nl_cache *qdiscs, int ifindex)
{
	struct rtnl_qdisc *root = rtnl_qdisc_get_by_parent(qdiscs, ifindex, TC_H_ROOT);
	const char *kind = root ? rtnl_tc_get_kind(TC_CAST(root)) : NULL;
	bool queue = kind && strcmp(kind, "noqueue") != 0;

	if (root)
		rtnl_qdisc_put(root);
	return queue;
}

static int add_queue(struct job *j, int ifindex)
{
	struct rtnl_qdisc *qdisc = rtnl_qdisc_alloc();
	int err;

	if (!qdisc)
		return -NLE_NOMEM;
	rtnl_tc_set_ifindex(TC_CAST(qdisc), ifindex);
	rtnl_tc_set_parent(TC_CAST(qdisc), TC_H_ROOT);
	err = rtnl_tc_set_kind(TC_CAST(qdisc), "pfifo");
	if (!err)
		err = rtnl_qdisc_fifo_set_limit(qdisc, QUEUE_FRAMES);
	if (!err)
		err = rtnl_qdisc_add(j->socket, qdisc, NLM_F_CREATE | NLM_F_REPLACE);
	rtnl_qdisc_put(qdisc);
	return err;
}

/* Without a queue the channel works all the same: a warning, no error. */
static void ensure_queue(struct job *j, int ifindex)
{
	struct nl_cache *qdiscs = NULL;
	int err = rtnl_qdisc_alloc_cache(j->socket, &qdiscs);

	if (!err && !has_queue(qdiscs, ifindex))
		err = add_queue(j, ifindex);
	if (qdiscs)
		nl_cache_free(qdiscs);
	if (err)
		log_warn("channel %s: %s gets no queue (%s): a frame may be lost at a rollover",
			 j->config->name, j->name, nl_geterror(err));
}

/* -------- all together -------- */

static int read_sci(struct job *j, struct rtnl_link *link, struct macsec_device *device)
{
	uint64_t sci = 0;
	unsigned int port;
	int err = rtnl_link_macsec_get_sci(link, &sci);

	if (err)
		return fail(j, err, "its SCI cannot be read");
	memcpy(device->sci, &sci, sizeof(device->sci)); /* network order, as in the kernel */
	device->ifindex = rtnl_link_get_ifindex(link);
	port = (unsigned int)device->sci[6] << 8 | device->sci[7];
	if (port == j->config->macsec->port)
		return 0;
	snprintf(j->error, j->error_len,
		 "%s: the port of its SCI is %u, and the channel's 'port' is %u: write 'port: %u' "
		 "here and 'peer_port: %u' at the peer, or remove the device and let qkdkeyd make "
		 "it",
		 j->name, port, j->config->macsec->port, port, port);
	return -EINVAL;
}

static int ensure(struct job *j, struct macsec_device *device)
{
	struct rtnl_link *link = NULL;
	int err = rtnl_link_get_kernel(j->socket, 0, j->name, &link);

	if (err) {
		err = make(j);
		if (err)
			return err;
		err = rtnl_link_get_kernel(j->socket, 0, j->name, &link);
		if (err)
			return fail(j, err, "it cannot be read");
	}
	err = check(j, link);
	if (!err)
		err = read_sci(j, link, device);
	if (!err)
		err = bring_up(j, link);
	if (!err)
		ensure_queue(j, device->ifindex);
	rtnl_link_put(link);
	return err;
}

int macsec_device_ensure(const struct config_channel *config, struct macsec_device *device,
			 char *error, size_t error_len)
{
	struct job j = {
		.config = config,
		.name = config->macsec->device,
		.error = error,
		.error_len = error_len,
	};
	int err;

	j.socket = nl_socket_alloc();
	if (!j.socket) {
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	err = nl_connect(j.socket, NETLINK_ROUTE);
	if (err)
		err = fail(&j, err, "no netlink socket");
	else
		err = ensure(&j, device);
	nl_socket_free(j.socket);
	return err;
}
