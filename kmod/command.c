// SPDX-License-Identifier: GPL-2.0
/*
 * The commands of /dev/qkd: a run of records in a registered buffer. Each is
 * copied once, checked, acted on, and written back with its status; user
 * space may change the buffer at any time, so only the copy is looked at.
 */
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/uio.h>
#include "channel.h"
#include "chardev.h"
#include "command.h"
#include "ipsec.h"
#include "macsec.h"
#include "netns.h"
#include "record.h"
#include "rollover.h"

/* Any record; all begin with the status. */
union record {
	__s32 status;
	struct qkd_hello hello;
	struct qkd_channel channel;
	struct qkd_key key;
	struct qkd_watermark watermark;
	struct qkd_rollover rollover;
	struct qkd_retire retire;
	struct qkd_counters counters;
	struct qkd_epoch epoch;
};

static_assert(!offsetof(struct qkd_hello, status) && !offsetof(struct qkd_channel, status));
static_assert(!offsetof(struct qkd_key, status) && !offsetof(struct qkd_watermark, status));
static_assert(!offsetof(struct qkd_rollover, status) && !offsetof(struct qkd_retire, status));
static_assert(!offsetof(struct qkd_counters, status) && !offsetof(struct qkd_epoch, status));

/**
 * struct run - the records of one command
 * @cmd: the command
 * @file: where it was given
 * @addr: address of the first record
 * @count: records
 * @size: octets of each
 * @flags: how the ring runs the command
 * @in: where the next record is read
 * @out: where the next one is written back
 */
struct run {
	struct io_uring_cmd *cmd;
	struct qkd_file *file;
	u64 addr;
	u32 count;
	u32 size;
	unsigned int flags;
	struct iov_iter in;
	struct iov_iter out;
};

static int import(struct run *run, int rw, struct iov_iter *iter)
{
	return qkd_compat_import_fixed(run->addr, (unsigned long)run->count * run->size, rw, iter,
				       run->cmd, run->flags);
}

/*
 * For the records that come all the time the compiler knows the size. Else the kernel
 * would ask each time whether the copy is within the stack.
 */
static size_t copy_in(struct run *run, union record *r)
{
	switch (run->size) {
	case sizeof(r->key):
		return copy_from_iter(r, sizeof(r->key), &run->in);
	case sizeof(r->watermark):
		return copy_from_iter(r, sizeof(r->watermark), &run->in);
	case sizeof(r->rollover):
		return copy_from_iter(r, sizeof(r->rollover), &run->in);
	default:
		return copy_from_iter(r, run->size, &run->in);
	}
}

static size_t copy_out(struct run *run, const union record *r)
{
	switch (run->size) {
	case sizeof(r->key):
		return copy_to_iter(r, sizeof(r->key), &run->out);
	case sizeof(r->watermark):
		return copy_to_iter(r, sizeof(r->watermark), &run->out);
	case sizeof(r->rollover):
		return copy_to_iter(r, sizeof(r->rollover), &run->out);
	default:
		return copy_to_iter(r, run->size, &run->out);
	}
}

static int read_record(struct run *run, union record *r)
{
	return copy_in(run, r) == run->size ? 0 : -EFAULT;
}

static int write_record(struct run *run, const union record *r)
{
	return copy_out(run, r) == run->size ? 0 : -EFAULT;
}

/* Commands on one record: each returns the record's status. */

static int hello(struct qkd_file *f, union record *r)
{
	u64 wanted = r->hello.features;
	int err = qkd_record_check_hello(&r->hello);

	if (err)
		return err;
	if (r->hello.abi != QKD_ABI_VERSION)
		err = -EPROTONOSUPPORT;
	r->hello.abi = QKD_ABI_VERSION;
	r->hello.features = qkd_ipsec_features() | qkd_macsec_features(f->ns) | QKD_FEATURE_LIMITS |
			    QKD_FEATURE_QUEUE;
	r->hello.max_batch = QKD_MAX_BATCH;
	r->hello.max_channels = QKD_MAX_CHANNELS;
	r->hello.max_lookahead = QKD_MAX_LOOKAHEAD;
	r->hello.max_lookahead_macsec = QKD_MAX_LOOKAHEAD_MACSEC;
	if (!err && (wanted & ~r->hello.features))
		err = -EOPNOTSUPP;
	if (!err)
		WRITE_ONCE(f->greeted, true);
	return err;
}

static int channel_add(struct qkd_file *f, union record *r)
{
	return qkd_record_check_channel_add(&r->channel) ?: qkd_channel_add(f->ns, &r->channel);
}

static int channel_delete(struct qkd_file *f, union record *r)
{
	return qkd_record_check_channel_delete(&r->channel)
		       ?: qkd_channel_delete(f->ns, r->channel.id);
}

static int count(struct qkd_chan *c, struct qkd_counters *r)
{
	qkd_rollover_look(c);
	qkd_channel_count(c, r);
	return 0;
}

/* A command on the channel that its record names: @call, with @c locked. */
#define ON_CHANNEL(name, call)                                                                     \
	static int name(struct qkd_file *f, union record *r)                                       \
	{                                                                                          \
		int err = qkd_record_check_##name(&r->name);                                       \
		struct qkd_chan *c;                                                                \
                                                                                                   \
		if (err)                                                                           \
			return err;                                                                \
		c = qkd_channel_lock(f->ns, r->name.channel);                                      \
		if (IS_ERR(c))                                                                     \
			return PTR_ERR(c);                                                         \
		err = (call);                                                                      \
		qkd_channel_unlock(c);                                                             \
		return err;                                                                        \
	}

ON_CHANNEL(key, qkd_rollover_put(c, &r->key))
ON_CHANNEL(watermark, qkd_rollover_watermark(c, &r->watermark))
ON_CHANNEL(rollover, qkd_rollover_force(c, &r->rollover))
ON_CHANNEL(retire, qkd_rollover_retire(c, r->retire.epoch))
ON_CHANNEL(counters, count(c, &r->counters))

/* Nothing but the number of what it was remains, here and, written back, there. */
static int put_key(struct qkd_file *f, union record *r)
{
	u32 channel = r->key.channel;
	u64 epoch = r->key.epoch;
	int err = key(f, r);

	memzero_explicit(&r->key, sizeof(r->key));
	r->key.channel = channel;
	r->key.epoch = epoch;
	return err;
}

static ssize_t act_on_each(struct run *run, int (*act)(struct qkd_file *f, union record *r))
{
	union record r;
	ssize_t good = 0;
	u32 i;
	int err;

	for (i = 0; i < run->count; i++) {
		err = read_record(run, &r);
		if (err)
			break;
		r.status = act(run->file, &r);
		good += !r.status;
		err = write_record(run, &r);
		if (err)
			break;
	}
	memzero_explicit(&r, sizeof(r));
	return err ?: good;
}

/* The listings: the first record says from where. */

/* None listed is no error. */
static ssize_t write_nothing(struct run *run, union record *r)
{
	r->status = 0;
	return write_record(run, r);
}

static ssize_t channel_list(struct run *run)
{
	union record r;
	u32 i, id;
	int err = read_record(run, &r);

	if (err)
		return err;
	err = qkd_record_check_channel_list(&r.channel);
	if (err) {
		r.status = err;
		return write_record(run, &r);
	}
	id = r.channel.id;
	for (i = 0; i < run->count && qkd_channel_list(run->file->ns, id, &r.channel); i++) {
		err = write_record(run, &r);
		if (err)
			return err;
		id = r.channel.id;
	}
	return i ?: write_nothing(run, &r);
}

static ssize_t list_epochs(struct run *run, struct qkd_chan *c, union record *r)
{
	u64 epoch = r->epoch.epoch;
	u32 i;
	int err;

	for (i = 0; i < run->count && qkd_channel_epoch(c, epoch, &r->epoch); i++) {
		err = write_record(run, r);
		if (err)
			return err;
		epoch = r->epoch.epoch + 1;
	}
	return i ?: write_nothing(run, r);
}

static ssize_t epoch_list(struct run *run)
{
	union record r;
	struct qkd_chan *c;
	ssize_t n;
	int err = read_record(run, &r);

	if (err)
		return err;
	r.status = qkd_record_check_epoch_list(&r.epoch);
	if (r.status)
		return write_record(run, &r);
	c = qkd_channel_lock(run->file->ns, r.epoch.channel);
	if (IS_ERR(c)) {
		r.status = PTR_ERR(c);
		return write_record(run, &r);
	}
	qkd_rollover_look(c);
	n = list_epochs(run, c, &r);
	qkd_channel_unlock(c);
	return n;
}

/* Every command: its number has its record's size in it. */
static const struct {
	u32 op;
	int (*act)(struct qkd_file *f, union record *r);
	ssize_t (*list)(struct run *run);
} commands[] = {
	{.op = QKD_CMD_HELLO, .act = hello},
	{.op = QKD_CMD_CHANNEL_ADD, .act = channel_add},
	{.op = QKD_CMD_CHANNEL_DELETE, .act = channel_delete},
	{.op = QKD_CMD_CHANNEL_LIST, .list = channel_list},
	{.op = QKD_CMD_KEY_PUT, .act = put_key},
	{.op = QKD_CMD_WATERMARK, .act = watermark},
	{.op = QKD_CMD_ROLLOVER, .act = rollover},
	{.op = QKD_CMD_RETIRE, .act = retire},
	{.op = QKD_CMD_COUNTERS, .act = counters},
	{.op = QKD_CMD_EPOCH_LIST, .list = epoch_list},
};

static int check_run(struct run *run)
{
	const struct qkd_cmd *payload = qkd_compat_payload(run->cmd);
	u32 flags = READ_ONCE(payload->flags);

	run->addr = READ_ONCE(payload->addr);
	run->count = READ_ONCE(payload->count);
	if (!run->count || flags || !IS_ALIGNED(run->addr, 8))
		return -EINVAL;
	/* Without the flag there is no buffer, and importing one would warn. */
	if (!(run->cmd->flags & IORING_URING_CMD_FIXED))
		return -EINVAL;
	if (run->count > QKD_MAX_BATCH)
		return -E2BIG;
	return import(run, WRITE, &run->in) ?: import(run, READ, &run->out);
}

static ssize_t command(struct io_uring_cmd *cmd, unsigned int flags)
{
	struct run run = {.cmd = cmd, .file = cmd->file->private_data, .flags = flags};
	u32 op = cmd->cmd_op;
	u32 i = 0;
	int err;

	while (i < ARRAY_SIZE(commands) && commands[i].op != op)
		i++;
	if (i == ARRAY_SIZE(commands))
		return -ENOTTY;
	if (!qkd_chardev_allowed(run.file->ns))
		return -EPERM;
	if (op != QKD_CMD_HELLO && !READ_ONCE(run.file->greeted))
		return -EPROTO;
	run.size = _IOC_SIZE(op);
	err = check_run(&run);
	if (err)
		return err;
	return commands[i].list ? commands[i].list(&run) : act_on_each(&run, commands[i].act);
}

/*
 * The ring tries without blocking first; all commands may sleep, so it is told
 * to come again from a worker. There the result is given by
 * qkd_compat_cmd_done(): 6.1 loses a positive one that is returned.
 */
int qkd_command_issue(struct io_uring_cmd *cmd, unsigned int flags)
{
	if (flags & IO_URING_F_NONBLOCK)
		return -EAGAIN;
	qkd_compat_cmd_done(cmd, command(cmd, flags), flags);
	return -EIOCBQUEUED;
}
