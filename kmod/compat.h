/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One shape for what differs between the supported kernels (Debian's 6.1 and
 * 6.12). Included before everything else by Kbuild, which also sets QKD_HAS_*.
 */
#ifndef QKD_COMPAT_H
#define QKD_COMPAT_H

/* io_uring commands: 6.1 has them in io_uring.h, the payload as a pointer. */
#ifdef QKD_HAS_IO_URING_CMD_H
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#endif

/** The 16 octets of sqe->cmd; user space may still change them. */
static inline const void *qkd_compat_payload(const struct io_uring_cmd *cmd)
{
#ifdef QKD_HAS_IO_URING_SQE_CMD
	return io_uring_sqe_cmd(cmd->sqe);
#else
	return cmd->cmd;
#endif
}

/* SAs know their direction from 6.10 on: an inbound one cannot encrypt. */
#ifdef QKD_HAS_XFRM_SA_DIR
#define qkd_compat_set_dir(x, out) ((x)->dir = (out) ? XFRM_SA_DIR_OUT : XFRM_SA_DIR_IN)
#else
#define qkd_compat_set_dir(x, out) ((void)(x))
#endif

#endif
