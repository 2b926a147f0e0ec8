/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IPsec policies of a channel in the kernel (libnl). They are there
 * before the first key and stay when the daemon ends, so that traffic that is
 * to be encrypted never goes in the clear. Policies of others are left alone:
 * ours are known by their template's request ID, or by our priorities.
 */
#ifndef UNP_POLICY_H
#define UNP_POLICY_H

#include "config/config.h"

/** Policies of lower numbers come first. */
#define POLICY_PRIORITY_ALLOW	0x5100
#define POLICY_PRIORITY_PROTECT 0x5200

/** Request IDs of all channels of a node are alike in these bits. */
#define POLICY_REQID_MASK 0xff000000U

/**
 * policy_install - brings in what is missing, takes out what the channel no longer has
 * @peer: the peer KM of the channel's link
 * @kx_port: our Kx port
 * @reqid: of the channel's SAs
 * @error: gets a sentence that names the policy
 *
 * What protects is installed first, before anything is read or allowed: a
 * failure leaves traffic blocked, not in the clear.
 *
 * Return: 0; -EEXIST: somebody else has a policy for the same traffic; -EAGAIN:
 * the kernel is busy or its XFRM is just being loaded, try again soon; or
 * another negative errno.
 */
int policy_install(const struct config_channel *config, const struct config_peer *peer,
		   uint16_t kx_port, uint32_t reqid, char *error, size_t error_len);

/** Takes the channel's policies out. Return: 0 or negative errno. */
int policy_remove(const struct config_channel *config, const struct config_peer *peer,
		  uint16_t kx_port, uint32_t reqid, char *error, size_t error_len);

/** Takes all policies out that have @reqid in a template: of a channel that is not configured. */
int policy_remove_reqid(uint32_t reqid, char *error, size_t error_len);

/** The next policy_install() reads anew what the kernel has of channels of before. */
void policy_forget(void);

#endif
