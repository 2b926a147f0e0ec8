/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network namespace of the test's own, with a kernel that has XFRM policies,
 * and `ip xfrm` as the witness of what stands there. For one test program each.
 */
#ifndef POLICY_WORLD_H
#define POLICY_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static int shell(const char *command)
{
	return system(command); /* NOLINT(cert-env33-c): the texts are ours */
}

static bool enter_namespace(void)
{
	char map[64];
	uid_t uid = getuid();
	gid_t gid = getgid();
	int fd;

	if (unshare(CLONE_NEWNET)) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
			return false;
		snprintf(map, sizeof(map), "0 %u 1", uid);
		if (!put("/proc/self/setgroups", "deny") || !put("/proc/self/uid_map", map))
			return false;
		snprintf(map, sizeof(map), "0 %u 1", gid);
		if (!put("/proc/self/gid_map", map))
			return false;
	}
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	if (fd >= 0)
		close(fd);
	return fd >= 0 && !shell("ip xfrm policy flush");
}

static char listing[65536];

/* What stands, one policy per line. */
static const char *list(void)
{
	/* NOLINTNEXTLINE(cert-env33-c) */
	FILE *ip = popen("ip -o xfrm policy | tr -d '\\\\' | tr -s ' \\t' ' '", "re");
	size_t len;

	assert_non_null(ip);
	len = fread(listing, 1, sizeof(listing) - 1, ip);
	listing[len] = '\0';
	assert_int_equal(pclose(ip), 0);
	return listing;
}

static unsigned int count(const char *text)
{
	unsigned int n = 0;
	const char *at;

	list();
	for (at = strstr(listing, text); at; at = strstr(at + 1, text))
		n++;
	return n;
}

#endif
