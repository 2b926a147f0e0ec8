// SPDX-License-Identifier: GPL-2.0
/* Loading, unloading, and network namespaces coming and going. */
#include <linux/module.h>
#include <net/netns/generic.h>
#include "channel.h"
#include "chardev.h"
#include "esp_pool.h"
#include "macsec.h"
#include "netns.h"
#include "notify.h"
#include "rollover.h"

static unsigned int qkd_net_id;

struct qkd_netns *qkd_netns_get(struct net *net)
{
	return net_generic(net, qkd_net_id);
}

static int __net_init netns_init(struct net *net)
{
	struct qkd_netns *ns = qkd_netns_get(net);

	ns->net = net;
	mutex_init(&ns->table);
	xa_init_flags(&ns->channels, XA_FLAGS_ACCOUNT);
	xa_init_flags(&ns->reqids, XA_FLAGS_ACCOUNT);
	xa_init_flags(&ns->ports, XA_FLAGS_ACCOUNT);
	INIT_WORK(&ns->sweep, qkd_rollover_sweep);
	spin_lock_init(&ns->readers_lock);
	INIT_LIST_HEAD(&ns->readers);
	atomic64_set(&ns->events_lost, 0);
	return 0;
}

/*
 * Every open file holds its namespace, so none is left here and nobody else
 * touches the channels. This runs before xfrm's own exit, which wants no
 * states left, and after the namespace's devices are gone.
 */
static void __net_exit netns_exit(struct net *net)
{
	struct qkd_netns *ns = qkd_netns_get(net);

	WARN_ON(!list_empty(&ns->readers));
	WRITE_ONCE(ns->dead, true);
	cancel_work_sync(&ns->sweep);
	qkd_channel_delete_all(ns);
	qkd_macsec_leave(ns);
	xa_destroy(&ns->channels);
	xa_destroy(&ns->reqids);
	xa_destroy(&ns->ports);
}

static struct pernet_operations netns_ops = {
	.init = netns_init,
	.exit = netns_exit,
	.id = &qkd_net_id,
	.size = sizeof(struct qkd_netns),
};

static int __init qkd_init(void)
{
	int err;

	err = qkd_rollover_init();
	if (err)
		return err;
	err = qkd_macsec_init();
	if (err)
		goto err_rollover;
	err = qkd_pool_init();
	if (err)
		goto err_macsec;
	err = register_pernet_subsys(&netns_ops);
	if (err)
		goto err_pool;
	err = qkd_notify_init();
	if (err)
		goto err_pernet;
	err = qkd_chardev_init();
	if (err)
		goto err_notify;
	return 0;

err_notify:
	qkd_notify_exit();
err_pernet:
	unregister_pernet_subsys(&netns_ops);
err_pool:
	qkd_pool_exit();
err_macsec:
	qkd_macsec_exit();
err_rollover:
	qkd_rollover_exit();
	return err;
}

/* Every channel holds the module, so all namespaces are empty by now. */
static void __exit qkd_exit(void)
{
	qkd_chardev_exit();
	qkd_notify_exit();
	qkd_rollover_exit();
	unregister_pernet_subsys(&netns_ops);
	qkd_pool_exit();
	qkd_macsec_exit();
}

module_init(qkd_init);
module_exit(qkd_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("QKD keys into IPsec and MACsec security associations");
MODULE_SOFTDEP("pre: xfrm_algo esp4 esp6 seqiv gcm chacha20poly1305 drbg macsec");
