/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration of qkdkeyd: YAML, loaded by a schema into these
 * structures. docs/qkdkeyd.conf.5.scd describes each field for operators; the
 * names there are the names here.
 *
 * Strings are never NULL unless a field says "optional".
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/qkd.h>

enum config_backend {
	CONFIG_BACKEND_AUTO,	/* the module if /dev/qkd is there, else netlink */
	CONFIG_BACKEND_MODULE,	/* only the module */
	CONFIG_BACKEND_NETLINK, /* only netlink */
};

/** Admin socket: who may talk to the daemon (besides root and its own user). */
struct config_control {
	char *socket; /* default /run/qkdkeyd/control.sock */
	char *group;  /* optional: a group's name */
};

/** PEM files; see struct tls_files. */
struct config_tls {
	char *certificate;
	char *key;
	char *ca;
};

/** Our end of the KM links (Kx). */
struct config_kx {
	char *listen;  /* IP address; default "::" */
	uint16_t port; /* default 7443 */
	struct config_tls tls;
};

/** A peer KM. */
struct config_peer {
	char *name;    /* must be in its certificate */
	char *address; /* optional: then we wait for it to connect */
	uint16_t port; /* default 7443 */
};

enum config_role {
	CONFIG_INITIATOR, /* asks its device for keys and assigns them to epochs */
	CONFIG_RESPONDER,
};

/** An ETSI GS QKD 014 KME at our end of a QKD link (Kq-1). */
struct config_source {
	char *url;	   /* https://HOST[:PORT] */
	char *server_name; /* optional: name in its certificate; default HOST */
	char *sae;	   /* our SAE ID; the device knows us by it */
	char *peer_sae;	   /* the peer KM's SAE ID */
	struct config_tls tls;
	uint32_t timeout_ms; /* default 5000 */
};

/** A QKD link: a pair of devices, ours and the peer KM's. */
struct config_link {
	char *name; /* the same at both ends; at most 31 octets */
	char *peer;
	enum config_role role;
	struct config_source source;
	uint32_t keys_target; /* keys to keep in the pool; default 64 */
	uint32_t keys_low;    /* warn below; default 16, at most half of keys_target */
};

enum config_combine {
	CONFIG_COMBINE_QKD,	/* the QKD key alone */
	CONFIG_COMBINE_QKD_TLS, /* mixed with a secret of the KM link's TLS session */
};

/** Fields of an IPsec channel. */
struct config_esp {
	char *local;	   /* outer address of this end */
	char *remote;	   /* outer address of the peer */
	char **local_nets; /* CIDR; tunnel: what we protect; transport: none */
	unsigned int local_nets_count;
	char **remote_nets;
	unsigned int remote_nets_count;
	bool esn;		/* default true */
	uint32_t replay_window; /* packets; default 128 */
	uint32_t if_id;		/* optional, 0: none */
	uint32_t mark;		/* optional */
	uint32_t mark_mask;	/* default all bits if mark is given */
};

/** Fields of a MACsec channel. */
struct config_macsec {
	char *device;		/* the macsec device; made on @parent if it is missing */
	char *parent;		/* optional if @device stands already */
	char *peer_mac;		/* of the peer's macsec device: its SCI with @peer_port */
	uint16_t port;		/* our port identifier; default 1 */
	uint16_t peer_port;	/* default 1 */
	uint32_t replay_window; /* frames; default 0: strict order */
};

/** A channel; most fields as in struct qkd_channel. */
struct config_channel {
	char *name; /* the same at both ends; at most 31 octets */
	char *link;
	enum qkd_kind kind;
	enum qkd_cipher cipher;
	enum config_combine combine; /* default qkd */
	uint32_t rollover_ms;	     /* default 60000 */
	uint32_t grace_ms;	     /* default 2000, but at most rollover_ms / 2 for MACsec */
	uint32_t jitter_ms;	     /* default 0 */
	uint64_t soft_bytes;	     /* default 0: none, as the three below */
	uint64_t soft_packets;
	uint64_t hard_bytes;
	uint64_t hard_packets;
	uint32_t lookahead;		 /* default 4, MACsec 2 */
	enum qkd_exhausted on_exhausted; /* no default: the operator's choice */
	uint32_t hard_ms;		 /* default 0 */
	struct config_esp *esp;		 /* kinds esp-tunnel, esp-transport; else NULL */
	struct config_macsec *macsec;	 /* kind macsec; else NULL */
};

struct config {
	char *node;	       /* our KM's name; must be in our certificate */
	char *state_directory; /* default /var/lib/qkdkeyd */
	char *master_key; /* file, 32 octets, 0600 or 0400; default STATE_DIRECTORY/master.key */
	enum config_backend backend;
	struct config_control control;
	struct config_kx kx;
	struct config_peer *peers;
	unsigned int peers_count;
	struct config_link *links;
	unsigned int links_count;
	struct config_channel *channels;
	unsigned int channels_count;
};

/**
 * config_load - reads and checks @path: syntax, fields, ranges, cross-references
 * @report: gets each error as "PATH:LINE: FIELD: what is wrong and what would be right"
 * Return: 0, -EINVAL after at least one report, or another negative errno (reported).
 */
int config_load(const char *path, void (*report)(const char *line, void *arg), void *arg,
		struct config **config);
void config_free(struct config *config);

/**
 * config_channel_load - one channel from YAML text (qkdctl channel add)
 * @config: for the cross-references
 * @origin: file name for the reports
 */
int config_channel_load(const struct config *config, const char *yaml, size_t len,
			const char *origin, void (*report)(const char *line, void *arg), void *arg,
			struct config_channel **channel);
void config_channel_free(struct config_channel *channel);

const struct config_peer *config_find_peer(const struct config *config, const char *name);
const struct config_link *config_find_link(const struct config *config, const char *name);

/* Names of the enumerations, as in the file: for listings. */
const char *config_kind_name(enum qkd_kind kind);
const char *config_cipher_name(enum qkd_cipher cipher);
const char *config_exhausted_name(enum qkd_exhausted exhausted);

#endif
