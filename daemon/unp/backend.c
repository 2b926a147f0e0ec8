// SPDX-License-Identifier: GPL-2.0-or-later
/* One interface to both backends; see backend.h. */
#include "unp/backend_ops.h"

#include <linux/ioctl.h>

void backend_close(struct backend *backend)
{
	if (backend)
		backend->ops->close(backend);
}

const char *backend_name(const struct backend *backend)
{
	return backend->ops->name;
}

const struct qkd_hello *backend_hello(const struct backend *backend)
{
	return &backend->hello;
}

size_t backend_record_size(uint32_t cmd)
{
	return _IOC_SIZE(cmd);
}

int backend_submit(struct backend *backend, uint32_t cmd, const void *record, backend_done_fn done,
		   void *arg)
{
	return backend->ops->submit(backend, cmd, record, done, arg);
}

int backend_list_channels(struct backend *backend, backend_list_fn done, void *arg)
{
	return backend->ops->list_channels(backend, done, arg);
}

int backend_list_epochs(struct backend *backend, uint32_t channel, backend_list_fn done, void *arg)
{
	return backend->ops->list_epochs(backend, channel, done, arg);
}
