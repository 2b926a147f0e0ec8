// SPDX-License-Identifier: GPL-2.0-or-later
/* The IPsec policies of a channel in the kernel; see policy.h. */
#include "unp/policy.h"
#include "log.h"
#include "unp/policy_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/xfrm/lifetime.h>
#include <netlink/xfrm/selector.h>
#include <netlink/xfrm/sp.h>
#include <netlink/xfrm/template.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANY_PORT 0
#define ONE_PORT 0xffff

/* What one call works on. */
struct job {
	struct nl_sock *socket;
	struct nl_cache *present; /* all policies of this network namespace */
	const struct config_channel *config;
	struct config_address local;
	struct config_address remote;
	struct policy_rule *rules;
	size_t count;
	uint32_t reqid;
	char *error;
	size_t error_len;
};

/* libnl has error numbers of its own. */
static int to_errno(int nl_error)
{
	switch (nl_error < 0 ? -nl_error : nl_error) {
	case NLE_SUCCESS:
		return 0;
	case NLE_EXIST:
		return -EEXIST;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_INVAL:
		return -EINVAL;
	case NLE_OPNOTSUPP:
	case NLE_PROTO_MISMATCH:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static void describe(const struct policy_rule *rule, char *text, size_t len)
{
	static const char *const direction[] = {"in", "out", "fwd"};
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	inet_ntop(rule->source.address.family, rule->source.address.octet, from, sizeof(from));
	inet_ntop(rule->destination.address.family, rule->destination.address.octet, to,
		  sizeof(to));
	snprintf(text, len, "policy %s %s/%u to %s/%u", direction[rule->direction], from,
		 rule->source.prefix, to, rule->destination.prefix);
}

static int explain(struct job *j, const struct policy_rule *rule, int err, const char *what)
{
	char text[160];

	describe(rule, text, sizeof(text));
	if (err == -EPERM)
		what = "not permitted: the daemon needs CAP_NET_ADMIN";
	else if (err == -EOPNOTSUPP)
		what = "the kernel has no XFRM user interface (modprobe xfrm_user)";
	snprintf(j->error, j->error_len, "%s: %s", text, what);
	return err;
}

static struct nl_addr *make_address(const struct config_address *address, unsigned int prefix)
{
	bool six = address->family == AF_INET6;
	struct nl_addr *addr = nl_addr_build(address->family, address->octet, six ? 16 : 4);

	if (addr)
		nl_addr_set_prefixlen(addr, (int)prefix);
	return addr;
}

/* -------- building -------- */

static int set_selector_nets(struct xfrmnl_sel *sel, const struct policy_rule *rule)
{
	struct nl_addr *from = make_address(&rule->source.address, rule->source.prefix);
	struct nl_addr *to = make_address(&rule->destination.address, rule->destination.prefix);
	int err = -ENOMEM;

	if (from && to && !xfrmnl_sel_set_saddr(sel, from) && !xfrmnl_sel_set_daddr(sel, to)) {
		xfrmnl_sel_set_prefixlen_s(sel, rule->source.prefix);
		xfrmnl_sel_set_prefixlen_d(sel, rule->destination.prefix);
		xfrmnl_sel_set_family(sel, (unsigned int)rule->source.address.family);
		err = 0;
	}
	nl_addr_put(from);
	nl_addr_put(to);
	return err;
}

static struct xfrmnl_sel *make_selector(const struct policy_rule *rule)
{
	struct xfrmnl_sel *sel = xfrmnl_sel_alloc();

	if (!sel)
		return NULL;
	if (set_selector_nets(sel, rule)) {
		xfrmnl_sel_put(sel);
		return NULL;
	}
	xfrmnl_sel_set_proto(sel, rule->protocol);
	xfrmnl_sel_set_sport(sel, rule->source_port);
	xfrmnl_sel_set_sportmask(sel, rule->source_port ? ONE_PORT : ANY_PORT);
	xfrmnl_sel_set_dport(sel, rule->destination_port);
	xfrmnl_sel_set_dportmask(sel, rule->destination_port ? ONE_PORT : ANY_PORT);
	return sel;
}

static int set_lifetime(struct xfrmnl_sp *sp)
{
	struct xfrmnl_ltime_cfg *forever = xfrmnl_ltime_cfg_alloc();

	if (!forever)
		return -ENOMEM;
	xfrmnl_ltime_cfg_set_soft_bytelimit(forever, XFRM_INF);
	xfrmnl_ltime_cfg_set_hard_bytelimit(forever, XFRM_INF);
	xfrmnl_ltime_cfg_set_soft_packetlimit(forever, XFRM_INF);
	xfrmnl_ltime_cfg_set_hard_packetlimit(forever, XFRM_INF);
	xfrmnl_sp_set_lifetime_cfg(sp, forever);
	xfrmnl_ltime_cfg_put(forever);
	return 0;
}

/* Outer addresses, in the direction of the packet. */
static int set_template_addresses(const struct job *j, const struct policy_rule *rule,
				  struct xfrmnl_user_tmpl *template)
{
	bool out = rule->direction == POLICY_OUT;
	unsigned int host = j->local.family == AF_INET6 ? 128 : 32;
	struct nl_addr *from = make_address(out ? &j->local : &j->remote, host);
	struct nl_addr *to = make_address(out ? &j->remote : &j->local, host);
	int err = -ENOMEM;

	if (from && to && !xfrmnl_user_tmpl_set_saddr(template, from) &&
	    !xfrmnl_user_tmpl_set_daddr(template, to))
		err = 0;
	nl_addr_put(from);
	nl_addr_put(to);
	return err;
}

/* "required", which is the default level: without an SA nothing passes. */
static int add_template(const struct job *j, const struct policy_rule *rule, struct xfrmnl_sp *sp)
{
	struct xfrmnl_user_tmpl *template = xfrmnl_user_tmpl_alloc();
	int err;

	if (!template)
		return -ENOMEM;
	err = set_template_addresses(j, rule, template);
	if (err) {
		xfrmnl_user_tmpl_free(template);
		return err;
	}
	xfrmnl_user_tmpl_set_family(template, (unsigned int)j->local.family);
	xfrmnl_user_tmpl_set_proto(template, IPPROTO_ESP);
	xfrmnl_user_tmpl_set_mode(template, j->config->kind == QKD_KIND_ESP_TUNNEL
						    ? XFRM_MODE_TUNNEL
						    : XFRM_MODE_TRANSPORT);
	xfrmnl_user_tmpl_set_reqid(template, j->reqid);
	xfrmnl_user_tmpl_set_optional(template, 0);
	xfrmnl_user_tmpl_set_aalgos(template, ~0U);
	xfrmnl_user_tmpl_set_ealgos(template, ~0U);
	xfrmnl_user_tmpl_set_calgos(template, ~0U);
	xfrmnl_sp_add_usertemplate(sp, template); /* it is @sp's now */
	return 0;
}

static int fill_policy(const struct job *j, const struct policy_rule *rule, struct xfrmnl_sp *sp)
{
	const struct config_esp *esp = j->config->esp;
	struct xfrmnl_sel *sel = make_selector(rule);

	if (!sel)
		return -ENOMEM;
	xfrmnl_sp_set_sel(sp, sel);
	xfrmnl_sel_put(sel);
	xfrmnl_sp_set_dir(sp, (unsigned int)rule->direction);
	xfrmnl_sp_set_action(sp, XFRM_POLICY_ALLOW);
	xfrmnl_sp_set_priority(sp, rule->protect ? POLICY_PRIORITY_PROTECT : POLICY_PRIORITY_ALLOW);
	xfrmnl_sp_set_userpolicy_type(sp, XFRM_POLICY_TYPE_MAIN);
	if (esp->mark_mask)
		xfrmnl_sp_set_mark(sp, esp->mark, esp->mark_mask);
	if (set_lifetime(sp))
		return -ENOMEM;
	return rule->protect ? add_template(j, rule, sp) : 0;
}

static struct xfrmnl_sp *make_policy(const struct job *j, const struct policy_rule *rule)
{
	struct xfrmnl_sp *sp = xfrmnl_sp_alloc();

	if (sp && fill_policy(j, rule, sp)) {
		xfrmnl_sp_put(sp);
		sp = NULL;
	}
	return sp;
}

/* -------- asking the kernel -------- */

typedef int (*build_fn)(struct xfrmnl_sp *sp, int flags, struct nl_msg **msg);

/* libnl 3.7 knows nothing of interface IDs: the attribute is added here. */
static int ask(struct job *j, const struct policy_rule *rule, build_fn build, int flags)
{
	struct xfrmnl_sp *sp = make_policy(j, rule);
	uint32_t if_id = j->config->esp->if_id;
	struct nl_msg *msg = NULL;
	int err;

	if (!sp)
		return -ENOMEM;
	err = to_errno(build(sp, flags, &msg));
	xfrmnl_sp_put(sp);
	if (err)
		return err;
	if (if_id && nla_put_u32(msg, XFRMA_IF_ID, if_id)) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return to_errno(nl_send_sync(j->socket, msg)); /* frees @msg */
}

static uint32_t reqid_of(struct xfrmnl_sp *sp)
{
	struct xfrmnl_user_tmpl *template;

	if (xfrmnl_sp_get_nusertemplates(sp) < 1)
		return 0;
	template = xfrmnl_sp_usertemplate_n(sp, 0);
	return template ? (uint32_t)xfrmnl_user_tmpl_get_reqid(template) : 0;
}

static bool same_traffic(struct xfrmnl_sp *sp, struct xfrmnl_sel *sel,
			 const struct policy_rule *rule)
{
	return xfrmnl_sp_get_dir(sp) == (int)rule->direction &&
	       !xfrmnl_sel_cmp(xfrmnl_sp_get_sel(sp), sel);
}

/* Whether the policies for that traffic are ours, so that they may be replaced. */
static bool is_ours(const struct job *j, const struct policy_rule *rule)
{
	struct xfrmnl_sel *sel = make_selector(rule);
	struct nl_object *object;
	bool ours = false, foreign = false;

	for (object = sel ? nl_cache_get_first(j->present) : NULL; object;
	     object = nl_cache_get_next(object)) {
		struct xfrmnl_sp *sp = (struct xfrmnl_sp *)object;

		if (!same_traffic(sp, sel, rule))
			continue;
		if (rule->protect ? reqid_of(sp) == j->reqid
				  : xfrmnl_sp_get_priority(sp) == POLICY_PRIORITY_ALLOW)
			ours = true;
		else
			foreign = true;
	}
	if (sel)
		xfrmnl_sel_put(sel);
	return ours && !foreign;
}

static int install_rule(struct job *j, const struct policy_rule *rule)
{
	int err = ask(j, rule, xfrmnl_sp_build_add_request, NLM_F_CREATE | NLM_F_EXCL);

	if (err == -EEXIST) {
		if (!is_ours(j, rule))
			return explain(j, rule, err,
				       "there is another policy for the same traffic; remove it "
				       "(ip xfrm policy) or change the channel");
		err = ask(j, rule, xfrmnl_sp_build_update_request, NLM_F_REPLACE);
	}
	return err ? explain(j, rule, err, strerror(-err)) : 0;
}

static int remove_rule(struct job *j, const struct policy_rule *rule)
{
	int err;

	if (!is_ours(j, rule))
		return 0;
	err = ask(j, rule, xfrmnl_sp_build_delete_request, 0);
	return err && err != -ENOENT ? explain(j, rule, err, strerror(-err)) : 0;
}

/* -------- what the channel no longer has -------- */

static bool is_wanted(const struct job *j, struct xfrmnl_sp *sp)
{
	bool wanted = false;
	size_t i;

	for (i = 0; i < j->count && !wanted; i++) {
		struct xfrmnl_sel *sel = make_selector(&j->rules[i]);

		wanted = !sel || (j->rules[i].protect && same_traffic(sp, sel, &j->rules[i]));
		if (sel)
			xfrmnl_sel_put(sel);
	}
	return wanted;
}

static int delete_policy(struct job *j, struct xfrmnl_sp *sp)
{
	/* By index: the kernel takes it with the direction alone. */
	struct xfrm_userpolicy_id id = {
		.index = (uint32_t)xfrmnl_sp_get_index(sp),
		.dir = (uint8_t)xfrmnl_sp_get_dir(sp),
	};
	struct nl_msg *msg = nlmsg_alloc_simple(XFRM_MSG_DELPOLICY, 0);
	uint32_t if_id = j->config ? j->config->esp->if_id : 0;
	struct xfrm_mark mark = {0};

	if (!msg)
		return -ENOMEM;
	xfrmnl_sp_get_mark(sp, &mark.v, &mark.m);
	if (nlmsg_append(msg, &id, sizeof(id), NLMSG_ALIGNTO) ||
	    (mark.m && nla_put(msg, XFRMA_MARK, sizeof(mark), &mark)) ||
	    (if_id && nla_put_u32(msg, XFRMA_IF_ID, if_id))) {
		nlmsg_free(msg);
		return -ENOMEM;
	}
	return to_errno(nl_send_sync(j->socket, msg));
}

static int remove_stale(struct job *j)
{
	struct nl_object *object;
	int err = 0;

	for (object = nl_cache_get_first(j->present); object && !err;
	     object = nl_cache_get_next(object)) {
		struct xfrmnl_sp *sp = (struct xfrmnl_sp *)object;

		if (reqid_of(sp) != j->reqid || is_wanted(j, sp))
			continue;
		err = delete_policy(j, sp);
		if (err == -ENOENT)
			err = 0;
	}
	if (err)
		snprintf(j->error, j->error_len, "an old policy cannot be removed: %s",
			 strerror(-err));
	return err;
}

/* -------- jobs -------- */

static void end(struct job *j)
{
	if (j->present)
		nl_cache_free(j->present);
	if (j->socket)
		nl_socket_free(j->socket);
	free(j->rules);
}

static int open_kernel(struct job *j)
{
	int err;

	j->socket = nl_socket_alloc();
	if (!j->socket)
		return -ENOMEM;
	err = nl_connect(j->socket, NETLINK_XFRM);
	if (!err)
		err = xfrmnl_sp_alloc_cache(j->socket, &j->present);
	if (err)
		snprintf(j->error, j->error_len, "IPsec policies cannot be read: %s",
			 nl_geterror(err));
	return to_errno(err);
}

static int begin(struct job *j, const struct config_channel *config, const struct config_peer *peer,
		 uint16_t kx_port, uint32_t reqid, char *error, size_t error_len)
{
	int err;

	memset(j, 0, sizeof(*j));
	j->config = config;
	j->reqid = reqid;
	j->error = error;
	j->error_len = error_len;
	err = policy_rules(config, peer, kx_port, &j->rules, &j->count);
	if (err) {
		snprintf(error, error_len,
			 "no policies can be made of local, remote, local_nets and remote_nets: %s",
			 strerror(-err));
		return err;
	}
	config_address_parse(config->esp->local, &j->local);
	config_address_parse(config->esp->remote, &j->remote);
	return open_kernel(j);
}

int policy_install(const struct config_channel *config, const struct config_peer *peer,
		   uint16_t kx_port, uint32_t reqid, char *error, size_t error_len)
{
	struct job j;
	int err = begin(&j, config, peer, kx_port, reqid, error, error_len);
	size_t i;

	for (i = 0; i < j.count && !err; i++)
		err = install_rule(&j, &j.rules[i]);
	if (!err)
		err = remove_stale(&j);
	end(&j);
	return err;
}

int policy_remove(const struct config_channel *config, const struct config_peer *peer,
		  uint16_t kx_port, uint32_t reqid, char *error, size_t error_len)
{
	struct job j;
	int err = begin(&j, config, peer, kx_port, reqid, error, error_len);
	size_t i;

	/* The allow rules come first in the list, and go last. */
	for (i = j.count; i > 0 && !err; i--)
		err = remove_rule(&j, &j.rules[i - 1]);
	end(&j);
	return err;
}

int policy_remove_reqid(uint32_t reqid, char *error, size_t error_len)
{
	struct job j = {.reqid = reqid, .error = error, .error_len = error_len};
	int err = open_kernel(&j);

	if (!err)
		err = remove_stale(&j);
	end(&j);
	return err;
}
