// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Locked memory in blocks of powers of two. A block's head says its class; a
 * freed block waits in its class's list, wiped. Chunks are never unmapped:
 * their number follows from the pool's size and does not grow for ever.
 */
#include "km/secret.h"

#include "log.h"

#include <errno.h>
#include <linux/capability.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)	  ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define CHUNK_BYTES  (256U * 1024)
#define CLASS_MIN    6U	 /* 64 octets */
#define CLASS_MAX    15U /* 32 KiB */
#define CLASS_LARGE  0xffU
#define BLOCK_IN_USE 0x51eec7edU
#define BLOCK_FREE   0x0f7ee0ddU

/** In front of each block; 16 octets, so that what follows is aligned. */
struct block {
	uint32_t class;
	uint32_t mark;
	union {
		size_t mapped;	    /* CLASS_LARGE, in use */
		struct block *next; /* free */
	};
};
_Static_assert(sizeof(struct block) == 16, "blocks are aligned to 16");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *free_blocks[CLASS_MAX + 1];
static uint8_t *chunk;
static size_t chunk_left;

/**
 * A forked child finds every chunk wiped, heads and lists too: it starts with
 * none. (The daemon does not fork; tests do.)
 */
static void forget_in_child(void)
{
	pthread_mutex_init(&lock, NULL);
	memset(free_blocks, 0, sizeof(free_blocks));
	chunk = NULL;
	chunk_left = 0;
}

static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forget_in_child);
}

/** Maps @len octets (whole pages) as secret memory; NULL with errno. */
static void *map_locked(size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	void *base;
	int err;

	pthread_once(&once, watch_forks);
	base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	/* mlock2(), since ASan turns mlock() into nothing. */
	if (mlock2(base, len, 0) == 0 && madvise(base, len, MADV_DONTDUMP) == 0 &&
	    madvise(base, len, MADV_WIPEONFORK) == 0)
		return base;
	err = errno;
	munmap(base, len);
	errno = err;
	return NULL;
}

/** A new block of @class; the rest of the old chunk is given up. */
static struct block *carve(unsigned int class)
{
	size_t size = (size_t)1 << class;
	struct block *block;

	if (chunk_left < size) {
		uint8_t *base = map_locked(CHUNK_BYTES);

		if (!base)
			return NULL;
		chunk = base;
		chunk_left = CHUNK_BYTES;
	}
	block = (struct block *)chunk;
	chunk += size;
	chunk_left -= size;
	block->class = class;
	return block;
}

static void *alloc_large(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = (len + sizeof(struct block) + page - 1) & ~(page - 1);
	struct block *block = map_locked(mapped);

	if (!block)
		return NULL;
	block->class = CLASS_LARGE;
	block->mark = BLOCK_IN_USE;
	block->mapped = mapped;
	return block + 1;
}

void *secret_alloc(size_t len)
{
	unsigned int class = CLASS_MIN;
	struct block *block;

	if (len > SIZE_MAX / 2) {
		errno = ENOMEM;
		return NULL;
	}
	if (len + sizeof(*block) > (size_t)1 << CLASS_MAX)
		return alloc_large(len);
	while (len + sizeof(*block) > (size_t)1 << class)
		class ++;
	pthread_mutex_lock(&lock);
	block = free_blocks[class];
	if (block)
		free_blocks[class] = block->next;
	else
		block = carve(class);
	pthread_mutex_unlock(&lock);
	if (!block)
		return NULL;
	block->mark = BLOCK_IN_USE;
	block->next = NULL;
	ASAN_UNPOISON_MEMORY_REGION(block + 1, ((size_t)1 << class) - sizeof(*block));
	return block + 1; /* zero: fresh from mmap(), or wiped by secret_free() */
}

void secret_free(void *memory)
{
	struct block *block;
	size_t size;

	if (!memory)
		return;
	block = (struct block *)memory - 1;
	if (block->mark != BLOCK_IN_USE) {
		/* Freed twice, or overrun: going on would hand one block to two owners. */
		log_err("secret_free: a block's head is damaged; stopping");
		_exit(70);
	}
	if (block->class == CLASS_LARGE) {
		size = block->mapped;
		OPENSSL_cleanse(block, size);
		munmap(block, size);
		return;
	}
	size = (size_t)1 << block->class;
	OPENSSL_cleanse(memory, size - sizeof(*block));
	ASAN_POISON_MEMORY_REGION(memory, size - sizeof(*block));
	pthread_mutex_lock(&lock);
	block->mark = BLOCK_FREE;
	block->next = free_blocks[block->class];
	free_blocks[block->class] = block;
	pthread_mutex_unlock(&lock);
}

int secret_init(char *error, size_t error_len)
{
	struct rlimit limit = {0};
	void *block = secret_alloc(1);
	int err = -errno;

	if (block) {
		secret_free(block);
		return 0;
	}
	getrlimit(RLIMIT_MEMLOCK, &limit);
	snprintf(error, error_len,
		 "cannot lock %u KiB of memory for keys (%s); RLIMIT_MEMLOCK is %llu KiB: raise it "
		 "(LimitMEMLOCK= in the systemd unit, ulimit -l in a shell) or give CAP_IPC_LOCK",
		 CHUNK_BYTES / 1024, strerror(-err), (unsigned long long)limit.rlim_cur / 1024);
	return err;
}

#if !defined(__SANITIZE_ADDRESS__)
static bool may_lock_all(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
		return true;
	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}
#endif

int secret_process_lockdown(void)
{
	const struct rlimit none = {0, 0};

	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
		/*
		 * MCL_FUTURE under a limit would make later allocations fail: only
		 * where there is none. Not with ASan, whose shadow is terabytes.
		 */
#if !defined(__SANITIZE_ADDRESS__)
	if (may_lock_all() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
		return 0;
#endif
	log_debug("only the memory for keys is locked: no CAP_IPC_LOCK, and LimitMEMLOCK= is not "
		  "infinity");
	return 0;
}
