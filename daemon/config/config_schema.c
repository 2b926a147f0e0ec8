// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The schema of the configuration file, for libcyaml. Every field is optional
 * here: config_check.c knows what must be there, and says so with the reason.
 */
#include "config/config_parts.h"

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define TEXT(type, member)                                                                         \
	CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER | OPTIONAL, type, member, 0,            \
			       CYAML_UNLIMITED)
#define NUMBER(type, member) CYAML_FIELD_UINT(#member, OPTIONAL, type, member)
#define SWITCH(type, member) CYAML_FIELD_BOOL(#member, OPTIONAL, type, member)
#define WORD(type, member, words)                                                                  \
	CYAML_FIELD_ENUM(#member, OPTIONAL | CYAML_FLAG_STRICT, type, member, words,               \
			 CYAML_ARRAY_LEN(words))
#define GROUP(type, member, fields) CYAML_FIELD_MAPPING(#member, OPTIONAL, type, member, fields)
#define GROUP_PTR(type, member, fields)                                                            \
	CYAML_FIELD_MAPPING_PTR(#member, CYAML_FLAG_POINTER | OPTIONAL, type, member, fields)
#define LIST(type, member, entry)                                                                  \
	CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | OPTIONAL, type, member, entry, 0,       \
			     CYAML_UNLIMITED)

static const struct cyaml_strval backends[] = {
	{"auto", CONFIG_BACKEND_AUTO},
	{"module", CONFIG_BACKEND_MODULE},
	{"netlink", CONFIG_BACKEND_NETLINK},
};

static const struct cyaml_strval roles[] = {
	{"initiator", CONFIG_INITIATOR},
	{"responder", CONFIG_RESPONDER},
};

static const struct cyaml_strval combines[] = {
	{"qkd", CONFIG_COMBINE_QKD},
	{"qkd+tls", CONFIG_COMBINE_QKD_TLS},
};

static const struct cyaml_strval kinds[] = {
	{"esp-tunnel", QKD_KIND_ESP_TUNNEL},
	{"esp-transport", QKD_KIND_ESP_TRANSPORT},
	{"macsec", QKD_KIND_MACSEC},
};

static const struct cyaml_strval ciphers[] = {
	{"aes-256-gcm", QKD_CIPHER_AES_256_GCM},
	{"chacha20-poly1305", QKD_CIPHER_CHACHA20_POLY1305},
	{"gcm-aes-256", QKD_CIPHER_GCM_AES_256},
	{"gcm-aes-xpn-256", QKD_CIPHER_GCM_AES_XPN_256},
};

static const struct cyaml_strval exhausted[] = {
	{"hold", QKD_EXHAUSTED_HOLD},
	{"block", QKD_EXHAUSTED_BLOCK},
};

static const struct cyaml_schema_value net_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

static const struct cyaml_schema_field control_fields[] = {
	TEXT(struct config_control, socket),
	TEXT(struct config_control, group),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_field tls_fields[] = {
	TEXT(struct config_tls, certificate),
	TEXT(struct config_tls, key),
	TEXT(struct config_tls, ca),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_field kx_fields[] = {
	TEXT(struct config_kx, listen),
	NUMBER(struct config_kx, port),
	GROUP(struct config_kx, tls, tls_fields),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_field peer_fields[] = {
	TEXT(struct config_peer, name),
	TEXT(struct config_peer, address),
	NUMBER(struct config_peer, port),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_value peer_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_peer, peer_fields),
};

static const struct cyaml_schema_field source_fields[] = {
	TEXT(struct config_source, url),
	TEXT(struct config_source, server_name),
	TEXT(struct config_source, sae),
	TEXT(struct config_source, peer_sae),
	GROUP(struct config_source, tls, tls_fields),
	NUMBER(struct config_source, timeout_ms),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_field link_fields[] = {
	TEXT(struct config_link, name),
	TEXT(struct config_link, peer),
	WORD(struct config_link, role, roles),
	GROUP(struct config_link, source, source_fields),
	NUMBER(struct config_link, keys_target),
	NUMBER(struct config_link, keys_low),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_value link_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_link, link_fields),
};

static const struct cyaml_schema_field esp_fields[] = {
	TEXT(struct config_esp, local),
	TEXT(struct config_esp, remote),
	LIST(struct config_esp, local_nets, &net_entry),
	LIST(struct config_esp, remote_nets, &net_entry),
	SWITCH(struct config_esp, esn),
	NUMBER(struct config_esp, replay_window),
	NUMBER(struct config_esp, if_id),
	NUMBER(struct config_esp, mark),
	NUMBER(struct config_esp, mark_mask),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_field macsec_fields[] = {
	TEXT(struct config_macsec, device),
	TEXT(struct config_macsec, parent),
	TEXT(struct config_macsec, peer_mac),
	NUMBER(struct config_macsec, port),
	NUMBER(struct config_macsec, peer_port),
	NUMBER(struct config_macsec, replay_window),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_field channel_fields[] = {
	TEXT(struct config_channel, name),
	TEXT(struct config_channel, link),
	WORD(struct config_channel, kind, kinds),
	WORD(struct config_channel, cipher, ciphers),
	WORD(struct config_channel, combine, combines),
	NUMBER(struct config_channel, rollover_ms),
	NUMBER(struct config_channel, grace_ms),
	NUMBER(struct config_channel, jitter_ms),
	NUMBER(struct config_channel, soft_bytes),
	NUMBER(struct config_channel, soft_packets),
	NUMBER(struct config_channel, hard_bytes),
	NUMBER(struct config_channel, hard_packets),
	NUMBER(struct config_channel, lookahead),
	WORD(struct config_channel, on_exhausted, exhausted),
	NUMBER(struct config_channel, hard_ms),
	GROUP_PTR(struct config_channel, esp, esp_fields),
	GROUP_PTR(struct config_channel, macsec, macsec_fields),
	CYAML_FIELD_END,
};

static const struct cyaml_schema_value channel_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_channel, channel_fields),
};

const struct cyaml_schema_value config_channel_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_channel, channel_fields),
};

static const struct cyaml_schema_field config_fields[] = {
	TEXT(struct config, node),
	TEXT(struct config, state_directory),
	TEXT(struct config, master_key),
	WORD(struct config, backend, backends),
	GROUP(struct config, control, control_fields),
	GROUP(struct config, kx, kx_fields),
	LIST(struct config, peers, &peer_entry),
	LIST(struct config, links, &link_entry),
	LIST(struct config, channels, &channel_entry),
	CYAML_FIELD_END,
};

const struct cyaml_schema_value config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config, config_fields),
};

static const char *word_of(const struct cyaml_strval *words, size_t count, int64_t value)
{
	for (size_t i = 0; i < count; i++)
		if (words[i].val == value)
			return words[i].str;
	return "unknown";
}

const char *config_kind_name(enum qkd_kind kind)
{
	return word_of(kinds, CYAML_ARRAY_LEN(kinds), kind);
}

const char *config_cipher_name(enum qkd_cipher cipher)
{
	return word_of(ciphers, CYAML_ARRAY_LEN(ciphers), cipher);
}

const char *config_exhausted_name(enum qkd_exhausted value)
{
	return word_of(exhausted, CYAML_ARRAY_LEN(exhausted), value);
}
