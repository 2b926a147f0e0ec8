// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The backend over /dev/qkd. One command is under way at a time, which keeps
 * them in order; those that came meanwhile travel in one batch if they are
 * alike. Records go through one locked buffer that is registered with the ring.
 */
#include "km/secret.h"
#include "log.h"
#include "unp/backend_ops.h"
#include "unp/device_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICE		"/dev/qkd"
#define BUFFER_BYTES	65536
#define EVENTS		64 /* read at once */
#define RING_RETRY_MS	1
#define DEVICE_FEATURES QKD_FEATURE_ESP

/**
 * struct device - the open /dev/qkd
 * @buffer: registered; belongs to the command under way
 * @run: the commands under way, as taken from @queue
 * @listed: what a LIST command has gathered so far
 * @read_retry: for the events, while the ring is full
 * @failed: negative errno once the device is of no more use
 */
struct device {
	struct backend backend;
	int fd;
	uint8_t *buffer;
	struct loop_op cmd_op;
	struct loop_timer retry;
	struct device_queue queue;
	struct device_entry *run;
	size_t run_count;
	uint8_t *listed;
	size_t listed_count;
	struct loop_op read_op;
	struct loop_timer read_retry;
	struct qkd_event events[EVENTS];
	bool closing;
	int failed;
};

static void dispatch(struct device *d);

static struct device *device_of(struct backend *backend)
{
	return (struct device *)backend; /* its first member */
}

/* -------- the end -------- */

static void answer(struct device_entry *entry, int err, const void *record)
{
	if (entry->list_done)
		entry->list_done(entry->arg, err, NULL, 0);
	else if (entry->done)
		entry->done(entry->arg, err, record);
}

static void fail_all(struct device_entry *entry, int err)
{
	while (entry) {
		struct device_entry *next = entry->next;

		answer(entry, err, NULL);
		device_entry_free(entry);
		entry = next;
	}
}

/* What waits and what is under way; the outcome of the latter stays unknown. */
static void fail_pending(struct device *d, int err)
{
	struct device_entry *run = d->run, *waiting = d->queue.first;

	d->run = NULL;
	d->run_count = 0;
	device_queue_init(&d->queue);
	free(d->listed);
	d->listed = NULL;
	fail_all(run, err);
	fail_all(waiting, err);
}

__attribute__((format(printf, 3, 4))) static void device_failed(struct device *d, int err,
								const char *format, ...)
{
	char text[256];
	va_list args;

	if (d->failed || d->closing)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	d->failed = err;
	/* First, so that who waits for an answer knows already why it fails. */
	if (d->backend.events.failed)
		d->backend.events.failed(err, text, d->backend.events.arg);
	fail_pending(d, err);
}

static void release(struct device *d)
{
	if (d->cmd_op.busy || d->read_op.busy)
		return;
	loop_unregister_buffer(d->backend.loop);
	close(d->fd);
	secret_free(d->buffer);
	free(d);
}

/* The kernel still may write to the buffers: they go with the last completion. */
static void device_close(struct backend *backend)
{
	struct device *d = device_of(backend);

	d->closing = true;
	loop_timer_cancel(backend->loop, &d->retry);
	loop_timer_cancel(backend->loop, &d->read_retry);
	fail_pending(d, -ECANCELED);
	if (d->read_op.busy)
		loop_op_cancel(backend->loop, &d->read_op);
	release(d);
}

/* -------- commands -------- */

static size_t batch_limit(const struct device *d, uint32_t cmd)
{
	size_t room = BUFFER_BYTES / backend_record_size(cmd);
	size_t limit = d->backend.hello.max_batch ? d->backend.hello.max_batch : 1;

	return room < limit ? room : limit;
}

static int start(struct device *d, uint32_t cmd, size_t count)
{
	struct qkd_cmd payload = {
		.addr = (uintptr_t)d->buffer,
		.count = (uint32_t)count,
	};

	return loop_uring_cmd(d->backend.loop, &d->cmd_op, d->fd, cmd, &payload, 0);
}

/* The first record says where the list goes on. */
static int start_list(struct device *d)
{
	uint32_t cmd = d->run->cmd;
	size_t size = backend_record_size(cmd), count = batch_limit(d, cmd);

	memset(d->buffer, 0, size * count);
	memcpy(d->buffer, d->run->record, size);
	return start(d, cmd, count);
}

static int start_run(struct device *d)
{
	size_t size = backend_record_size(d->run->cmd), at = 0;
	const struct device_entry *entry;

	if (device_cmd_lists(d->run->cmd))
		return start_list(d);
	for (entry = d->run; entry; entry = entry->next, at += size)
		memcpy(d->buffer + at, entry->record, size);
	return start(d, d->run->cmd, d->run_count);
}

static void end_run(struct device *d, int result)
{
	struct device_entry *entry = d->run;
	size_t at = 0, size = entry ? backend_record_size(entry->cmd) : 0;

	d->run = NULL;
	d->run_count = 0;
	while (entry && !d->closing) {
		struct device_entry *next = entry->next;

		if (result < 0)
			answer(entry, result, NULL);
		else
			answer(entry, 0, d->buffer + at);
		device_entry_free(entry);
		at += size;
		entry = next;
	}
	fail_all(entry, -ECANCELED); /* closed by one of the callbacks */
}

/* -------- lists -------- */

static int keep_listed(struct device *d, size_t size, size_t count)
{
	uint8_t *more = reallocarray(d->listed, d->listed_count + count, size);

	if (!more)
		return -ENOMEM;
	d->listed = more;
	memcpy(d->listed + d->listed_count * size, d->buffer, count * size);
	d->listed_count += count;
	return 0;
}

static void list_behind_last(struct device *d, size_t size)
{
	const void *last = d->listed + (d->listed_count - 1) * size;

	if (d->run->cmd == QKD_CMD_CHANNEL_LIST) {
		struct qkd_channel *from = d->run->record;

		from->id = ((const struct qkd_channel *)last)->id;
	} else {
		struct qkd_epoch *from = d->run->record;

		from->epoch = ((const struct qkd_epoch *)last)->epoch + 1;
	}
}

static void end_list(struct device *d, int err)
{
	struct device_entry *entry = d->run;
	uint8_t *listed = d->listed;
	size_t count = d->listed_count;

	d->run = NULL;
	d->run_count = 0;
	d->listed = NULL;
	d->listed_count = 0;
	entry->list_done(entry->arg, err, err ? NULL : listed, err ? 0 : count);
	device_entry_free(entry);
	free(listed);
}

/* Ends the list, or leaves it to dispatch() to ask for the next page. */
static void list_page(struct device *d, int result)
{
	size_t size = backend_record_size(d->run->cmd), count = batch_limit(d, d->run->cmd);
	int err = result < 0 ? result : 0;

	if (!err && (size_t)result > count)
		err = -EPROTO;
	if (!err && d->run->cmd == QKD_CMD_EPOCH_LIST && !result)
		err = ((const struct qkd_epoch *)d->buffer)->status;
	if (!err && result > 0)
		err = keep_listed(d, size, (size_t)result);
	if (err || (size_t)result < count) {
		end_list(d, err);
		return;
	}
	list_behind_last(d, size);
}

/* -------- HELLO -------- */

static void hello_done(struct device *d, int result, const struct qkd_hello *hello)
{
	if (result == -EPERM || result == -EACCES)
		device_failed(d, result,
			      "%s: not permitted; qkdkeyd needs CAP_NET_ADMIN in this network "
			      "namespace",
			      DEVICE);
	else if (result == -EOPNOTSUPP)
		device_failed(d, result,
			      "%s: this kernel does not pass io_uring commands to the device; "
			      "Linux 6.1 or newer is needed",
			      DEVICE);
	else if (result < 0)
		device_failed(d, result, "%s: HELLO failed: %s", DEVICE, strerror(-result));
	else if (hello->status == -EPROTONOSUPPORT)
		device_failed(d, hello->status,
			      "%s: the module speaks ABI version %u, this qkdkeyd %u; install the "
			      "two from the same release and reload the module",
			      DEVICE, hello->abi, QKD_ABI_VERSION);
	else if (hello->status)
		device_failed(d, hello->status, "%s: the module refused HELLO: %s", DEVICE,
			      strerror(-hello->status));
	else if (!hello->max_batch || !hello->max_lookahead)
		device_failed(d, -EPROTO, "%s: the module offers no batch or no lookahead", DEVICE);
	else
		d->backend.hello = *hello;
}

static void read_events(struct device *d);

static void hello_arrived(struct device *d, int result)
{
	struct qkd_hello hello;

	memcpy(&hello, d->buffer, sizeof(hello));
	device_entry_free(d->run);
	d->run = NULL;
	d->run_count = 0;
	hello_done(d, result, &hello);
	if (!d->failed)
		read_events(d);
}

/* -------- the queue moves -------- */

static void wipe_keys(struct device *d)
{
	size_t i;

	/* The module has wiped them; this holds if it did not get that far. */
	for (i = 0; i < d->run_count; i++) {
		struct qkd_key *key = (struct qkd_key *)d->buffer + i;

		OPENSSL_cleanse(key->key_id, sizeof(*key) - offsetof(struct qkd_key, key_id));
	}
}

static void cmd_done(struct loop_op *op, int result)
{
	struct device *d = op->arg;

	if (d->closing || !d->run) {
		OPENSSL_cleanse(d->buffer, BUFFER_BYTES);
		if (d->closing)
			release(d);
		return;
	}
	if (d->run->cmd == QKD_CMD_KEY_PUT)
		wipe_keys(d);
	if (d->run->cmd == QKD_CMD_HELLO)
		hello_arrived(d, result);
	else if (!device_cmd_lists(d->run->cmd))
		end_run(d, result);
	else
		list_page(d, result);
	if (d->closing)
		release(d);
	else
		dispatch(d);
}

static void dispatch(struct device *d)
{
	int err;

	if (d->cmd_op.busy || d->failed)
		return;
	if (!d->run) {
		if (!d->queue.first)
			return;
		d->run_count =
			device_queue_take(&d->queue, batch_limit(d, d->queue.first->cmd), &d->run);
	}
	err = start_run(d);
	/* A try later copies them anew. */
	if (err && d->run->cmd == QKD_CMD_KEY_PUT)
		wipe_keys(d);
	if (err == -EAGAIN)
		err = loop_timer_set(d->backend.loop, &d->retry, RING_RETRY_MS);
	if (err)
		device_failed(d, err, "%s: cannot start a command: %s", DEVICE, strerror(-err));
}

static void retry_fired(void *arg)
{
	dispatch(arg);
}

static int device_submit(struct backend *backend, uint32_t cmd, const void *record,
			 backend_done_fn done, void *arg)
{
	struct device *d = device_of(backend);
	struct device_entry *entry;

	if (d->failed || d->closing)
		return -ENODEV;
	entry = device_queue_add(&d->queue, cmd, record);
	if (!entry)
		return -ENOMEM;
	entry->done = done;
	entry->arg = arg;
	dispatch(d);
	return 0;
}

static int submit_list(struct device *d, uint32_t cmd, const void *from, backend_list_fn done,
		       void *arg)
{
	struct device_entry *entry;

	if (d->failed || d->closing)
		return -ENODEV;
	entry = device_queue_add(&d->queue, cmd, from);
	if (!entry)
		return -ENOMEM;
	entry->list_done = done;
	entry->arg = arg;
	dispatch(d);
	return 0;
}

static int device_list_channels(struct backend *backend, backend_list_fn done, void *arg)
{
	struct qkd_channel from = {.id = 0};

	return submit_list(device_of(backend), QKD_CMD_CHANNEL_LIST, &from, done, arg);
}

static int device_list_epochs(struct backend *backend, uint32_t channel, backend_list_fn done,
			      void *arg)
{
	struct qkd_epoch from = {.channel = channel};

	return submit_list(device_of(backend), QKD_CMD_EPOCH_LIST, &from, done, arg);
}

/* -------- events -------- */

static void events_arrived(struct loop_op *op, int result)
{
	struct device *d = op->arg;
	size_t i, count = result > 0 ? (size_t)result / sizeof(struct qkd_event) : 0;

	if (d->closing) {
		release(d);
		return;
	}
	if (result == -EINTR || result == -EAGAIN) {
		read_events(d);
		return;
	}
	if (result <= 0 || (size_t)result % sizeof(struct qkd_event)) {
		device_failed(d, result < 0 ? result : -EPROTO, "%s: reading events failed: %s",
			      DEVICE, result < 0 ? strerror(-result) : "not whole records");
		return;
	}
	for (i = 0; i < count && !d->closing; i++)
		d->backend.events.event(&d->events[i], d->backend.events.arg);
	if (d->closing)
		release(d);
	else
		read_events(d);
}

/* The ring may be full for now, as for a command. */
static void read_events(struct device *d)
{
	int err = loop_read(d->backend.loop, &d->read_op, d->fd, d->events, sizeof(d->events));

	if (err == -EAGAIN)
		err = loop_timer_set(d->backend.loop, &d->read_retry, RING_RETRY_MS);
	if (err)
		device_failed(d, err, "%s: cannot read events: %s", DEVICE, strerror(-err));
}

static void read_retry_fired(void *arg)
{
	read_events(arg);
}

/* -------- opening -------- */

static const struct backend_ops device_ops = {
	.name = "module",
	.close = device_close,
	.submit = device_submit,
	.list_channels = device_list_channels,
	.list_epochs = device_list_epochs,
};

static void explain_open(int err, char *error, size_t error_len)
{
	switch (err) {
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		snprintf(error, error_len,
			 "%s is not there: load the module with 'modprobe qkd', or set 'backend: "
			 "netlink' to do without",
			 DEVICE);
		break;
	case -EACCES:
		snprintf(error, error_len,
			 "%s: permission denied: the daemon's user or group must be the "
			 "device's (udev rule 60-qkd.rules), and it needs CAP_NET_ADMIN",
			 DEVICE);
		break;
	case -EPERM:
		snprintf(error, error_len, "%s: not permitted: the daemon needs CAP_NET_ADMIN",
			 DEVICE);
		break;
	default:
		snprintf(error, error_len, "%s: cannot open: %s", DEVICE, strerror(-err));
	}
}

static int prepare_buffer(struct device *d, char *error, size_t error_len)
{
	int err;

	d->buffer = secret_alloc(BUFFER_BYTES);
	if (!d->buffer) {
		snprintf(error, error_len,
			 "cannot lock %d octets for the key buffer: raise RLIMIT_MEMLOCK "
			 "(LimitMEMLOCK= in the unit) or give the daemon CAP_IPC_LOCK",
			 BUFFER_BYTES);
		return -ENOMEM;
	}
	err = loop_register_buffer(d->backend.loop, d->buffer, BUFFER_BYTES);
	if (!err)
		return 0;
	snprintf(error, error_len, "cannot register the key buffer with io_uring: %s",
		 strerror(-err));
	secret_free(d->buffer);
	d->buffer = NULL;
	return err;
}

static struct device *device_new(struct loop *loop, const struct backend_events *events)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->backend.ops = &device_ops;
	d->backend.loop = loop;
	d->backend.events = *events;
	d->cmd_op.done = cmd_done;
	d->cmd_op.arg = d;
	d->read_op.done = events_arrived;
	d->read_op.arg = d;
	d->retry.fire = retry_fired;
	d->retry.arg = d;
	d->read_retry.fire = read_retry_fired;
	d->read_retry.arg = d;
	device_queue_init(&d->queue);
	return d;
}

int backend_open_device(struct loop *loop, const struct backend_events *events,
			struct backend **backend, char *error, size_t error_len)
{
	struct qkd_hello hello = {.abi = QKD_ABI_VERSION, .features = DEVICE_FEATURES};
	struct device *d = device_new(loop, events);
	int err;

	if (!d) {
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	d->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (d->fd < 0) {
		err = -errno;
		explain_open(err, error, error_len);
		goto no_file;
	}
	err = prepare_buffer(d, error, error_len);
	if (err)
		goto no_buffer;
	/* First of all; what is submitted meanwhile waits behind it. */
	d->backend.events.failed = NULL; /* nobody has it yet: the return value says it */
	err = device_submit(&d->backend, QKD_CMD_HELLO, &hello, NULL, NULL);
	d->backend.events.failed = events->failed;
	if (!err)
		err = d->failed;
	if (err) {
		snprintf(error, error_len, "%s: HELLO: %s", DEVICE, strerror(-err));
		goto no_hello;
	}
	*backend = &d->backend;
	return 0;

no_hello:
	loop_unregister_buffer(loop);
	secret_free(d->buffer);
no_buffer:
	close(d->fd);
no_file:
	free(d);
	return err;
}
