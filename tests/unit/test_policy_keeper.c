// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keeper of the policies on a real loop, with a real kernel, in a network
 * namespace of its own: what `ip xfrm` does to them does not last.
 */
#include "unp/policy_keeper.h"
#include "unp/policy.h"
#include "policy_world.h"
#include <errno.h>
#include <sys/syscall.h>

#define REQID 0x51000003U

static bool has_xfrm;
static struct loop *loop;
static struct policy_keeper *keeper;
static unsigned int deaf; /* so often nobody may listen */

/* In the keeper's way: as where the kernel's XFRM comes later. */
int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (level == SOL_NETLINK && name == NETLINK_ADD_MEMBERSHIP && deaf) {
		deaf--;
		errno = ENOENT;
		return -1;
	}
	return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

static char *local[] = {"10.1.0.0/24"};
static char *remote[] = {"10.2.0.0/24", "192.0.2.0/24"};
static struct config_peer peer = {.name = "b", .address = "192.0.2.2", .port = 7443};
static struct config_link path = {.name = "x", .peer = "b"};
static struct config config = {
	.kx = {.port = 7443},
	.peers = &peer,
	.peers_count = 1,
	.links = &path,
	.links_count = 1,
};
static struct config_esp esp = {
	.local = "192.0.2.1",
	.remote = "192.0.2.2",
	.local_nets = local,
	.local_nets_count = 1,
	.remote_nets = remote,
	.remote_nets_count = 2,
};
static struct config_channel office = {
	.name = "office",
	.link = "x",
	.kind = QKD_KIND_ESP_TUNNEL,
	.esp = &esp,
};
static char text[256];

static void stop(void *arg)
{
	loop_stop(loop, 0);
}

static void turn(void)
{
	struct loop_timer timer = {.fire = stop};

	assert_int_equal(loop_timer_set(loop, &timer, 20), 0);
	assert_int_equal(loop_run(loop), 0);
}

/* However long it takes. */
static void until(unsigned int number, const char *what)
{
	while (count(what) != number)
		turn();
}

static int setup(void **state)
{
	if (!has_xfrm)
		return 0;
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	policy_forget();
	assert_int_equal(loop_create(&loop), 0);
	keeper = policy_keeper_create(loop);
	assert_non_null(keeper);
	assert_int_equal(policy_install(&config, &office, REQID, text, sizeof(text)), 0);
	turn();
	assert_int_equal(count("reqid 1358954499"), 6);
	return 0;
}

static int teardown(void **state)
{
	if (!has_xfrm)
		return 0;
	policy_keeper_destroy(keeper);
	loop_destroy(loop);
	policy_forget();
	return 0;
}

static void needs_xfrm(void)
{
	if (!has_xfrm)
		skip();
}

static void a_flush_does_not_last(void **state)
{
	needs_xfrm();
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	until(6, "reqid 1358954499");
	until(4, "priority 20736 ");
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	until(6, "reqid 1358954499");
}

static void nor_does_a_deletion(void **state)
{
	needs_xfrm();
	assert_int_equal(shell("ip xfrm policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir out"), 0);
	until(6, "reqid 1358954499");
	/* By index: then the event has the traffic elsewhere. */
	assert_int_equal(shell("ip xfrm policy delete dir out index $(ip -s xfrm policy get src "
			       "10.1.0.0/24 dst 10.2.0.0/24 dir out | "
			       "sed -n 's/.*index \\([0-9]*\\).*/\\1/p')"),
			 0);
	assert_int_equal(count("reqid 1358954499"), 5);
	until(6, "reqid 1358954499");
}

static void nor_does_a_change(void **state)
{
	needs_xfrm();
	assert_int_equal(shell("ip xfrm policy update src 10.1.0.0/24 dst 10.2.0.0/24 dir out"), 0);
	assert_int_equal(count("reqid 1358954499"), 5);
	until(6, "reqid 1358954499");
}

/* Nobody puts back what the daemon itself takes out. */
static void what_goes_goes(void **state)
{
	needs_xfrm();
	assert_int_equal(policy_remove("office", REQID, text, sizeof(text)), 0);
	turn();
	turn();
	assert_string_equal(list(), "");
}

static void strays_go_when_all_is_known(void **state)
{
	needs_xfrm();
	assert_int_equal(shell("ip xfrm policy add src 10.1.0.0/24 dst 198.51.100.7/32 proto tcp "
			       "dport 7443 dir out priority 20736"),
			 0);
	turn();
	assert_int_equal(count("priority 20736 "), 5);
	policy_keeper_all_known(keeper);
	until(4, "priority 20736 ");
	assert_int_equal(count("198.51.100.7"), 0);
}

static int setup_deaf(void **state)
{
	deaf = 1;
	return setup(state);
}

/* Without events it looks all the same, and tries to listen again. */
static void whoever_cannot_listen_looks(void **state)
{
	needs_xfrm();
	assert_int_equal(deaf, 0);
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	turn();
	turn();
	assert_int_equal(count("reqid"), 0);
	until(6, "reqid 1358954499");
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	until(6, "reqid 1358954499");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flush_does_not_last),
		TEST(nor_does_a_deletion),
		TEST(nor_does_a_change),
		TEST(what_goes_goes),
		TEST(strays_go_when_all_is_known),
		cmocka_unit_test_setup_teardown(whoever_cannot_listen_looks, setup_deaf, teardown),
	};

	has_xfrm = enter_namespace();
	if (!has_xfrm)
		print_message("no network namespace or no XFRM here: skipped\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
