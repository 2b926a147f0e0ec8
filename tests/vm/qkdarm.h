/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fail-nth: the n-th allocation of a task is refused, once. Here of all the tasks that
 * may do a part of a command. Each counts for itself, and what is left of its number
 * afterwards says how far it came. For qkdfail.
 */
#ifndef QKD_TEST_ARM_H
#define QKD_TEST_ARM_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARM_MOST 256

/** More than any command allocates: refuses nothing, but counts. */
#define ARM_NEVER 1000000000U

/** Whose allocations. A command begins in a worker of the ring, a thread of ours. */
enum arm_whose {
	ARM_SELF,
	ARM_RING,
	ARM_KERNEL, /* kernel threads: those of all unbound queues, and our queues' rescuers */
};

/** What came of it: tasks that were refused one, and the most that one of the others made. */
struct arm_count {
	unsigned int refused;
	unsigned int made;
};

static struct {
	int fd[ARM_MOST];
	int count;
	unsigned int nth;
} arm_tasks;

static inline void arm_die(const char *what)
{
	fprintf(stderr, "qkdfail: %s: %s\n", what, strerror(errno));
	exit(2);
}

static inline bool arm_read(const char *directory, const char *task, const char *file, char *text,
			    size_t size)
{
	char path[300];
	ssize_t len = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", directory, task, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, text, size - 1);
		close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
	return len > 0;
}

static inline bool arm_begins(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* One that has ended meanwhile is none. */
static inline void arm_add(const char *directory, const char *task)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/fail-nth", directory, task);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT && errno != ESRCH)
		arm_die(path);
	if (fd >= 0 && arm_tasks.count == ARM_MOST) {
		errno = E2BIG;
		arm_die("tasks");
	}
	if (fd >= 0)
		arm_tasks.fd[arm_tasks.count++] = fd;
}

static inline void arm_add_ring(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	char name[32];

	if (!d)
		arm_die("/proc/self/task");
	while ((e = readdir(d)))
		if (arm_read("/proc/self/task", e->d_name, "comm", name, sizeof(name)) &&
		    arm_begins(name, "iou-wrk"))
			arm_add("/proc/self/task", e->d_name);
	closedir(d);
}

/* Most tasks have had their name for long: those of others are not asked again. */
static inline bool arm_is_kernels(const char *task)
{
	static bool others[1 << 16];
	unsigned long pid = strtoul(task, NULL, 10);
	char name[32];

	if (!pid || pid >= sizeof(others) || others[pid])
		return false;
	if (!arm_read("/proc", task, "comm", name, sizeof(name)))
		return false;
	if (arm_begins(name, "kworker/u") || arm_begins(name, "qkd_"))
		return true;
	others[pid] = !arm_begins(name, "kthreadd"); /* the name of each at first */
	return false;
}

static inline void arm_add_kernels(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	if (!d)
		arm_die("/proc");
	while ((e = readdir(d)))
		if (arm_is_kernels(e->d_name))
			arm_add("/proc", e->d_name);
	closedir(d);
}

static inline void arm_set(unsigned int nth)
{
	char text[16];
	int i, len = snprintf(text, sizeof(text), "%u", nth);

	for (i = 0; i < arm_tasks.count; i++)
		if (pwrite(arm_tasks.fd[i], text, (size_t)len, 0) != len && errno != ESRCH)
			arm_die("fail-nth");
	arm_tasks.nth = nth;
}

/** From now on, and until disarm(), the @nth allocation of each of them is refused. */
static inline void arm(enum arm_whose whose, unsigned int nth)
{
	if (whose == ARM_SELF)
		arm_add("/proc", "thread-self");
	if (whose == ARM_RING)
		arm_add_ring();
	if (whose == ARM_KERNEL)
		arm_add_kernels();
	if (!arm_tasks.count) {
		errno = ESRCH;
		arm_die("nobody to refuse memory to");
	}
	arm_set(nth);
}

static inline void arm_count_task(struct arm_count *c, int fd)
{
	char text[16] = "";
	unsigned int left;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return;
	left = (unsigned int)strtoul(text, NULL, 10);
	if (!left)
		c->refused++;
	else if (arm_tasks.nth - left > c->made)
		c->made = arm_tasks.nth - left;
}

static inline struct arm_count disarm(void)
{
	struct arm_count c = {0};
	int i;

	for (i = 0; i < arm_tasks.count; i++)
		arm_count_task(&c, arm_tasks.fd[i]);
	arm_set(0);
	while (arm_tasks.count)
		close(arm_tasks.fd[--arm_tasks.count]);
	return c;
}

#endif
