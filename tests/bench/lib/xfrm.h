/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The netlink side: SAs by XFRM_MSG_NEWSA and XFRM_MSG_DELSA, as key daemons do. */
#ifndef QKD_BENCH_XFRM_H
#define QKD_BENCH_XFRM_H

#include "pair.h"

#define XFRM_BATCH_MAX 256

/**
 * struct xfrm - a netlink socket, and the messages that wait to be sent
 * @batch: messages per send, XFRM_BATCH_MAX at most; the last one of a send is acknowledged
 * @soft_packets: limit of the SAs that are installed, 0: none
 */
struct xfrm {
	struct mnl_socket *socket;
	uint32_t batch;
	uint32_t soft_packets;
	uint32_t queued;
	uint32_t used;
	uint32_t sequence;
	void *buffer;
	void *last;
};

void xfrm_open(struct xfrm *x, uint32_t batch);

/** Installs an SA of @pair; sent when a batch is full. */
void xfrm_new(struct xfrm *x, uint32_t pair, uint32_t round, bool out);

/** Removes it. */
void xfrm_delete(struct xfrm *x, uint32_t pair, uint32_t round, bool out);

/** Sends what waits, and reads the acknowledgement. */
void xfrm_flush(struct xfrm *x);

#endif
