/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for key bytes: locked (never in swap), left out of core dumps, empty
 * in a forked child, wiped when freed.
 *
 * Any thread may call these. Blocks of up to 32 KiB come from shared chunks of
 * 256 KiB; larger ones get a mapping of their own.
 */
#ifndef KM_SECRET_H
#define KM_SECRET_H

#include <stddef.h>

/**
 * secret_init - maps the first chunk, so that a daemon that may not lock memory
 * says so at start and not at its first key
 * @error: gets a sentence that names the limit and the way out
 * Return: 0 or -ENOMEM, -EPERM, -EAGAIN (RLIMIT_MEMLOCK).
 */
int secret_init(char *error, size_t error_len);

/**
 * secret_alloc - @len octets, zeroed, aligned to 16
 * Return: NULL if no more memory may be locked. Owner: the caller; secret_free().
 */
void *secret_alloc(size_t len);

/** Wipes and frees; NULL is allowed. */
void secret_free(void *block);

/**
 * secret_process_lockdown - what the whole process does for its keys
 *
 * No core dump, no ptrace by others of the same user (PR_SET_DUMPABLE 0,
 * RLIMIT_CORE 0); and if the process may lock without limit (CAP_IPC_LOCK),
 * nothing of it is ever swapped (mlockall), because buffers of TLS and JSON
 * hold keys for a moment too. To be called first in main().
 * Return: 0, or -errno if the first two failed.
 */
int secret_process_lockdown(void);

#endif
