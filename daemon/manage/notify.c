// SPDX-License-Identifier: GPL-2.0-or-later
#include "manage/notify.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STATUS_MAX 200

int notify_send(const char *message)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t len;
	int err = 0;
	int fd;

	if (!path || !*path)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, path, strlen(path));
	/* an abstract name has no NUL at its end: the length counts */
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address, len) <
	    0)
		err = -errno;
	close(fd);
	return err;
}

int notify_status(const char *text)
{
	char message[STATUS_MAX + 8];
	size_t len = strcspn(text, "\r\n");

	snprintf(message, sizeof(message), "STATUS=%.*s",
		 (int)(len < STATUS_MAX ? len : STATUS_MAX), text);
	return notify_send(message);
}

/* A decimal number of the environment, 0 if there is none. */
static unsigned long long number_of(const char *name)
{
	const char *text = getenv(name);
	unsigned long long value;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno || *end ? 0 : value;
}

uint32_t notify_watchdog_ms(void)
{
	unsigned long long usec = number_of("WATCHDOG_USEC");
	unsigned long long pid = number_of("WATCHDOG_PID");
	unsigned long long ms = usec / 2000;

	if (!usec || (pid && pid != (unsigned long long)getpid()))
		return 0;
	if (ms > UINT32_MAX)
		return UINT32_MAX;
	return ms ? (uint32_t)ms : 1;
}
