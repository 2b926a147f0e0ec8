/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One of the two simulated QKD devices: a KME that serves ETSI GS QKD 014
 * V1.1.1 to one SAE, over HTTPS with mutual authentication.
 */
#ifndef QKDSIM_KME_H
#define QKDSIM_KME_H

#include "faults.h"
#include "link.h"
#include "loop/http.h"

/**
 * struct kme_settings
 * @name: KME ID
 * @sae: the SAE served here; its certificate must carry this name
 * @address, @port: where to listen; port 0: any
 */
struct kme_settings {
	char name[64];
	char sae[128];
	char address[64];
	uint16_t port;
	struct tls_files tls;
};

struct kme;

/** @peer: the other device; both stay the caller's, as @link and @faults do. */
int kme_create(struct loop *loop, enum side side, const struct kme_settings *settings,
	       const struct kme_settings *peer, struct link *link, struct faults *faults,
	       struct kme **kme, char *error, size_t error_len);
void kme_destroy(struct kme *kme);

/** Where it listens. */
uint16_t kme_port(const struct kme *kme);

#endif
