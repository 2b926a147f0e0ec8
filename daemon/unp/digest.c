// SPDX-License-Identifier: GPL-2.0-or-later
/* Fingerprints of a channel's parameters; see digest.h. */
#include "unp/digest.h"
#include "config/config_address.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* One net: family, prefix, address without host bits. */
#define NET_BYTES 18

static int put(EVP_MD_CTX *md, const void *data, size_t len)
{
	return EVP_DigestUpdate(md, data, len) == 1 ? 0 : -EIO;
}

static int put_u8(EVP_MD_CTX *md, uint8_t value)
{
	return put(md, &value, 1);
}

static int put_u32(EVP_MD_CTX *md, uint32_t value)
{
	uint8_t octet[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
			    (uint8_t)value};

	return put(md, octet, sizeof(octet));
}

/* Names and labels: padded with NUL to the size of a channel's name. */
static int put_name(EVP_MD_CTX *md, const char *name)
{
	char padded[QKD_NAME_BYTES] = {0};
	size_t len = strlen(name);

	if (len >= sizeof(padded))
		return -EINVAL;
	memcpy(padded, name, len);
	return put(md, padded, sizeof(padded));
}

static int begin(EVP_MD_CTX **md, const char *label)
{
	int err;

	*md = EVP_MD_CTX_new();
	if (!*md)
		return -ENOMEM;
	err = EVP_DigestInit_ex(*md, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
	return err ? err : put_name(*md, label);
}

static int finish(EVP_MD_CTX *md, int err, uint8_t result[16])
{
	uint8_t full[EVP_MAX_MD_SIZE];

	if (!err && EVP_DigestFinal_ex(md, full, NULL) != 1)
		err = -EIO;
	if (!err)
		memcpy(result, full, 16);
	EVP_MD_CTX_free(md);
	return err;
}

static int compare_net(const void *a, const void *b)
{
	return memcmp(a, b, NET_BYTES);
}

/* The networks behind one end, in an order of their own. */
static int put_nets(EVP_MD_CTX *md, char *const *nets, unsigned int count)
{
	uint8_t *list = calloc(count ? count : 1, NET_BYTES);
	unsigned int i;
	int err = 0;

	if (!list)
		return -ENOMEM;
	for (i = 0; i < count && !err; i++) {
		uint8_t *p = list + (size_t)i * NET_BYTES;
		struct config_net net;

		err = config_net_parse(nets[i], &net);
		if (err)
			break;
		config_net_mask(&net);
		p[0] = net.address.family == AF_INET6 ? 6 : 4;
		p[1] = (uint8_t)net.prefix;
		memcpy(p + 2, net.address.octet, 16);
	}
	if (!err) {
		qsort(list, count, NET_BYTES, compare_net);
		err = put_u32(md, count);
	}
	if (!err)
		err = put(md, list, (size_t)count * NET_BYTES);
	free(list);
	return err;
}

static int put_esp(EVP_MD_CTX *md, const struct config_esp *esp)
{
	struct config_address local, remote;
	int err = config_address_parse(esp->local, &local);
	bool first;

	if (!err)
		err = config_address_parse(esp->remote, &remote);
	if (!err && local.family != remote.family)
		err = -EINVAL;
	if (err)
		return err;
	first = memcmp(local.octet, remote.octet, 16) < 0;
	err = put_u8(md, esp->esn);
	if (!err)
		err = put_u8(md, local.family == AF_INET6 ? 6 : 4);
	if (!err)
		err = put(md, first ? local.octet : remote.octet, 16);
	if (!err)
		err = put_nets(md, first ? esp->local_nets : esp->remote_nets,
			       first ? esp->local_nets_count : esp->remote_nets_count);
	if (!err)
		err = put(md, first ? remote.octet : local.octet, 16);
	if (!err)
		err = put_nets(md, first ? esp->remote_nets : esp->local_nets,
			       first ? esp->remote_nets_count : esp->local_nets_count);
	return err;
}

static int put_macsec(EVP_MD_CTX *md, const uint8_t sci[8], const uint8_t sci_peer[8])
{
	bool first;
	int err;

	if (!sci || !sci_peer)
		return -EINVAL;
	first = memcmp(sci, sci_peer, 8) < 0;
	err = put(md, first ? sci : sci_peer, 8);
	return err ? err : put(md, first ? sci_peer : sci, 8);
}

int digest_channel(const struct config_channel *config, const uint8_t sci[8],
		   const uint8_t sci_peer[8], uint8_t digest[16])
{
	EVP_MD_CTX *md;
	int err = begin(&md, "qkdkeyd channel 1");

	if (!err)
		err = put_name(md, config->name);
	if (!err)
		err = put_u8(md, (uint8_t)config->kind);
	if (!err)
		err = put_u8(md, (uint8_t)config->cipher);
	if (!err)
		err = put_u8(md, config->combine == CONFIG_COMBINE_QKD_TLS ? 2 : 1);
	if (!err && config->kind == QKD_KIND_MACSEC)
		err = put_macsec(md, sci, sci_peer);
	else if (!err)
		err = config->esp ? put_esp(md, config->esp) : -EINVAL;
	return finish(md, err, digest);
}

int digest_spi_key(const char *name, const uint8_t local[QKD_ADDR_BYTES],
		   const uint8_t remote[QKD_ADDR_BYTES], uint8_t spi_key[16])
{
	bool first = memcmp(local, remote, QKD_ADDR_BYTES) < 0;
	EVP_MD_CTX *md;
	int err = begin(&md, "qkdkeyd spi 1");

	if (!err)
		err = put_name(md, name);
	if (!err)
		err = put(md, first ? local : remote, QKD_ADDR_BYTES);
	if (!err)
		err = put(md, first ? remote : local, QKD_ADDR_BYTES);
	return finish(md, err, spi_key);
}

int digest_tag(const struct qkd_channel *record, uint8_t tag[16])
{
	struct qkd_channel fixed = *record; /* no padding: it is an ABI record */
	EVP_MD_CTX *md;
	int err = begin(&md, "qkdkeyd tag 1");

	fixed.status = 0;
	fixed.state = 0;
	fixed.first_epoch = 0;
	memset(fixed.tag, 0, sizeof(fixed.tag));
	if (!err)
		err = put(md, &fixed, sizeof(fixed));
	return finish(md, err, tag);
}

const char *digest_fields(enum qkd_kind kind)
{
	if (kind == QKD_KIND_MACSEC)
		return "kind, cipher, combine, peer_mac, port, peer_port";
	return "kind, cipher, combine, esn, local, remote, local_nets, remote_nets";
}
