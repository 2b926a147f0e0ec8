// SPDX-License-Identifier: GPL-2.0
/*
 * MACsec channels, through the macsec driver's generic netlink family. All
 * requests are made by one worker: the driver checks the rights of the running
 * task, and answers one request at a time.
 *
 * Only the choice of the association that encrypts is no request: that is made
 * through the driver's link operations, so that it takes no longer than it must.
 *
 * The device is looked up each time and never held for longer than a switch,
 * so it can be removed, or moved to another namespace, at any time.
 */
#include <linux/if_macsec.h>
#include <linux/kmod.h>
#include <linux/netdevice.h>
#include <linux/rcupdate.h>
#include <linux/rtnetlink.h>
#include <linux/workqueue.h>
#include <net/rtnetlink.h>
#include <net/sch_generic.h>
#include "channel.h"
#include "macsec.h"
#include "netlink.h"
#include "netns.h"
#include "record.h"

/* How often a request is made for which there may be no memory. */
#define TRIES 3

static struct workqueue_struct *wq;

/**
 * struct task - one thing for the worker to do, on its caller's stack
 * @work: in the queue
 * @act: what; runs in the worker
 * @ns: where
 * @c: the channel, locked by the caller, or NULL
 * @key: for install
 * @an: association number that it is about
 * @result: what @act returned
 */
struct task {
	struct work_struct work;
	int (*act)(struct task *t);
	struct qkd_netns *ns;
	struct qkd_chan *c;
	const struct qkd_key *key;
	u8 an;
	int result;
};

int qkd_macsec_init(void)
{
	wq = alloc_ordered_workqueue("qkd_macsec", WQ_MEM_RECLAIM);
	return wq ? 0 : -ENOMEM;
}

void qkd_macsec_exit(void)
{
	destroy_workqueue(wq);
}

void qkd_macsec_leave(struct qkd_netns *ns)
{
	qkd_netlink_close(ns->netlink);
	ns->netlink = NULL;
}

static int open_netlink(struct qkd_netns *ns)
{
	int err;

	if (ns->netlink)
		return 0;
	ns->netlink = qkd_netlink_open(ns->net);
	if (!ns->netlink)
		return -ENOMEM;
	err = qkd_netlink_find_macsec(ns->netlink);
	if (err)
		qkd_macsec_leave(ns);
	return err;
}

/* A lost number means that the driver was unloaded, and is back perhaps. */
static void run_task(struct work_struct *work)
{
	struct task *t = container_of(work, struct task, work);

	t->result = open_netlink(t->ns) ?: t->act(t);
	if (t->result == -ENOENT) {
		qkd_macsec_leave(t->ns);
		t->result = open_netlink(t->ns) ?: t->act(t);
	}
}

/*
 * The namespaces' exits wait for this through their channels' locks. So nothing
 * in the worker may wait for an exit; loading a module does.
 */
static int do_task(struct task *t)
{
	if (READ_ONCE(t->ns->dead) || (t->c && READ_ONCE(t->c->gone)))
		return -ENODEV;
	INIT_WORK_ONSTACK(&t->work, run_task);
	queue_work(wq, &t->work);
	flush_work(&t->work);
	destroy_work_on_stack(&t->work);
	return t->result;
}

static int nothing(struct task *t)
{
	return 0;
}

u64 qkd_macsec_features(struct qkd_netns *ns)
{
	struct task t = {.act = nothing, .ns = ns};
	int err = do_task(&t);

	/* Nobody waits for the caller: it holds no lock. */
	if (err == -ENOENT) {
		request_module("net-pf-%d-proto-%d-family-" MACSEC_GENL_NAME, PF_NETLINK,
			       NETLINK_GENERIC);
		err = do_task(&t);
	}
	/* All kernels from 5.8 on whose driver is there have extended numbers too. */
	return err ? 0 : QKD_FEATURE_MACSEC | QKD_FEATURE_MACSEC_XPN;
}

static bool is_xpn(const struct task *t)
{
	return t->c->config.cipher == QKD_CIPHER_GCM_AES_XPN_256;
}

/* Short secure channel identifiers, IEEE 802.1AE-2018 clause 10.7.14: 1 and 2. */
static __be32 ssci(const struct task *t, bool rx)
{
	bool one = t->c->config.flags & QKD_CHANNEL_SSCI_1;

	return cpu_to_be32(one != rx ? 1 : 2);
}

static int put_xpn(struct sk_buff *skb, const struct task *t, bool rx, const u8 *salt)
{
	u64 pn = 1;

	return nla_put(skb, MACSEC_SA_ATTR_PN, sizeof(pn), &pn) ||
	       nla_put_u32(skb, MACSEC_SA_ATTR_SSCI, (__force u32)ssci(t, rx)) ||
	       nla_put(skb, MACSEC_SA_ATTR_SALT, QKD_SALT_BYTES, salt);
}

static int put_key(struct sk_buff *skb, const struct task *t, bool rx)
{
	const struct qkd_material *m = rx ? &t->key->in : &t->key->out;
	int err = nla_put(skb, MACSEC_SA_ATTR_KEY, QKD_KEY_BYTES, m->key) ||
		  nla_put(skb, MACSEC_SA_ATTR_KEYID, QKD_KEY_ID_BYTES, t->key->key_id);

	if (is_xpn(t))
		return err || put_xpn(skb, t, rx, m->salt);
	return err || nla_put_u32(skb, MACSEC_SA_ATTR_PN, 1);
}

static int put_sa(struct sk_buff *skb, const struct task *t, u8 cmd, bool active)
{
	struct nlattr *nest = nla_nest_start_noflag(skb, MACSEC_ATTR_SA_CONFIG);
	bool add = cmd == MACSEC_CMD_ADD_RXSA || cmd == MACSEC_CMD_ADD_TXSA;

	if (!nest || nla_put_u8(skb, MACSEC_SA_ATTR_AN, t->an) ||
	    nla_put_u8(skb, MACSEC_SA_ATTR_ACTIVE, active) ||
	    (add && put_key(skb, t, cmd == MACSEC_CMD_ADD_RXSA)))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_in_nest(struct sk_buff *skb, int nest_type, int type, const void *data, int len)
{
	struct nlattr *nest = nla_nest_start_noflag(skb, nest_type);

	if (!nest || nla_put(skb, type, len, data))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_rxsc(struct sk_buff *skb, const struct task *t)
{
	return put_in_nest(skb, MACSEC_ATTR_RXSC_CONFIG, MACSEC_RXSC_ATTR_SCI,
			   t->c->config.sci_peer, sizeof(t->c->config.sci_peer));
}

static int put_request(struct sk_buff *skb, const struct task *t, u8 cmd, bool active)
{
	static const u8 off = MACSEC_OFFLOAD_OFF;
	bool tx = cmd >= MACSEC_CMD_ADD_TXSA && cmd <= MACSEC_CMD_UPD_TXSA;
	bool sa = cmd > MACSEC_CMD_UPD_RXSC;

	if (nla_put_u32(skb, MACSEC_ATTR_IFINDEX, t->c->config.ifindex))
		return -EMSGSIZE;
	if (cmd == MACSEC_CMD_UPD_OFFLOAD)
		return put_in_nest(skb, MACSEC_ATTR_OFFLOAD, MACSEC_OFFLOAD_ATTR_TYPE, &off, 1);
	if (!tx && put_rxsc(skb, t))
		return -EMSGSIZE;
	return sa ? put_sa(skb, t, cmd, active) : 0;
}

/* A command about the device, the receive channel, or an association of @t: then @active. */
static int ask(const struct task *t, u8 cmd, bool active)
{
	struct sk_buff *skb = qkd_netlink_macsec(t->ns->netlink, cmd);
	int err;

	if (!skb)
		return -ENOMEM;
	err = put_request(skb, t, cmd, active);
	if (!err)
		return qkd_netlink_ask(t->ns->netlink, skb);
	qkd_netlink_drop(skb);
	return err;
}

/*
 * A request may fail only because there was no memory for it or, -EIO, for its
 * answer. One that changes nothing when it is made twice is then made again.
 */
static int insist(const struct task *t, u8 cmd, bool active)
{
	int tries = TRIES, err;

	do
		err = ask(t, cmd, active);
	while ((err == -ENOMEM || err == -EIO) && --tries);
	return err;
}

/**
 * struct octet - a netlink attribute of one octet
 * @head: its length; nobody asks for its type
 * @value: the octet
 */
struct octet {
	struct nlattr head;
	u8 value;
};

/*
 * Chooses the association that encrypts, if @an is not negative. Each time it
 * also says that frames are to be encrypted: a device that somebody set to send
 * in the clear does not stay so. The same as RTM_NEWLINK from here, but under
 * our own lock. The values are such as the driver's validate() passes.
 */
static int change_link(struct net_device *dev, int an)
{
	struct octet yes = {{.nla_len = NLA_HDRLEN + 1}, 1}, number = {yes.head, an};
	struct nlattr *data[IFLA_MACSEC_MAX + 1] = {
		[IFLA_MACSEC_ENCODING_SA] = an < 0 ? NULL : &number.head,
		[IFLA_MACSEC_PROTECT] = &yes.head,
		[IFLA_MACSEC_ENCRYPT] = &yes.head,
	};

	return dev->rtnl_link_ops->changelink(dev, NULL, data, NULL);
}

/* The device of a channel; the lock of all devices is held. */
static struct net_device *device_of(const struct task *t)
{
	struct net_device *dev = __dev_get_by_index(t->ns->net, t->c->config.ifindex);

	return dev && netif_is_macsec(dev) && !t->c->gone ? dev : NULL;
}

void qkd_macsec_silence(struct net_device *dev, u8 an)
{
	ASSERT_RTNL();
	if (change_link(dev, an))
		netdev_warn(dev, "its keys may stay in use\n");
}

/*
 * One that is there stays when the channel goes, so that is asked first: of a request
 * to add one the answer can be lost.
 */
static int make_rxsc(const struct task *t)
{
	int err = insist(t, MACSEC_CMD_UPD_RXSC, false);

	if (err != -ENODEV)
		return err;
	err = insist(t, MACSEC_CMD_ADD_RXSC, false);
	t->c->rxsc_made = !err || err == -EEXIST;
	return t->c->rxsc_made ? 0 : err;
}

/*
 * A device that leaves the work to hardware does what that likes without an
 * association. The driver turns this off only while the device is down.
 */
static int act_open(struct task *t)
{
	struct net_device *dev;
	int err = insist(t, MACSEC_CMD_UPD_OFFLOAD, false);

	if (err)
		return err == -EBUSY ? -EOPNOTSUPP : err;
	err = make_rxsc(t);
	if (err)
		return err;
	rtnl_lock();
	dev = device_of(t);
	err = dev ? change_link(dev, -1) : -ENODEV;
	rtnl_unlock();
	if (err && t->c->rxsc_made)
		insist(t, MACSEC_CMD_DEL_RXSC, false);
	return err;
}

static int act_close(struct task *t)
{
	return t->c->rxsc_made ? insist(t, MACSEC_CMD_DEL_RXSC, false) : 0;
}

static int act_remove_in(struct task *t)
{
	insist(t, MACSEC_CMD_UPD_RXSA, false);
	return insist(t, MACSEC_CMD_DEL_RXSA, false);
}

static int act_remove_out(struct task *t)
{
	insist(t, MACSEC_CMD_UPD_TXSA, false);
	return insist(t, MACSEC_CMD_DEL_TXSA, false);
}

/*
 * The transmit association goes in at once too, so that the key need not be
 * kept here; but inactive, since its number may be the one that the device
 * encodes with (0 on a new device), and the peer is not ready yet.
 *
 * -EIO is a request without an answer: it may have been done. All other errors
 * are the driver's own, which then has done nothing; what stands under the
 * number is somebody else's and stays.
 */
static int act_install(struct task *t)
{
	int err = ask(t, MACSEC_CMD_ADD_RXSA, true);

	if (err) {
		if (err == -EIO)
			act_remove_in(t);
		return err;
	}
	err = ask(t, MACSEC_CMD_ADD_TXSA, false);
	if (err) {
		if (err == -EIO)
			act_remove_out(t);
		act_remove_in(t);
	}
	return err;
}

/* Whether all frames pass a queue that can hold them for a moment. */
static bool has_queues(struct net_device *dev)
{
	bool all = true;
	unsigned int i;

	rcu_read_lock();
	for (i = 0; i < dev->real_num_tx_queues; i++) {
		struct Qdisc *q = rcu_dereference(netdev_get_tx_queue(dev, i)->qdisc);

		all = all && q && q->enqueue;
	}
	rcu_read_unlock();
	return all;
}

/*
 * The driver reads the encoding number twice per frame: for the key, then for
 * the header. A frame that is between the two at the switch goes out with the
 * old key under the new number, and is lost. So frames wait in the device's
 * queue for the moment of the switch, and those that are in the driver (under
 * rcu_read_lock_bh) are let through first. A macsec device has no queue unless
 * one is attached; without one nothing can wait, and the rare loss stands.
 */
static int switch_quietly(struct net_device *dev, u8 an)
{
	bool wait = has_queues(dev);
	int err;

	if (wait) {
		netif_tx_stop_all_queues(dev);
		synchronize_net();
	}
	err = change_link(dev, an);
	if (wait)
		netif_tx_wake_all_queues(dev);
	return err;
}

/*
 * A number whose association is not active, or that has none, until the next switch:
 * with four in their grace time, after rollovers by command, there may be none.
 */
static u8 unused_number(const struct task *t)
{
	const struct qkd_epochs *e = &t->c->epochs;
	u32 active = 1U << t->an, i;

	for (i = 0; i < e->count; i++)
		if (e->slot[i].out == QKD_SA_ACTIVE || e->slot[i].out == QKD_SA_GRACE)
			active |= 1U << e->slot[i].epoch % QKD_MACSEC_ANS;
	return ffz(active) % QKD_MACSEC_ANS;
}

static int act_activate(struct task *t)
{
	struct net_device *dev;
	int err = insist(t, MACSEC_CMD_UPD_TXSA, true);

	if (err)
		return err;
	rtnl_lock();
	dev = device_of(t);
	err = dev ? switch_quietly(dev, t->an) : -ENODEV;
	if (!err)
		WRITE_ONCE(t->c->unused, unused_number(t));
	rtnl_unlock();
	if (err)
		ask(t, MACSEC_CMD_UPD_TXSA, false);
	return err;
}

static u8 number_of(const struct qkd_sa *sa)
{
	return sa->epoch % QKD_MACSEC_ANS;
}

static int act_for(struct qkd_chan *c, int (*act)(struct task *t), const struct qkd_sa *sa)
{
	struct task t = {.act = act, .ns = c->ns, .c = c, .an = sa ? number_of(sa) : 0};

	return do_task(&t);
}

static int open_channel(struct qkd_chan *c)
{
	int err = act_for(c, act_open, NULL);

	switch (err) {
	case -ENOENT:
		return -EOPNOTSUPP;
	case -EIO: /* no memory for an answer */
		return -ENOMEM;
	default:
		return err;
	}
}

static void close_channel(struct qkd_chan *c)
{
	act_for(c, act_close, NULL);
}

static int install(struct qkd_chan *c, const struct qkd_key *key, struct qkd_sa *sa)
{
	struct task t = {.act = act_install, .ns = c->ns, .c = c, .key = key, .an = number_of(sa)};
	int err = do_task(&t);

	return err == -EBUSY ? -EEXIST : err; /* somebody else's association */
}

static struct qkd_sent sent_by(struct net_device *dev)
{
	struct rtnl_link_stats64 stats = {};

	dev_get_stats(dev, &stats);
	return (struct qkd_sent){stats.tx_packets, stats.tx_bytes};
}

static struct qkd_sent since(const struct qkd_sent *start, const struct qkd_sent *now)
{
	return (struct qkd_sent){now->packets - start->packets, now->bytes - start->bytes};
}

void qkd_macsec_gone(struct qkd_chan *c, struct net_device *dev)
{
	ASSERT_RTNL();
	if (c->gone)
		return;
	c->last = sent_by(dev);
	smp_store_release(&c->gone, true);
}

/*
 * All that the device sends, it sends with the association in use. Not to be told
 * in the moment in which the device goes.
 */
static bool read_sent(const struct qkd_chan *c, struct qkd_sent *r)
{
	struct net_device *dev;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(c->ns->net, c->config.ifindex);
	if (dev)
		*r = sent_by(dev);
	rcu_read_unlock();
	smp_rmb(); /* what is found in place of a device that has gone, came after @gone */
	if (!smp_load_acquire(&c->gone))
		return dev;
	*r = c->last;
	return true;
}

static void finish_count(struct qkd_sa *sa, const struct qkd_sent *now)
{
	if (sa->counting)
		sa->sent = since(&sa->sent, now);
	sa->counting = false;
}

static int activate(struct qkd_chan *c, struct qkd_sa *sa, struct qkd_sa *old)
{
	int err = act_for(c, act_activate, sa);
	struct qkd_sent now;

	if (err || !read_sent(c, &now))
		return err;
	if (old)
		finish_count(old, &now);
	sa->sent = now;
	sa->counting = true;
	return 0;
}

static unsigned int limit(struct qkd_chan *c, const struct qkd_sa *sa)
{
	const struct qkd_channel *config = &c->config;
	u64 soft_packets = qkd_epochs_soft(&c->epochs, sa->epoch, config->soft_packets);
	u64 soft_bytes = qkd_epochs_soft(&c->epochs, sa->epoch, config->soft_bytes);
	struct qkd_sent sent;

	if (!sa->counting || !read_sent(c, &sent))
		return 0; /* it is lost, which is told otherwise */
	sent = since(&sa->sent, &sent);
	if ((config->hard_packets && sent.packets >= config->hard_packets) ||
	    (config->hard_bytes && sent.bytes >= config->hard_bytes))
		return QKD_NEWS_HARD;
	if ((soft_packets && sent.packets >= soft_packets) ||
	    (soft_bytes && sent.bytes >= soft_bytes))
		return QKD_NEWS_SOFT;
	return 0;
}

/* No association, no device and no driver are as good as removed. */
static int remove_sa(struct qkd_chan *c, struct qkd_sa *sa, bool out)
{
	int err = act_for(c, out ? act_remove_out : act_remove_in, sa);
	struct qkd_sent now;

	if (err && err != -ENODEV && err != -ENOENT)
		return err;
	if (out && read_sent(c, &now))
		finish_count(sa, &now);
	return 0;
}

/*
 * Whether the device is there. To look for the association itself would take a
 * request to the driver each time.
 */
static bool stands(struct qkd_chan *c, const struct qkd_sa *sa, bool out)
{
	return !READ_ONCE(c->gone);
}

static void report(struct qkd_chan *c, const struct qkd_sa *sa, struct qkd_epoch *r)
{
	struct qkd_sent sent = sa->sent, now = sent;

	if (sa->counting) {
		read_sent(c, &now);
		sent = since(&sent, &now);
	}
	r->an = number_of(sa);
	r->packets_out = sent.packets;
	r->bytes_out = sent.bytes;
}

const struct qkd_backend qkd_macsec_backend = {
	.open = open_channel,
	.close = close_channel,
	.install = install,
	.activate = activate,
	.remove = remove_sa,
	.stands = stands,
	.limit = limit,
	.waits = true,
	.silent = true,
	.report = report,
};
