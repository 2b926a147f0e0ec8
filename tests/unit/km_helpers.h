/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of km/ and quantum/ share: files, keys. */
#ifndef KM_HELPERS_H
#define KM_HELPERS_H

#include "km/key.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 256

/** A new empty directory under $TMPDIR. */
__attribute__((unused)) static void make_directory(char path[PATH_BYTES])
{
	const char *base = getenv("TMPDIR");

	snprintf(path, PATH_BYTES, "%s/qkd-test-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

__attribute__((unused)) static void remove_directory(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/** Makes or overwrites @path, mode 0600. */
__attribute__((unused)) static void write_file(const char *path, const void *octets, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets, len), len);
	assert_int_equal(close(fd), 0);
}

__attribute__((unused)) static void random_key(struct km_key *key)
{
	memset(key, 0, sizeof(*key));
	assert_int_equal(RAND_bytes(key->id.octet, sizeof(key->id.octet)), 1);
	assert_int_equal(RAND_bytes(key->value, sizeof(key->value)), 1);
}

#endif
