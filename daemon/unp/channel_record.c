// SPDX-License-Identifier: GPL-2.0-or-later
/* From a channel's configuration to the backend's record; see channel.h. */
#include "config/config_address.h"
#include "unp/channel.h"
#include "unp/digest.h"
#include "unp/macsec_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint32_t most_ahead(const struct channel *c)
{
	const struct qkd_hello *hello = backend_hello(c->env->backend);

	return channel_is_esp(c) ? hello->max_lookahead : hello->max_lookahead_macsec;
}

/*
 * One more than is kept ready, where there is room: the two ends do not roll
 * over at the same instant, and the later one must take a key meanwhile.
 */
static uint16_t backend_lookahead(const struct channel *c)
{
	uint32_t limit = most_ahead(c), lookahead = c->config->lookahead + 1;

	return (uint16_t)(lookahead < limit ? lookahead : limit);
}

static bool has_limits(const struct config_channel *config)
{
	return config->soft_bytes || config->soft_packets || config->jitter_ms;
}

static const char *remedy(const struct backend *backend)
{
	if (strcmp(backend_name(backend), "module"))
		return "the log says why";
	return "install qkd.ko of the same release as qkdkeyd and load it anew";
}

/* Asked for only here, so that a module of before serves who does not use them. */
static int check_features(const struct channel *c, char *error, size_t error_len)
{
	const struct backend *backend = c->env->backend;

	if (has_limits(c->config) && !(backend_hello(backend)->features & QKD_FEATURE_LIMITS)) {
		snprintf(error, error_len,
			 "the %s backend has not got jitter_ms, soft_bytes and soft_packets: %s, "
			 "or remove these fields",
			 backend_name(backend), remedy(backend));
		return -EOPNOTSUPP;
	}
	if (most_ahead(c) && c->config->lookahead > most_ahead(c)) {
		snprintf(error, error_len,
			 "the %s backend looks ahead %u epochs at most, and lookahead is %u: %s, "
			 "or write less",
			 backend_name(backend), most_ahead(c), c->config->lookahead,
			 remedy(backend));
		return -EOPNOTSUPP;
	}
	return 0;
}

/* What says when a key is over. */
static void fill_rollover(struct qkd_channel *r, const struct channel *c)
{
	const struct config_channel *config = c->config;

	r->on_exhausted = (uint8_t)config->on_exhausted;
	r->lookahead = backend_lookahead(c);
	r->rollover_ms = config->rollover_ms;
	r->jitter_ms = config->jitter_ms;
	r->grace_ms = config->grace_ms;
	r->hard_ms = config->hard_ms;
	r->soft_bytes = config->soft_bytes;
	r->soft_packets = config->soft_packets;
	r->hard_bytes = config->hard_bytes;
	r->hard_packets = config->hard_packets;
}

static int fill_esp(struct qkd_channel *r, const struct channel *c, char *error, size_t error_len)
{
	const struct config_esp *esp = c->config->esp;
	struct config_address local, remote;

	if (!esp || config_address_parse(esp->local, &local) ||
	    config_address_parse(esp->remote, &remote) || local.family != remote.family) {
		snprintf(error, error_len, "local and remote are no two addresses of one family");
		return -EINVAL;
	}
	r->family = (uint16_t)local.family;
	memcpy(r->local, local.octet, sizeof(r->local));
	memcpy(r->remote, remote.octet, sizeof(r->remote));
	r->flags = esp->esn ? QKD_CHANNEL_ESN : 0;
	r->reqid = CHANNEL_REQID + r->id;
	r->if_id = esp->if_id;
	r->mark = esp->mark;
	r->mark_mask = esp->mark_mask;
	r->replay_window = esp->replay_window;
	return digest_spi_key(c->config->name, r->local, r->remote, r->spi_key);
}

/*
 * The end with the greater SCI has SSCI 1, as MKA assigns them (IEEE
 * 802.1X-2020 clause 9.10).
 */
static int fill_macsec(struct qkd_channel *r, const struct channel *c, uint8_t sci[8], char *error,
		       size_t error_len)
{
	struct macsec_device device;
	int err = macsec_device_ensure(c->config, &device, error, error_len);

	if (err)
		return err;
	if (macsec_device_peer_sci(c->config, r->sci_peer)) {
		snprintf(error, error_len, "peer_mac is no MAC address");
		return -EINVAL;
	}
	if (!memcmp(device.sci, r->sci_peer, sizeof(device.sci))) {
		snprintf(error, error_len, "peer_mac and peer_port are those of our own %s",
			 c->config->macsec->device);
		return -EINVAL;
	}
	memcpy(sci, device.sci, sizeof(device.sci));
	r->ifindex = device.ifindex;
	if (c->config->cipher == QKD_CIPHER_GCM_AES_XPN_256 &&
	    memcmp(device.sci, r->sci_peer, sizeof(device.sci)) > 0)
		r->flags = QKD_CHANNEL_SSCI_1;
	return 0;
}

int channel_make_record(struct channel *c, uint32_t id, char *error, size_t error_len)
{
	const struct config_channel *config = c->config;
	bool macsec = config->kind == QKD_KIND_MACSEC;
	struct qkd_channel *r = &c->record;
	uint8_t sci[8] = {0};
	int err;

	memset(r, 0, sizeof(*r));
	r->id = id;
	r->kind = (uint8_t)config->kind;
	r->cipher = (uint8_t)config->cipher;
	fill_rollover(r, c);
	snprintf(r->name, sizeof(r->name), "%s", config->name);
	err = check_features(c, error, error_len);
	if (err)
		return err;
	snprintf(error, error_len, "its parameters cannot be used");
	err = macsec ? fill_macsec(r, c, sci, error, error_len) : fill_esp(r, c, error, error_len);
	if (!err)
		err = digest_channel(config, macsec ? sci : NULL, macsec ? r->sci_peer : NULL,
				     c->digest);
	return err ? err : digest_tag(r, r->tag);
}
