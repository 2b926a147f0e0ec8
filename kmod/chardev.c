// SPDX-License-Identifier: GPL-2.0
/*
 * The character device /dev/qkd. Closing it takes nothing down: a restarted KM
 * opens it again and lists what stands.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include "chardev.h"
#include "command.h"
#include "netns.h"

bool qkd_chardev_allowed(const struct qkd_netns *ns)
{
	return ns_capable(ns->net->user_ns, CAP_NET_ADMIN);
}

static int open_device(struct inode *inode, struct file *file)
{
	struct net *net = get_net(current->nsproxy->net_ns);
	struct qkd_file *f;
	int err;

	err = -EPERM;
	if (!qkd_chardev_allowed(qkd_netns_get(net)))
		goto err_net;
	err = -ENOMEM;
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		goto err_net;
	f->ns = qkd_netns_get(net);
	err = qkd_event_subscribe(f->ns, &f->events);
	if (err)
		goto err_file;
	file->private_data = f;
	stream_open(inode, file);
	/* Lets io_uring try a read, then poll, instead of parking a thread. */
	file->f_mode |= FMODE_NOWAIT;
	return 0;

err_file:
	kfree(f);
err_net:
	put_net(net);
	return err;
}

static int release_device(struct inode *inode, struct file *file)
{
	struct qkd_file *f = file->private_data;

	qkd_event_unsubscribe(f->ns, &f->events);
	put_net(f->ns->net);
	kfree(f);
	return 0;
}

static int wait_for_event(struct qkd_file *f, struct kiocb *iocb)
{
	if (qkd_event_pending(&f->events))
		return 0;
	if ((iocb->ki_flags & IOCB_NOWAIT) || (iocb->ki_filp->f_flags & O_NONBLOCK))
		return -EAGAIN;
	return wait_event_interruptible(f->events.wait, qkd_event_pending(&f->events));
}

/* Whole events only. Waits for the first, takes what else is there. */
static ssize_t read_device(struct kiocb *iocb, struct iov_iter *to)
{
	struct qkd_file *f = iocb->ki_filp->private_data;
	struct qkd_event event;
	ssize_t done = 0;
	int err;

	if (iov_iter_count(to) < sizeof(event))
		return -EINVAL;
	while (!done) {
		err = wait_for_event(f, iocb);
		if (err)
			return err;
		while (iov_iter_count(to) >= sizeof(event) &&
		       qkd_event_take(f->ns, &f->events, &event)) {
			if (copy_to_iter(&event, sizeof(event), to) != sizeof(event)) {
				qkd_event_put_back(f->ns, &f->events, &event);
				return done ?: -EFAULT;
			}
			done += sizeof(event);
		}
	}
	return done;
}

static __poll_t poll_device(struct file *file, poll_table *table)
{
	struct qkd_file *f = file->private_data;

	poll_wait(file, &f->events.wait, table);
	return qkd_event_pending(&f->events) ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations device_ops = {
	.owner = THIS_MODULE,
	.open = open_device,
	.release = release_device,
	.read_iter = read_device,
	.poll = poll_device,
	.uring_cmd = qkd_command_issue,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "qkd",
	.fops = &device_ops,
	.mode = 0600,
};

int qkd_chardev_init(void)
{
	return misc_register(&device);
}

void qkd_chardev_exit(void)
{
	misc_deregister(&device);
}
