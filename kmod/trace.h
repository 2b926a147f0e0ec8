/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: /sys/kernel/tracing/events/qkd. Numbers only, no key material.
 * Each names the channel with its network namespace's inode, as `lsns -t net`.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM qkd

#if !defined(QKD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define QKD_TRACE_H

#include <linux/tracepoint.h>
#include "channel.h"
#include "netns.h"

/* Tables, written as the kernel writes them. */
/* clang-format off */
DECLARE_EVENT_CLASS(qkd_epoch_class,
	TP_PROTO(const struct qkd_chan *c, u64 epoch),
	TP_ARGS(c, epoch),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, channel)
		__field(u64, epoch)
		__field(u64, out)
	),
	TP_fast_assign(
		__entry->netns = c->ns->net->ns.inum;
		__entry->channel = c->config.id;
		__entry->epoch = epoch;
		__entry->out = c->epochs.out;
	),
	TP_printk("netns=%u channel=%u epoch=%llu out=%lld", __entry->netns, __entry->channel,
		  __entry->epoch, (s64)__entry->out)
);

/** The inbound SA of the epoch stands, the outbound one is ready. */
DEFINE_EVENT(qkd_epoch_class, qkd_install,
	TP_PROTO(const struct qkd_chan *c, u64 epoch),
	TP_ARGS(c, epoch));

/** The outbound SA moved to the epoch; out: from which (-1: none). */
DEFINE_EVENT(qkd_epoch_class, qkd_rollover,
	TP_PROTO(const struct qkd_chan *c, u64 epoch),
	TP_ARGS(c, epoch));

/** Both SAs of the epoch are gone. */
DEFINE_EVENT(qkd_epoch_class, qkd_retire,
	TP_PROTO(const struct qkd_chan *c, u64 epoch),
	TP_ARGS(c, epoch));
/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
