// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies in a real kernel, in a network namespace of their own. `ip xfrm`
 * is the witness. Between libnl and the kernel the test can break a dump off,
 * as a change by somebody else does, or take the kernel's end away.
 */
#include "unp/policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REQID 0x51000003U
#define OTHER 0x51000004U

static bool has_xfrm;
static unsigned int break_off; /* so many dumps */
static bool refuse;
static unsigned int dumps;

/* -------- in libnl's way -------- */

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t len = syscall(SYS_recvmsg, fd, msg, flags);
	struct nlmsghdr *header = msg->msg_iov->iov_base;

	if (len >= (ssize_t)sizeof(*header) && !(flags & MSG_PEEK) && break_off &&
	    header->nlmsg_flags & NLM_F_MULTI) {
		header->nlmsg_flags |= NLM_F_DUMP_INTR;
		break_off--;
	}
	return len;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct nlmsghdr *header = msg->msg_iov->iov_base;

	if (refuse) {
		errno = ECONNREFUSED;
		return -1;
	}
	if ((header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
		dumps++;
	return syscall(SYS_sendmsg, fd, msg, flags);
}

/* -------- a place of our own -------- */

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

/* -------- the channel -------- */

static char *local[] = {"10.1.0.0/24"};
static char *remote[] = {"10.2.0.0/24", "10.3.0.0/24", "192.0.2.0/24"};
static struct config_esp esp;
static struct config_channel office;
static struct config_peer peer;
static char text[256];

static int setup(void **state)
{
	break_off = 0;
	refuse = false;
	dumps = 0;
	text[0] = '\0';
	policy_forget();
	peer = (struct config_peer){.name = "b", .address = "192.0.2.2", .port = 7443};
	esp = (struct config_esp){
		.local = "192.0.2.1",
		.remote = "192.0.2.2",
		.local_nets = local,
		.local_nets_count = 1,
		.remote_nets = remote,
		.remote_nets_count = 1,
	};
	office = (struct config_channel){
		.name = "office",
		.kind = QKD_KIND_ESP_TUNNEL,
		.esp = &esp,
	};
	return has_xfrm ? shell("ip xfrm policy flush") : 0;
}

static int install(void)
{
	if (!has_xfrm)
		skip();
	return policy_install(&office, &peer, 7443, REQID, text, sizeof(text));
}

static int take_out(void)
{
	return policy_remove(&office, &peer, 7443, REQID, text, sizeof(text));
}

/* -------- tests -------- */

static void protects_a_pair_of_networks(void **state)
{
	assert_int_equal(install(), 0);
	assert_int_equal(count("src 10.1.0.0/24 dst 10.2.0.0/24 dir out priority 20992 "), 1);
	assert_int_equal(count("src 10.2.0.0/24 dst 10.1.0.0/24 dir in priority 20992 "), 1);
	assert_int_equal(count("src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd priority 20992 "), 1);
	assert_int_equal(count("tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1358954499 mode "
			       "tunnel"),
			 1);
	assert_int_equal(count("tmpl src 192.0.2.2 dst 192.0.2.1 proto esp reqid 1358954499 mode "
			       "tunnel"),
			 2);
	assert_int_equal(count("dir "), 3);
	/* An optional template would let packets pass in the clear. */
	assert_int_equal(count("level use"), 0);
	assert_int_equal(count("limit:"), 0);
}

static void a_second_time_changes_nothing(void **state)
{
	char *before;

	assert_int_equal(install(), 0);
	before = strdup(list());
	assert_int_equal(install(), 0);
	assert_string_equal(list(), before);
	free(before);
}

static void keeps_the_km_link_open(void **state)
{
	esp.remote_nets = remote + 2; /* the peer KM is in it */
	assert_int_equal(install(), 0);
	assert_int_equal(count("dir "), 7);
	assert_int_equal(count("priority 20736 "), 4);
	assert_int_equal(
		count("src 10.1.0.0/24 dst 192.0.2.2/32 proto tcp sport 7443 dir out priority "
		      "20736 "),
		1);
	assert_int_equal(
		count("src 192.0.2.2/32 dst 10.1.0.0/24 proto tcp sport 7443 dir in priority "
		      "20736 "),
		1);
	assert_int_equal(take_out(), 0);
	assert_string_equal(list(), "");
}

static void transport_between_ipv6_hosts(void **state)
{
	esp.local = "2001:db8::1";
	esp.remote = "2001:db8::2";
	office.kind = QKD_KIND_ESP_TRANSPORT;
	peer.address = "2001:db8::2";
	assert_int_equal(install(), 0);
	assert_int_equal(count("src 2001:db8::1/128 dst 2001:db8::2/128 dir out "), 1);
	assert_int_equal(count("src 2001:db8::2/128 dst 2001:db8::1/128 dir in "), 1);
	assert_int_equal(count("proto ipv6-icmp type 135 "), 2);
	assert_int_equal(count("mode transport"), 2);
	assert_int_equal(take_out(), 0);
	assert_string_equal(list(), "");
}

static void marks_and_interfaces_tell_channels_apart(void **state)
{
	assert_int_equal(install(), 0);
	esp.mark = 7;
	esp.mark_mask = 0xff;
	esp.if_id = 9;
	assert_int_equal(policy_install(&office, &peer, 7443, OTHER, text, sizeof(text)), 0);
	assert_int_equal(count("dir "), 6);
	assert_int_equal(count("mark 0x7/0xff"), 3);
	assert_int_equal(count("if_id 0x9"), 3);
	/* Each takes its own. */
	assert_int_equal(policy_remove(&office, &peer, 7443, OTHER, text, sizeof(text)), 0);
	assert_int_equal(count("dir "), 3);
	assert_int_equal(count("if_id"), 0);
	assert_int_equal(policy_install(&office, &peer, 7443, OTHER, text, sizeof(text)), 0);
	assert_int_equal(policy_remove_reqid(OTHER, text, sizeof(text)), 0);
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(count("dir "), 3);
}

static void takes_out_what_the_channel_no_longer_has(void **state)
{
	esp.remote_nets_count = 2;
	assert_int_equal(install(), 0);
	assert_int_equal(count("dir "), 6);
	esp.remote_nets_count = 1;
	policy_forget(); /* as another process */
	assert_int_equal(install(), 0);
	assert_int_equal(count("dir "), 3);
	assert_int_equal(count("10.3.0.0/24"), 0);
	assert_int_equal(policy_remove_reqid(REQID, text, sizeof(text)), 0);
	assert_string_equal(list(), "");
}

static void leaves_policies_of_others_alone(void **state)
{
	if (!has_xfrm)
		skip();
	assert_int_equal(shell("ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out "
			       "priority 20992 tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 7 "
			       "mode tunnel"),
			 0);
	assert_int_equal(install(), -EEXIST);
	assert_non_null(strstr(text, "policy out 10.1.0.0/24 to 10.2.0.0/24: there is another"));
	assert_int_equal(count("reqid 7 "), 1);
	assert_int_equal(take_out(), 0);
	assert_int_equal(count("reqid 7 "), 1);
	/* The number of a channel of an earlier key store is ours as well. */
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	assert_int_equal(policy_install(&office, &peer, 7443, OTHER, text, sizeof(text)), 0);
	assert_int_equal(install(), 0);
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(count("dir "), 3);
}

/* Whatever goes wrong with an exception, nothing passes in the clear. */
static void protects_first(void **state)
{
	if (!has_xfrm)
		skip();
	esp.remote_nets = remote + 2;
	assert_int_equal(shell("ip xfrm policy add src 10.1.0.0/24 dst 192.0.2.2/32 proto tcp "
			       "sport 7443 dir out priority 1 action block"),
			 0);
	assert_int_equal(install(), -EEXIST);
	assert_int_equal(count("reqid 1358954499"), 3);
}

/* Somebody else changes policies all the time. */
static void reads_again_when_it_was_interrupted(void **state)
{
	break_off = 3;
	assert_int_equal(install(), 0);
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(break_off, 0);
	/* Not for ever; the policies stand before anything is read. */
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	policy_forget();
	break_off = 1000000;
	assert_int_equal(install(), -EAGAIN);
	break_off = 0;
	assert_non_null(strstr(text, "interrupted"));
	assert_int_equal(count("reqid 1358954499"), 3);
}

/* With N channels, N dumps would be N * N policies. */
static void reads_once_for_all(void **state)
{
	assert_int_equal(install(), 0);
	assert_int_equal(dumps, 1);
	assert_int_equal(install(), 0);
	esp.remote_nets++;
	assert_int_equal(policy_install(&office, &peer, 7443, OTHER, text, sizeof(text)), 0);
	assert_int_equal(dumps, 1);
	/* Where something was removed, it looks again. */
	assert_int_equal(policy_remove(&office, &peer, 7443, OTHER, text, sizeof(text)), 0);
	assert_int_equal(policy_install(&office, &peer, 7443, OTHER, text, sizeof(text)), 0);
	assert_int_equal(dumps, 2);
}

/* As while xfrm_user is being loaded: this namespace's end comes later. */
static void says_that_the_kernel_is_not_there_yet(void **state)
{
	refuse = true;
	assert_int_equal(install(), -EAGAIN);
	assert_non_null(strstr(text, "xfrm_user"));
	refuse = false;
	assert_int_equal(install(), 0);
	assert_int_equal(count("reqid 1358954499"), 3);
}

static void says_what_is_wrong_with_the_networks(void **state)
{
	esp.local = "2001:db8::1";
	assert_int_equal(install(), -EINVAL);
	assert_non_null(strstr(text, "local_nets"));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(protects_a_pair_of_networks),
		TEST(a_second_time_changes_nothing),
		TEST(keeps_the_km_link_open),
		TEST(transport_between_ipv6_hosts),
		TEST(marks_and_interfaces_tell_channels_apart),
		TEST(takes_out_what_the_channel_no_longer_has),
		TEST(leaves_policies_of_others_alone),
		TEST(protects_first),
		TEST(reads_again_when_it_was_interrupted),
		TEST(reads_once_for_all),
		TEST(says_that_the_kernel_is_not_there_yet),
		TEST(says_what_is_wrong_with_the_networks),
	};

	has_xfrm = enter_namespace();
	if (!has_xfrm)
		print_message("no network namespace or no XFRM here: skipped\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
