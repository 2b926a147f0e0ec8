/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fingerprints of a channel's parameters. None is secret.
 *
 *   digest   what must agree at both ends; travels in every Kx channel frame
 *   spi_key  key of the SPI permutation, the same at both ends
 *   tag      this end's kernel record, for re-attaching after a restart
 *
 * All are SHA-256 over a label and fixed-size fields, cut to 16 octets. What
 * is seen from either side (addresses, networks, SCIs) goes in by end, the
 * end with the lower address or SCI first.
 */
#ifndef UNP_DIGEST_H
#define UNP_DIGEST_H

#include "config/config.h"
#include <linux/qkd.h>

/**
 * digest_channel - the parameters that both ends must have alike
 * @sci: our secure channel identifier and
 * @sci_peer: the peer's, network order; for MACsec, else NULL
 *
 * Covers name, kind, cipher, combine; ESP: ESN, the pair of outer addresses
 * with the networks behind each; MACsec: the pair of SCIs. Not covered, since
 * the ends may differ in them: times, lookahead, on_exhausted, replay window,
 * mark, if_id.
 * Return: 0, -EINVAL: an address of @config cannot be read, -ENOMEM, -EIO.
 */
int digest_channel(const struct config_channel *config, const uint8_t sci[8],
		   const uint8_t sci_peer[8], uint8_t digest[16]);

/** digest_spi_key - of a name and a pair of outer addresses. Return: 0, -EIO, -ENOMEM. */
int digest_spi_key(const char *name, const uint8_t local[QKD_ADDR_BYTES],
		   const uint8_t remote[QKD_ADDR_BYTES], uint8_t spi_key[16]);

/**
 * digest_tag - all of @record that ADD takes, but first_epoch and the tag itself
 * Return: 0, -EIO, -ENOMEM.
 */
int digest_tag(const struct qkd_channel *record, uint8_t tag[16]);

/** Fields that digest_channel() covers for @kind: a list for people. */
const char *digest_fields(enum qkd_kind kind);

#endif
