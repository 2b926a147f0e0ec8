/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a backend implements, and what all of them share; see backend.h. */
#ifndef UNP_BACKEND_OPS_H
#define UNP_BACKEND_OPS_H

#include "unp/backend.h"

/** struct backend_ops - the functions of backend.h, by backend */
struct backend_ops {
	const char *name;
	void (*close)(struct backend *backend);
	int (*submit)(struct backend *backend, uint32_t cmd, const void *record,
		      backend_done_fn done, void *arg);
	int (*list_channels)(struct backend *backend, backend_list_fn done, void *arg);
	int (*list_epochs)(struct backend *backend, uint32_t channel, backend_list_fn done,
			   void *arg);
};

/** struct backend - the first member of each backend's own structure */
struct backend {
	const struct backend_ops *ops;
	struct loop *loop;
	struct backend_events events;
	struct qkd_hello hello; /* zero until the backend has answered */
};

/** Octets of one record of @cmd: the size in its number. */
size_t backend_record_size(uint32_t cmd);

#endif
