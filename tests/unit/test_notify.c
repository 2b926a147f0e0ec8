// SPDX-License-Identifier: GPL-2.0-or-later
/* What systemd would receive, over real sockets. */
#include "manage/notify.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static int bind_socket(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	else
		unlink(name);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			 0);
	return fd;
}

static void expect(int fd, const char *want)
{
	char got[512];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void try_socket(const char *name)
{
	int fd = bind_socket(name);

	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_send("READY=1"), 0);
	expect(fd, "READY=1");
	assert_int_equal(notify_status("two\nREADY=1"), 0);
	expect(fd, "STATUS=two");
	close(fd);
}

static void test_sockets(void **state)
{
	char name[64];

	snprintf(name, sizeof(name), "@test_notify.%d", getpid());
	try_socket(name);
	snprintf(name, sizeof(name), "/tmp/test_notify.%d", getpid());
	try_socket(name);
	unlink(name);
	assert_int_equal(notify_send("READY=1"), -ENOENT);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_send("READY=1"), -EINVAL);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_send("READY=1"), 0);
}

static void test_long_status(void **state)
{
	char name[64], text[400], want[300];
	int fd;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	snprintf(want, sizeof(want), "STATUS=%.200s", text);
	snprintf(name, sizeof(name), "@test_notify_long.%d", getpid());
	fd = bind_socket(name);
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_status(text), 0);
	expect(fd, want);
	close(fd);
	unsetenv("NOTIFY_SOCKET");
}

static uint32_t watchdog(const char *usec, const char *pid)
{
	if (usec)
		setenv("WATCHDOG_USEC", usec, 1);
	else
		unsetenv("WATCHDOG_USEC");
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	else
		unsetenv("WATCHDOG_PID");
	return notify_watchdog_ms();
}

static void test_watchdog(void **state)
{
	char us[16];

	snprintf(us, sizeof(us), "%d", getpid());
	assert_int_equal(watchdog(NULL, NULL), 0);
	assert_int_equal(watchdog("30000000", NULL), 15000);
	assert_int_equal(watchdog("30000000", us), 15000);
	assert_int_equal(watchdog("30000000", "1"), 0);
	assert_int_equal(watchdog("1", NULL), 1);
	assert_int_equal(watchdog("abc", NULL), 0);
	assert_int_equal(watchdog("-5", NULL), 0);
	assert_int_equal(watchdog("30000000x", NULL), 0);
	assert_int_equal(watchdog("99999999999999999999999", NULL), 0);
	assert_true(watchdog("18446744073709551615", NULL) == UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_long_status),
		cmocka_unit_test(test_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
