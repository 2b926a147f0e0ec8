// SPDX-License-Identifier: GPL-2.0
/*
 * Listens to xfrm, to the network devices and to power management; see notify.h.
 * xfrm calls from the output path, with the state locked: nothing is done here but
 * to go on with the next SA at a soft limit, and to wake up the channel.
 */
#include <linux/netdevice.h>
#include <linux/suspend.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>
#include <net/xfrm.h>
#include "channel.h"
#include "ipsec.h"
#include "macsec.h"
#include "netns.h"
#include "notify.h"
#include "rollover.h"

static void tell_of_state(struct xfrm_state *x, unsigned int news)
{
	struct qkd_netns *ns = qkd_netns_get(xs_net(x));
	struct qkd_chan *c;

	rcu_read_lock();
	c = xa_load(&ns->reqids, x->props.reqid);
	if (c && (news & QKD_NEWS_LOST || READ_ONCE(c->in_use) == x)) {
		if (news == QKD_NEWS_SOFT)
			qkd_ipsec_soft_limit(c, x);
		qkd_rollover_tell(c, news);
	}
	rcu_read_unlock();
}

/* Of every state of the machine, whoever made it: channels have request IDs of their own. */
static int heard_state(struct xfrm_state *x, const struct km_event *c)
{
	switch (c->event) {
	case XFRM_MSG_EXPIRE: /* a hard one ends the state, whoever set the limit */
		tell_of_state(x, c->data.hard ? QKD_NEWS_HARD | QKD_NEWS_LOST : QKD_NEWS_SOFT);
		break;
	case XFRM_MSG_DELSA:
		tell_of_state(x, QKD_NEWS_LOST);
		break;
	case XFRM_MSG_FLUSHSA:
		qkd_rollover_tell_all(qkd_netns_get(c->net));
		break;
	}
	return 0;
}

/* xfrm calls these two without asking whether they are there. */
static int no_acquire(struct xfrm_state *x, struct xfrm_tmpl *t, struct xfrm_policy *pol)
{
	return -EINVAL;
}

/* What another manager had to say of it stays: -EINVAL, if nobody did. */
static struct xfrm_policy *no_policy(struct sock *sk, int opt, u8 *data, int len, int *dir)
{
	if (*dir >= 0)
		*dir = -EOPNOTSUPP;
	return NULL;
}

static struct xfrm_mgr states = {
	.notify = heard_state,
	.acquire = no_acquire,
	.compile_policy = no_policy,
};

/*
 * Also when a device moves to another namespace, with its associations, where
 * nobody would roll them over or take them down. One that is unregistered already
 * is told of again while somebody holds it; its ifindex may be another's by then.
 */
static int heard_device(struct notifier_block *nb, unsigned long event, void *data)
{
	struct net_device *dev = netdev_notifier_info_to_dev(data);
	struct qkd_netns *ns = qkd_netns_get(dev_net(dev));
	struct qkd_chan *c;
	u8 unused;

	if (event != NETDEV_UNREGISTER || !netif_is_macsec(dev) ||
	    dev->reg_state == NETREG_UNREGISTERED)
		return NOTIFY_DONE;
	rcu_read_lock();
	c = xa_load(&ns->ports, dev->ifindex);
	unused = c ? READ_ONCE(c->unused) : 0;
	if (c) {
		qkd_macsec_gone(c, dev);
		qkd_rollover_tell(c, QKD_NEWS_LOST);
	}
	rcu_read_unlock();
	if (c)
		qkd_macsec_silence(dev, unused);
	return NOTIFY_DONE;
}

static struct notifier_block devices = {.notifier_call = heard_device};

/* What fell due while the machine slept. */
static int heard_power(struct notifier_block *nb, unsigned long event, void *data)
{
	struct net *net;

	if (event != PM_POST_SUSPEND && event != PM_POST_HIBERNATION)
		return NOTIFY_DONE;
	down_read(&net_rwsem);
	for_each_net(net) qkd_rollover_tell_all(qkd_netns_get(net));
	up_read(&net_rwsem);
	return NOTIFY_DONE;
}

static struct notifier_block power = {.notifier_call = heard_power};

int qkd_notify_init(void)
{
	int err = register_netdevice_notifier(&devices);

	if (err)
		return err;
	err = register_pm_notifier(&power);
	if (err)
		goto err_devices;
	xfrm_register_km(&states);
	return 0;

err_devices:
	unregister_netdevice_notifier(&devices);
	return err;
}

void qkd_notify_exit(void)
{
	xfrm_unregister_km(&states);
	unregister_pm_notifier(&power);
	unregister_netdevice_notifier(&devices);
}
