// SPDX-License-Identifier: GPL-2.0-or-later
/* Unix sockets: the control interfaces of this host. */
#include "loop/listener.h"
#include "loop/stream_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int fill_address(struct sockaddr_un *addr, const char *path)
{
	*addr = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!*path)
		return -EINVAL;
	if (strlen(path) >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	strcpy(addr->sun_path, path);
	return 0;
}

/* Connects at once, or fails if the other side's backlog is full: no need for the ring. */
static int connect_now(int fd, const struct sockaddr_un *addr)
{
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return -errno;
	/* The ring waits only on sockets that would block. */
	return fcntl(fd, F_SETFL, 0) ? -errno : 0;
}

int stream_connect_unix(struct loop *loop, const char *path, const struct stream_ops *ops,
			void *arg, struct stream **stream)
{
	struct sockaddr_un addr;
	struct stream *made;
	int fd;
	int rc = fill_address(&addr, path);

	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect_now(fd, &addr);
	if (rc)
		goto close_fd;
	made = stream_new(loop, fd);
	if (!made) {
		rc = -ENOMEM;
		goto close_fd;
	}
	snprintf(made->address, sizeof(made->address), "%s", path);
	stream_set_owner(made, ops, arg);
	stream_begin_later(made);
	*stream = made;
	return 0;
close_fd:
	close(fd);
	return rc;
}

/* Whether a socket file is left over from a process that has gone. */
static bool is_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd;
	bool stale;

	if (lstat(addr->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

/*
 * The group comes from a directory with the set-group-ID bit where the service
 * runs without the right to any chown; then there is nothing to change.
 */
static int give_to_group(const char *path, gid_t group)
{
	struct stat st;

	if (group == (gid_t)-1 || (!lstat(path, &st) && st.st_gid == group))
		return 0;
	return lchown(path, (uid_t)-1, group);
}

static int bind_unix(const struct sockaddr_un *addr, mode_t mode, gid_t group)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	if (is_stale(addr))
		unlink(addr->sun_path);
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr))) {
		rc = -errno;
		goto close_fd;
	}
	/* Nobody can connect before we listen, so there is no gap in between. */
	if (give_to_group(addr->sun_path, group) || chmod(addr->sun_path, mode)) {
		rc = -errno;
		unlink(addr->sun_path);
		goto close_fd;
	}
	return fd;
close_fd:
	close(fd);
	return rc;
}

int stream_listen_unix(struct loop *loop, const char *path, mode_t mode, gid_t group,
		       unsigned int max_streams, const struct stream_listener_ops *ops, void *arg,
		       struct stream_listener **listener)
{
	struct sockaddr_un addr;
	int rc = fill_address(&addr, path);
	int fd;

	if (rc)
		return rc;
	fd = bind_unix(&addr, mode, group);
	if (fd < 0)
		return fd;
	rc = stream_listener_start(loop, fd, NULL, path, max_streams, 0, ops, arg, listener);
	if (rc) {
		unlink(path);
		close(fd);
	}
	return rc;
}
