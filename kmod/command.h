/* SPDX-License-Identifier: GPL-2.0 */
/* The commands of /dev/qkd. */
#ifndef QKD_COMMAND_H
#define QKD_COMMAND_H

struct io_uring_cmd;

/** file_operations.uring_cmd */
int qkd_command_issue(struct io_uring_cmd *cmd, unsigned int flags);

#endif
