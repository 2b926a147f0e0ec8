// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies in a real kernel, in a network namespace of their own. `ip xfrm`
 * is the witness. Between libnl and the kernel the test can break a dump off,
 * as a change by somebody else does, or take the kernel's end away.
 */
#include "unp/fence.h"
#include "unp/policy.h"
#include "policy_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
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

/* -------- the channel -------- */

static char *local[] = {"10.1.0.0/24"};
static char *remote[] = {"10.2.0.0/24", "10.3.0.0/24", "192.0.2.0/24"};
static struct config_esp esp;
static struct config_channel office;
static struct config_peer peer;
static struct config_link path;
static struct config config;
static char text[256];

static int setup(void **state)
{
	break_off = 0;
	refuse = false;
	dumps = 0;
	text[0] = '\0';
	policy_forget();
	peer = (struct config_peer){.name = "b", .address = "192.0.2.2", .port = 7443};
	path = (struct config_link){.name = "x", .peer = "b"};
	config = (struct config){
		.kx = {.port = 7443},
		.peers = &peer,
		.peers_count = 1,
		.links = &path,
		.links_count = 1,
	};
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
		.link = "x",
		.kind = QKD_KIND_ESP_TUNNEL,
		.esp = &esp,
	};
	return has_xfrm ? shell("ip xfrm policy flush") : 0;
}

static int install_other(void)
{
	struct config_channel lab = office;

	lab.name = "lab";
	return policy_install(&config, &lab, OTHER, text, sizeof(text));
}

static int tidy(void)
{
	return policy_tidy(REQID, text, sizeof(text));
}

static int install(void)
{
	if (!has_xfrm)
		skip();
	return policy_install(&config, &office, REQID, text, sizeof(text));
}

static int take_out(void)
{
	return policy_remove(office.name, REQID, text, sizeof(text));
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
	assert_int_equal(install_other(), 0);
	assert_int_equal(count("dir "), 6);
	assert_int_equal(count("mark 0x7/0xff"), 3);
	assert_int_equal(count("if_id 0x9"), 3);
	/* Each takes its own. */
	assert_int_equal(policy_remove("lab", OTHER, text, sizeof(text)), 0);
	assert_int_equal(count("dir "), 3);
	assert_int_equal(count("if_id"), 0);
	assert_int_equal(install_other(), 0);
	assert_int_equal(policy_remove_reqid(OTHER, text, sizeof(text)), 0);
	assert_int_equal(count("dir "), 6); /* it is wanted */
	policy_forget();
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
	/* Not before the number is known to be this channel's. */
	assert_int_equal(count("dir "), 6);
	assert_int_equal(tidy(), 0);
	assert_int_equal(count("dir "), 3);
	assert_int_equal(count("10.3.0.0/24"), 0);
	policy_forget();
	assert_int_equal(policy_remove_reqid(REQID, text, sizeof(text)), 0);
	assert_string_equal(list(), "");
}

/* A new key store may give a channel the number that another one had. */
static void tidies_nothing_that_another_channel_wants(void **state)
{
	assert_int_equal(install(), 0);
	policy_forget();
	assert_int_equal(policy_fence(&config, &office, text, sizeof(text)), 0);
	esp.remote_nets++;
	assert_int_equal(install_other(), 0);
	assert_int_equal(tidy(), 0);
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(count("reqid 1358954500"), 3);
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
	assert_int_equal(policy_install(&config, &office, OTHER, text, sizeof(text)), 0);
	assert_int_equal(install(), 0);
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(count("dir "), 3);
	/* Of one that lives it is not. */
	assert_int_equal(install_other(), -EEXIST);
	assert_non_null(strstr(text, "channel office protects the same traffic"));
	assert_int_equal(count("reqid 1358954499"), 3);
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
	assert_int_equal(break_off, 3); /* nothing is read before they stand */
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(tidy(), 0);
	assert_int_equal(break_off, 0);
	/* Not for ever. */
	policy_forget();
	break_off = 1000000;
	assert_int_equal(tidy(), -EAGAIN);
	break_off = 0;
	assert_non_null(strstr(text, "interrupted"));
	assert_int_equal(count("reqid 1358954499"), 3);
}

/* With N channels, N dumps would be N * N policies. */
static void reads_once_for_all(void **state)
{
	assert_int_equal(install(), 0);
	assert_int_equal(tidy(), 0);
	assert_int_equal(dumps, 1);
	assert_int_equal(tidy(), 0);
	esp.remote_nets++;
	assert_int_equal(install_other(), 0);
	assert_int_equal(policy_tidy(OTHER, text, sizeof(text)), 0);
	assert_int_equal(dumps, 1);
	/* Where something was removed, it looks again. */
	assert_int_equal(policy_remove("lab", OTHER, text, sizeof(text)), 0);
	assert_int_equal(tidy(), 0);
	assert_int_equal(dumps, 2);
}

/* -------- the fence -------- */

static bool can_route;

static unsigned long packets_out(void)
{
	unsigned long packets = 0;
	FILE *file = fopen("/proc/thread-self/net/dev", "re");
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, " lo: %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu", &packets);
	fclose(file);
	return packets;
}

/* Whether a datagram from one network to the other gets out, in the clear. */
static bool passes(const char *from, const char *to)
{
	struct sockaddr_in here = {.sin_family = AF_INET};
	struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned long before = packets_out();

	assert_true(fd >= 0);
	inet_pton(AF_INET, from, &here.sin_addr);
	inet_pton(AF_INET, to, &there.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	if (!connect(fd, (struct sockaddr *)&there, sizeof(there)))
		(void)!send(fd, "x", 1, 0);
	close(fd);
	return packets_out() != before;
}

static int fence(void)
{
	if (!has_xfrm)
		skip();
	return policy_fence(&config, &office, text, sizeof(text));
}

static void a_fence_blocks(void **state)
{
	if (can_route)
		assert_true(passes("10.1.0.1", "10.2.0.1"));
	assert_int_equal(fence(), 0);
	assert_int_equal(count("dir "), 3);
	assert_int_equal(count("action block priority 21248 "), 3);
	assert_int_equal(count("src 10.1.0.0/24 dst 10.2.0.0/24 dir out action block"), 1);
	assert_int_equal(count("src 10.2.0.0/24 dst 10.1.0.0/24 dir in action block"), 1);
	assert_int_equal(count("src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd action block"), 1);
	if (can_route) {
		assert_false(passes("10.1.0.1", "10.2.0.1"));
		assert_true(passes("10.1.0.1", "10.3.0.1"));
	}
	assert_int_equal(policy_remove("office", 0, text, sizeof(text)), 0);
	assert_string_equal(list(), "");
}

static void the_km_link_passes_the_fence(void **state)
{
	esp.remote_nets = remote + 2;
	assert_int_equal(fence(), 0);
	assert_int_equal(count("action block"), 3);
	assert_int_equal(count("priority 20736 "), 4);
}

static void what_protects_takes_the_fences_place(void **state)
{
	assert_int_equal(fence(), 0);
	assert_int_equal(install(), 0);
	assert_int_equal(count("action block"), 0);
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(count("dir "), 3);
	/* The next process begins with a fence: what protects stays. */
	policy_forget();
	assert_int_equal(fence(), 0);
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(count("dir "), 3);
	/* No key, no packet; and not in the clear. */
	if (can_route)
		assert_false(passes("10.1.0.1", "10.2.0.1"));
	/* It is deleted before it could be installed. */
	assert_int_equal(take_out(), 0);
	assert_string_equal(list(), "");
}

/* Half made: of two pairs somebody else has one. */
static void what_is_half_made_goes_too(void **state)
{
	if (!has_xfrm)
		skip();
	esp.remote_nets_count = 2;
	assert_int_equal(shell("ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out "
			       "priority 9"),
			 0);
	assert_int_equal(fence(), -EEXIST);
	assert_int_equal(count("action block"), 5);
	assert_int_equal(install(), -EEXIST);
	assert_int_equal(count("reqid 1358954499"), 5);
	assert_int_equal(take_out(), 0);
	assert_int_equal(count("dir "), 1);
	assert_int_equal(count("priority 9 "), 1);
}

static struct config_channel two[2];

/* As `qkdkeyd --protect`, and as every start. */
static void the_whole_configuration_is_fenced(void **state)
{
	struct config_esp other = esp;

	if (!has_xfrm)
		skip();
	other.remote_nets = remote + 1;
	two[0] = office;
	two[1] = office;
	two[1].name = "lab";
	two[1].esp = &other;
	config.channels = two;
	config.channels_count = 2;
	assert_int_equal(shell("ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out "
			       "priority 9"),
			 0);
	assert_int_equal(fence_raise(&config), -EEXIST);
	assert_int_equal(count("action block"), 5);
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	assert_int_equal(fence_raise(&config), 0);
	assert_int_equal(count("action block"), 6);
	/* Its wait for the kernel has an end. */
	refuse = true;
	assert_int_equal(fence_raise(&config), -EAGAIN);
}

/* -------- mending -------- */

static struct policy_mended mended;

static int mend(bool all_known)
{
	return policy_mend(all_known, &mended, text, sizeof(text));
}

/* The peer KM has moved: what its old address had must not stay open. */
static void exceptions_that_nobody_wants_are_closed(void **state)
{
	esp.remote_nets = remote + 2;
	assert_int_equal(install(), 0);
	assert_int_equal(count("src 192.0.2.2/32 "), 2);
	peer.address = "192.0.2.3";
	peer.port = 9000;
	policy_forget();
	assert_int_equal(install(), 0);
	assert_int_equal(count("priority 20736 "), 8);
	assert_int_equal(mend(false), 0); /* there may be channels that are not known yet */
	assert_int_equal(count("priority 20736 "), 8);
	assert_int_equal(mend(true), 0);
	assert_int_equal(mended.stray, 4);
	assert_int_equal(mended.missing + mended.altered, 0);
	assert_int_equal(count("priority 20736 "), 4);
	assert_int_equal(count("192.0.2.2/32"), 0);
	assert_int_equal(count("src 192.0.2.3/32 "), 2);
	assert_int_equal(count("reqid 1358954499"), 3);
}

/* What protects stays: whether a channel goes is the operator's to say. */
static void a_fence_that_nobody_wants_goes(void **state)
{
	esp.remote_nets = remote + 2;
	assert_int_equal(install(), 0);
	policy_forget();
	esp.remote_nets = remote;
	assert_int_equal(fence(), 0);
	policy_forget();
	assert_int_equal(mend(true), 0);
	assert_int_equal(mended.stray, 3 + 4);
	assert_int_equal(count("dir "), 3);
	assert_int_equal(count("reqid 1358954499"), 3);
	/* Of others: the same priority is not enough. */
	assert_int_equal(shell("ip xfrm policy add src 10.8.0.0/24 dst 10.9.0.0/24 dir out "
			       "priority 20736"),
			 0);
	assert_int_equal(mend(true), 0);
	assert_int_equal(mended.stray, 0);
	assert_int_equal(count("10.9.0.0/24"), 1);
}

/* Two channels to one peer, by different interfaces of the host: one way to its KM. */
static void shared_exceptions_stay_for_the_other(void **state)
{
	static char *wider[] = {"192.0.0.0/16"};
	struct config_esp other = esp;
	struct config_channel lab = office;

	if (!has_xfrm)
		skip();
	esp.remote_nets = remote + 2;
	other.remote_nets = wider;
	lab.name = "lab";
	lab.esp = &other;
	assert_int_equal(install(), 0);
	assert_int_equal(policy_install(&config, &lab, OTHER, text, sizeof(text)), 0);
	assert_int_equal(count("priority 20736 "), 4);
	assert_int_equal(count("dir "), 10);
	assert_int_equal(take_out(), 0);
	assert_int_equal(count("priority 20736 "), 4);
	assert_int_equal(count("dir "), 7);
	assert_int_equal(policy_remove("lab", OTHER, text, sizeof(text)), 0);
	assert_string_equal(list(), "");
}

/* Somebody flushes them, or changes one. */
static void what_is_missing_comes_back(void **state)
{
	esp.remote_nets = remote + 2;
	assert_int_equal(install(), 0);
	esp.remote_nets = remote;
	config.channels = &office;
	office.name = "lab";
	assert_int_equal(fence(), 0);
	assert_int_equal(shell("ip xfrm policy flush"), 0);
	assert_int_equal(mend(false), 0);
	assert_int_equal(mended.missing, 7 + 3);
	assert_int_equal(count("reqid 1358954499"), 3);
	assert_int_equal(count("action block"), 3);
	assert_int_equal(count("priority 20736 "), 4);
	assert_int_equal(mend(false), 0);
	assert_int_equal(mended.missing + mended.altered + mended.stray, 0);
	assert_int_equal(shell("ip xfrm policy update src 10.1.0.0/24 dst 192.0.2.0/24 dir out"),
			 0);
	assert_int_equal(mend(false), 0);
	assert_int_equal(mended.altered, 1);
	assert_int_equal(count("reqid 1358954499"), 3);
	/* One that was never ours is not ours now. */
	assert_int_equal(policy_remove("lab", 0, text, sizeof(text)), 0);
	assert_int_equal(shell("ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out "
			       "priority 9"),
			 0);
	assert_int_equal(fence(), -EEXIST);
	assert_int_equal(mend(true), 0);
	assert_int_equal(mended.altered, 0);
	assert_int_equal(count("priority 9 "), 1);
	/* Until it goes. */
	assert_int_equal(shell("ip xfrm policy delete src 10.1.0.0/24 dst 10.2.0.0/24 dir out"), 0);
	assert_int_equal(mend(true), 0);
	assert_int_equal(mended.missing, 1);
	assert_int_equal(count("action block"), 3);
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
		TEST(tidies_nothing_that_another_channel_wants),
		TEST(leaves_policies_of_others_alone),
		TEST(protects_first),
		TEST(reads_again_when_it_was_interrupted),
		TEST(reads_once_for_all),
		TEST(a_fence_blocks),
		TEST(the_km_link_passes_the_fence),
		TEST(what_protects_takes_the_fences_place),
		TEST(what_is_half_made_goes_too),
		TEST(the_whole_configuration_is_fenced),
		TEST(exceptions_that_nobody_wants_are_closed),
		TEST(a_fence_that_nobody_wants_goes),
		TEST(shared_exceptions_stay_for_the_other),
		TEST(what_is_missing_comes_back),
		TEST(says_that_the_kernel_is_not_there_yet),
		TEST(says_what_is_wrong_with_the_networks),
	};

	has_xfrm = enter_namespace();
	can_route = has_xfrm && put("/proc/sys/net/ipv4/conf/lo/disable_xfrm", "0") &&
		    !shell("ip link set lo up && ip address add 10.1.0.1/32 dev lo && "
			   "ip route add 10.2.0.0/15 dev lo");
	if (!has_xfrm)
		print_message("no network namespace or no XFRM here: skipped\n");
	else if (!can_route)
		print_message("no packets can be sent here: only the policies are looked at\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
