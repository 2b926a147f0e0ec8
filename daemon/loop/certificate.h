/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and dates of X.509 certificates, for checks and for sentences. */
#ifndef LOOP_CERTIFICATE_H
#define LOOP_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * certificate_has_name - exact match, without wildcards
 * @name: compared with the DNS names (or, if it is an IP address, the IP
 *        addresses) among the subject alternative names; with the CN only if
 *        the certificate has no subject alternative names at all
 */
bool certificate_has_name(X509 *cert, const char *name);

/** First printable DNS name, or the CN; "" if none. */
void certificate_first_name(X509 *cert, char *name, size_t len);

/** All names that certificate_has_name() looks at: "a, b"; "no name" if none. */
void certificate_list_names(X509 *cert, char *list, size_t len);

/** "CN=Demo CA,O=Example", control characters escaped. */
void certificate_subject(const X509_NAME *name, char *text, size_t len);

/** "2026-01-31 12:00:00 UTC" */
void certificate_time(const ASN1_TIME *time, char *text, size_t len);

/** Whether the present lies within the certificate's validity. */
bool certificate_is_current(X509 *cert);

#endif
