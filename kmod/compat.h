/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One shape for what differs between the supported kernels (Debian's 6.1,
 * 6.12 and 7.3). Included before everything else by Kbuild, which also sets
 * QKD_HAS_*.
 */
#ifndef QKD_COMPAT_H
#define QKD_COMPAT_H

#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/poison.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

/* io_uring commands: 6.1 has them in io_uring.h, the payload as a pointer. */
#ifdef QKD_HAS_IO_URING_CMD_H
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

/** The 16 octets of sqe->cmd; user space may still change them. */
static inline const void *qkd_compat_payload(const struct io_uring_cmd *cmd)
{
#if defined(QKD_HAS_IO_URING_SQE_CMD_TYPE)
	return io_uring_sqe_cmd(cmd->sqe, u8);
#elif defined(QKD_HAS_IO_URING_SQE_CMD)
	return io_uring_sqe_cmd(cmd->sqe);
#else
	return cmd->cmd;
#endif
}

/** A part of the registered buffer, as io_uring_cmd_import_fixed() of 6.15 has it. */
static inline int qkd_compat_import_fixed(u64 addr, unsigned long len, int rw,
					  struct iov_iter *iter, struct io_uring_cmd *cmd,
					  unsigned int flags)
{
#ifdef QKD_HAS_IO_URING_IMPORT_FLAGS
	return io_uring_cmd_import_fixed(addr, len, rw, iter, cmd, flags);
#else
	return io_uring_cmd_import_fixed(addr, len, rw, iter, cmd);
#endif
}

/** The command is done; its result is @ret. */
static inline void qkd_compat_cmd_done(struct io_uring_cmd *cmd, ssize_t ret, unsigned int flags)
{
#ifdef QKD_HAS_IO_URING_CMD_DONE32
	io_uring_cmd_done(cmd, ret, flags);
#else
	io_uring_cmd_done(cmd, ret, 0, flags);
#endif
}

/* SAs know their direction from 6.10 on: an inbound one cannot encrypt. */
#ifdef QKD_HAS_XFRM_SA_DIR
#define qkd_compat_set_dir(x, out) ((x)->dir = (out) ? XFRM_SA_DIR_OUT : XFRM_SA_DIR_IN)
#else
#define qkd_compat_set_dir(x, out) ((void)(x))
#endif

/** Sets a state up. */
#ifdef QKD_HAS_XFRM_INIT_EXTACK
#define qkd_compat_init_state(x) xfrm_init_state(x, NULL)
#else
#define qkd_compat_init_state(x) xfrm_init_state(x)
#endif

/** A node that is in a list, not just was. */
static inline bool qkd_compat_is_linked(const struct hlist_node *node)
{
	return node->pprev && node->pprev != LIST_POISON2;
}

/* Lists of states last used, for policies and processors, from 6.13 on. */
#ifdef QKD_HAS_XFRM_STATE_CACHE
#define qkd_compat_is_cached(x)                                                                    \
	(qkd_compat_is_linked(&(x)->state_cache) || qkd_compat_is_linked(&(x)->state_cache_input))
#else
#define qkd_compat_is_cached(x) ((void)(x), false)
#endif

/* The old name makes 7.3 complain. */
#ifdef QKD_HAS_SYSTEM_DFL_WQ
#define qkd_compat_unbound_wq system_dfl_wq
#else
#define qkd_compat_unbound_wq system_unbound_wq
#endif

/* Shrinkers are the kernel's own allocation from 6.7 on, before that the caller's. */
typedef unsigned long (*qkd_compat_shrink_fn)(struct shrinker *, struct shrink_control *);

/** Returns the registered shrinker or an error pointer. */
static inline struct shrinker *qkd_compat_shrinker_register(qkd_compat_shrink_fn count,
							    qkd_compat_shrink_fn scan, int seeks,
							    const char *name)
{
	struct shrinker *s;
#ifdef QKD_HAS_SHRINKER_ALLOC
	s = shrinker_alloc(0, "%s", name);
#else
	int err;

	s = kzalloc(sizeof(*s), GFP_KERNEL);
#endif
	if (!s)
		return ERR_PTR(-ENOMEM);
	s->count_objects = count;
	s->scan_objects = scan;
	s->seeks = seeks;
#ifdef QKD_HAS_SHRINKER_ALLOC
	shrinker_register(s);
#else
	err = register_shrinker(s, "%s", name);
	if (err) {
		kfree(s);
		return ERR_PTR(err);
	}
#endif
	return s;
}

/** Neither callback runs any more when this returns; @s is freed, and may be NULL. */
static inline void qkd_compat_shrinker_unregister(struct shrinker *s)
{
#ifdef QKD_HAS_SHRINKER_ALLOC
	shrinker_free(s);
#else
	if (!s)
		return;
	unregister_shrinker(s);
	kfree(s);
#endif
}

#endif
