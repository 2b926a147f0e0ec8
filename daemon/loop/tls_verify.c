// SPDX-License-Identifier: GPL-2.0-or-later
/* Who the peer is, and the sentence that says why it was refused. */
#include "loop/certificate.h"
#include "loop/tls.h"
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* "certificate of 192.0.2.1:7443 (sae-a)" or, further up, "authority 'CN=X' of 192.0.2.1:7443" */
static void who(const struct tls_verdict *verdict, X509 *cert, int depth, char *text, size_t len)
{
	char name[300];

	if (!cert) {
		snprintf(text, len, "certificate of %s", verdict->peer);
		return;
	}
	if (depth > 0) {
		certificate_subject(X509_get_subject_name(cert), name, sizeof(name));
		snprintf(text, len, "authority '%s' of %s", name, verdict->peer);
		return;
	}
	certificate_first_name(cert, name, sizeof(name));
	if (*name)
		snprintf(text, len, "certificate of %s (%s)", verdict->peer, name);
	else
		snprintf(text, len, "certificate of %s", verdict->peer);
}

static void refuse_name(struct tls_verdict *verdict, X509 *cert)
{
	char names[300];

	certificate_list_names(cert, names, sizeof(names));
	snprintf(verdict->refusal, sizeof(verdict->refusal),
		 "certificate of %s is for %s; expected %s", verdict->peer, names, verdict->expect);
}

static void refuse_issuer(struct tls_verdict *verdict, const char *subject, X509 *cert)
{
	char issuer[300] = "unknown";

	if (cert)
		certificate_subject(X509_get_issuer_name(cert), issuer, sizeof(issuer));
	snprintf(verdict->refusal, sizeof(verdict->refusal),
		 "%s comes from an unknown authority, '%s', which is not in %s", subject, issuer,
		 verdict->ca_file);
}

static void refuse_signature(struct tls_verdict *verdict, const char *subject, X509 *cert)
{
	char issuer[300] = "unknown";

	if (cert)
		certificate_subject(X509_get_issuer_name(cert), issuer, sizeof(issuer));
	snprintf(verdict->refusal, sizeof(verdict->refusal),
		 "%s is not signed by the authority '%s' in %s, but by another one of that name",
		 subject, issuer, verdict->ca_file);
}

static void refuse(struct tls_verdict *verdict, X509 *cert, int depth, int error)
{
	char subject[400];
	char date[64];

	who(verdict, cert, depth, subject, sizeof(subject));
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		certificate_time(X509_get0_notAfter(cert), date, sizeof(date));
		snprintf(verdict->refusal, sizeof(verdict->refusal), "%s expired on %s", subject,
			 date);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		certificate_time(X509_get0_notBefore(cert), date, sizeof(date));
		snprintf(verdict->refusal, sizeof(verdict->refusal),
			 "%s is not valid before %s (is our clock right?)", subject, date);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		refuse_issuer(verdict, subject, cert);
		break;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		refuse_signature(verdict, subject, cert);
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		snprintf(verdict->refusal, sizeof(verdict->refusal),
			 "%s may not be used for this side of TLS: its extended key usage needs "
			 "both serverAuth and clientAuth",
			 subject);
		break;
	default:
		snprintf(verdict->refusal, sizeof(verdict->refusal), "%s was refused: %s", subject,
			 X509_verify_cert_error_string(error));
	}
}

int tls_verify(int ok, X509_STORE_CTX *store_ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_verdict *verdict = SSL_get_app_data(ssl);
	X509 *cert = X509_STORE_CTX_get_current_cert(store_ctx);
	int depth = X509_STORE_CTX_get_error_depth(store_ctx);

	if (!ok) {
		if (!*verdict->refusal)
			refuse(verdict, cert, depth, X509_STORE_CTX_get_error(store_ctx));
		return 0;
	}
	if (depth == 0 && *verdict->expect && !certificate_has_name(cert, verdict->expect)) {
		X509_STORE_CTX_set_error(store_ctx, X509_V_ERR_HOSTNAME_MISMATCH);
		refuse_name(verdict, cert);
		return 0;
	}
	return 1;
}

bool tls_verdict_confirm(struct tls_verdict *verdict, SSL *ssl)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	long error = SSL_get_verify_result(ssl);

	if (!cert)
		snprintf(verdict->refusal, sizeof(verdict->refusal),
			 "%s presented no certificate; one from an authority in %s is needed",
			 verdict->peer, verdict->ca_file);
	else if (error != X509_V_OK)
		refuse(verdict, cert, 0, (int)error);
	/* A resumed session skips the verification; time has passed since. */
	else if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
		refuse(verdict, cert, 0, X509_V_ERR_CERT_HAS_EXPIRED);
	else if (*verdict->expect && !certificate_has_name(cert, verdict->expect))
		refuse_name(verdict, cert);
	return !*verdict->refusal;
}
