// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/certificate.h"
#include "loop/tls.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
	struct tls_context *context;
	SSL *ssl;
	BIO *in;
	BIO *out;
	bool verified;
	struct tls_verdict verdict;
	char reason[TLS_REASON];
	char peer_name[256];
};

/* SNI carries DNS names only; servers may drop a connection that offers others. */
static bool is_dns_name(const char *name)
{
	struct in_addr ip;

	if (!name || !*name || strlen(name) > 253 || inet_pton(AF_INET, name, &ip) == 1)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '-' && *name != '.')
			return false;
	return true;
}

static int set_role(struct tls *tls, enum tls_role role, const char *host, const char *expect)
{
	const char *sni = is_dns_name(host) ? host : expect;

	if (role == TLS_SERVER) {
		SSL_set_accept_state(tls->ssl);
		return 0;
	}
	/* Without a name to check, any certificate of the authority would do. */
	if (!expect || !*expect || strlen(expect) >= sizeof(tls->verdict.expect))
		return -EINVAL;
	strcpy(tls->verdict.expect, expect);
	SSL_set_connect_state(tls->ssl);
	if (is_dns_name(sni) && SSL_set_tlsext_host_name(tls->ssl, sni) != 1)
		return -ENOMEM;
	return 0;
}

int tls_create(struct tls_context *context, enum tls_role role, const char *host,
	       const char *expect, const char *peer, struct tls **tls)
{
	struct tls *made = calloc(1, sizeof(*made));
	int rc = -ENOMEM;

	if (!made)
		return -ENOMEM;
	made->context = tls_context_hold(context);
	made->verdict.peer = peer;
	made->verdict.ca_file = context->ca_file;
	made->ssl = SSL_new(context->ssl_ctx);
	made->in = BIO_new(BIO_s_mem());
	made->out = BIO_new(BIO_s_mem());
	if (!made->ssl || !made->in || !made->out) {
		BIO_free(made->in);
		BIO_free(made->out);
		goto free_tls;
	}
	/* An empty BIO means "later", not the end. */
	BIO_set_mem_eof_return(made->in, -1);
	BIO_set_mem_eof_return(made->out, -1);
	SSL_set_bio(made->ssl, made->in, made->out);
	SSL_set_app_data(made->ssl, &made->verdict);
	rc = set_role(made, role, host, expect);
	if (rc)
		goto free_tls;
	*tls = made;
	return 0;
free_tls:
	tls_free(made);
	return rc;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	tls_context_destroy(tls->context);
	free(tls);
}

int tls_feed(struct tls *tls, const void *data, size_t len)
{
	return BIO_write(tls->in, data, (int)len) == (int)len ? 0 : -ENOMEM;
}

size_t tls_take(struct tls *tls, void *data, size_t len)
{
	int n = BIO_read(tls->out, data, (int)len);

	return n > 0 ? (size_t)n : 0;
}

/* What the peer's alert means, for those that have a remedy; NULL for the rest. */
static const char *alert_hint(int alert)
{
	switch (alert) {
	case SSL_AD_UNKNOWN_CA:
		return "it does not know the authority that issued it";
	case SSL_AD_CERTIFICATE_EXPIRED:
		return "it has expired";
	case SSL_AD_CERTIFICATE_REVOKED:
		return "it was revoked";
	case SSL_AD_BAD_CERTIFICATE:
		return "wrong name, or not acceptable in another way";
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
		return "its kind or its key usage is not accepted there";
	case SSL_AD_CERTIFICATE_UNKNOWN:
		return "it was not accepted there";
	case SSL_AD_ACCESS_DENIED:
		return "access denied";
	case TLS13_AD_CERTIFICATE_REQUIRED:
		return "it wants one, and got none";
	case SSL_AD_DECRYPT_ERROR:
		return "its signature could not be verified";
	default:
		return NULL;
	}
}

static int explain_alert(struct tls *tls, int alert)
{
	const char *hint = alert_hint(alert);
	const char *name = SSL_alert_desc_string_long(alert);

	if (hint) {
		snprintf(tls->reason, sizeof(tls->reason),
			 "%s refused our certificate: %s (TLS alert '%s')", tls->verdict.peer, hint,
			 name);
		return -EACCES;
	}
	snprintf(tls->reason, sizeof(tls->reason),
		 "%s ended the connection by the TLS alert '%s'%s", tls->verdict.peer, name,
		 alert == SSL_AD_PROTOCOL_VERSION ? ": it speaks another version of TLS" : "");
	return -EPROTO;
}

/* Turns OpenSSL's error queue into a sentence and an errno. */
static int explain(struct tls *tls)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);
	bool ssl_error = ERR_GET_LIB(error) == ERR_LIB_SSL;
	const char *text = ERR_reason_error_string(error);

	ERR_clear_error();
	if (*tls->verdict.refusal) {
		snprintf(tls->reason, sizeof(tls->reason), "%s", tls->verdict.refusal);
		return -EACCES;
	}
	if (ssl_error && reason > SSL_AD_REASON_OFFSET)
		return explain_alert(tls, reason - SSL_AD_REASON_OFFSET);
	if (ssl_error && reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
		snprintf(tls->reason, sizeof(tls->reason),
			 "%s presented no certificate; one from an authority in %s is needed",
			 tls->verdict.peer, tls->verdict.ca_file);
		return -EACCES;
	}
	if (ssl_error && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
			  reason == SSL_R_HTTPS_PROXY_REQUEST || reason == SSL_R_UNKNOWN_PROTOCOL))
		snprintf(tls->reason, sizeof(tls->reason), "what %s sent is not TLS (%s)",
			 tls->verdict.peer, text);
	else if (ssl_error && reason == SSL_R_UNSUPPORTED_PROTOCOL)
		snprintf(tls->reason, sizeof(tls->reason),
			 "%s offers only versions of TLS that are too old for us",
			 tls->verdict.peer);
	else
		snprintf(tls->reason, sizeof(tls->reason), "TLS with %s failed: %s",
			 tls->verdict.peer, text ? text : "unexpected end");
	return -EPROTO;
}

static bool alpn_agreed(struct tls *tls)
{
	const uint8_t *want = tls->context->alpn;
	const unsigned char *got;
	unsigned int len;

	if (!want[0])
		return true;
	SSL_get0_alpn_selected(tls->ssl, &got, &len);
	if (len == want[0] && memcmp(got, want + 1, len) == 0)
		return true;
	snprintf(tls->reason, sizeof(tls->reason), "%s does not speak the protocol '%.*s' (ALPN)",
		 tls->verdict.peer, want[0], (const char *)want + 1);
	return false;
}

int tls_handshake(struct tls *tls)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(tls->ssl);
	if (rc != 1) {
		switch (SSL_get_error(tls->ssl, rc)) {
		case SSL_ERROR_WANT_READ:
		case SSL_ERROR_WANT_WRITE:
			return 0;
		default:
			return explain(tls);
		}
	}
	if (!tls_verdict_confirm(&tls->verdict, tls->ssl)) {
		snprintf(tls->reason, sizeof(tls->reason), "%s", tls->verdict.refusal);
		return -EACCES;
	}
	if (!alpn_agreed(tls))
		return -EPROTO;
	tls->verified = true;
	certificate_first_name(tls_peer_certificate(tls), tls->peer_name, sizeof(tls->peer_name));
	return 1;
}

int tls_read(struct tls *tls, void *data, size_t len)
{
	int rc;

	ERR_clear_error();
	rc = SSL_read(tls->ssl, data, (int)len);
	if (rc > 0)
		return rc;
	switch (SSL_get_error(tls->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		return -ESHUTDOWN;
	default:
		return explain(tls);
	}
}

int tls_write(struct tls *tls, const void *data, size_t len)
{
	ERR_clear_error();
	if (SSL_write(tls->ssl, data, (int)len) == (int)len)
		return 0;
	return explain(tls);
}

void tls_shutdown(struct tls *tls)
{
	ERR_clear_error();
	/* Before the handshake is over there is nothing to shut down. */
	if (SSL_is_init_finished(tls->ssl))
		SSL_shutdown(tls->ssl);
	ERR_clear_error();
}

const char *tls_reason(const struct tls *tls)
{
	return tls->reason;
}

X509 *tls_peer_certificate(const struct tls *tls)
{
	return tls->verified ? SSL_get0_peer_certificate(tls->ssl) : NULL;
}

const char *tls_peer_name(const struct tls *tls)
{
	return tls->peer_name;
}

int tls_export(struct tls *tls, const char *label, const void *context, size_t context_len,
	       uint8_t *secret, size_t secret_len)
{
	if (!tls->verified)
		return -ENOTCONN;
	if (SSL_export_keying_material(tls->ssl, secret, secret_len, label, strlen(label), context,
				       context_len, context != NULL) == 1)
		return 0;
	ERR_clear_error();
	OPENSSL_cleanse(secret, secret_len);
	return -EIO;
}
