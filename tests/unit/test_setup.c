// SPDX-License-Identifier: GPL-2.0-or-later
/* qkdkeyd --init and --check on a new host, on an old one, and on a wrong one. */
#include "manage/setup.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/test_setup.XXXXXX";
static char state_directory[64];
static char master_key[96];
static char none[] = "/nonexistent/file.pem";
static struct config config;
static char reports[8][512];
static int report_count;

static void collect(const char *line, void *arg)
{
	assert_true(report_count < 8);
	snprintf(reports[report_count++], sizeof(reports[0]), "%s", line);
}

static bool reported(const char *words)
{
	for (int i = 0; i < report_count; i++)
		if (strstr(reports[i], words))
			return true;
	for (int i = 0; i < report_count; i++)
		fprintf(stderr, "there is: %s\n", reports[i]);
	return false;
}

static void read_key(uint8_t key[33])
{
	int fd = open(master_key, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, key, 33), 32);
	close(fd);
}

static void test_init(void **state)
{
	uint8_t first[33], again[33];
	struct stat st;

	assert_int_equal(setup_init(&config), 0);
	assert_int_equal(stat(state_directory, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(master_key, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	read_key(first);
	/* never made anew: it would make the store unreadable */
	assert_int_equal(setup_init(&config), 0);
	read_key(again);
	assert_memory_equal(first, again, 32);
}

/* Root prepares what another user will run. */
static void test_init_for_another_user(void **state)
{
	struct stat st;

	if (geteuid())
		skip();
	assert_int_equal(mkdir(state_directory, 0700), 0);
	assert_int_equal(chown(state_directory, 4242, 4343), 0);
	assert_int_equal(setup_init(&config), 0);
	assert_int_equal(stat(master_key, &st), 0);
	assert_int_equal(st.st_uid, 4242);
	assert_int_equal(st.st_gid, 4343);
}

static void test_init_errors(void **state)
{
	int fd = open(state_directory, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(setup_init(&config), -ENOTDIR);
	config.state_directory = (char *)"/nonexistent/state";
	assert_int_equal(setup_init(&config), -ENOENT);
}

static void test_check(void **state)
{
	assert_int_equal(setup_check(&config, collect, NULL), 2);
	assert_int_equal(report_count, 2);
	assert_true(reported("run qkdkeyd --init"));
	assert_true(reported("kx.tls: "));
	assert_true(reported("/nonexistent/file.pem"));
	assert_int_equal(setup_init(&config), 0);
	report_count = 0;
	assert_int_equal(setup_check(&config, collect, NULL), 1);
	assert_int_equal(chmod(master_key, 0640), 0);
	assert_int_equal(setup_check(&config, collect, NULL), 2);
	assert_true(reported("chmod 600"));
	assert_int_equal(truncate(master_key, 31), 0);
	assert_int_equal(setup_check(&config, collect, NULL), 2);
	assert_true(reported("is not a file of 32 octets"));
}

static int set_up(void **state)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(state_directory, sizeof(state_directory), "%s/state", folder);
	snprintf(master_key, sizeof(master_key), "%s/master.key", folder);
	config = (struct config){
		.state_directory = state_directory,
		.master_key = master_key,
		.kx.tls = {.certificate = none, .key = none, .ca = none},
	};
	report_count = 0;
	return 0;
}

static int tear_down(void **state)
{
	unlink(master_key);
	if (rmdir(state_directory))
		unlink(state_directory);
	return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_init),
		TEST(test_init_for_another_user),
		TEST(test_init_errors),
		TEST(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
