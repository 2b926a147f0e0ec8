// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop/certificate.h"
#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * Identities are what contracts are written for, so no wildcard may stand in
 * for one, and a name that starts with a dot (which X509_check_host() takes
 * for "any host of this domain") is no name.
 */
bool certificate_has_name(X509 *cert, const char *name)
{
	unsigned int flags = X509_CHECK_FLAG_NO_WILDCARDS;

	if (!cert || !name || !*name || *name == '.')
		return false;
	if (X509_check_ip_asc(cert, name, 0) == 1)
		return true;
	if (X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) >= 0)
		flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	return X509_check_host(cert, name, strlen(name), flags, NULL) == 1;
}

/* What a stranger wrote goes into logs: printable ASCII only, and no NUL inside. */
static bool copy_printable(const ASN1_STRING *string, char *text, size_t len)
{
	const unsigned char *data = ASN1_STRING_get0_data(string);
	int size = ASN1_STRING_length(string);

	if (size <= 0 || (size_t)size >= len)
		return false;
	for (int i = 0; i < size; i++)
		if (data[i] < 0x21 || data[i] > 0x7e)
			if (data[i] != ' ' || i == 0)
				return false;
	memcpy(text, data, (size_t)size);
	text[size] = 0;
	return true;
}

static bool common_name(X509 *cert, char *text, size_t len)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	return index >= 0 &&
	       copy_printable(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)), text,
			      len);
}

/* One subject alternative name as text; false if it is of a kind that we do not use. */
static bool alternative_text(const GENERAL_NAME *name, char *text, size_t len)
{
	const ASN1_OCTET_STRING *ip;

	if (name->type == GEN_DNS)
		return copy_printable(name->d.dNSName, text, len);
	if (name->type != GEN_IPADD)
		return false;
	ip = name->d.iPAddress;
	if (ASN1_STRING_length(ip) == 4)
		return inet_ntop(AF_INET, ASN1_STRING_get0_data(ip), text, (socklen_t)len);
	if (ASN1_STRING_length(ip) == 16)
		return inet_ntop(AF_INET6, ASN1_STRING_get0_data(ip), text, (socklen_t)len);
	return false;
}

void certificate_first_name(X509 *cert, char *name, size_t len)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);

		found = entry->type == GEN_DNS && copy_printable(entry->d.dNSName, name, len);
	}
	GENERAL_NAMES_free(names);
	if (!found && !common_name(cert, name, len))
		*name = 0;
}

static void append(char *list, size_t len, const char *name)
{
	size_t used = strlen(list);

	if (used + strlen(name) + 8 > len) {
		if (used + 6 <= len && (used < 3 || strcmp(list + used - 3, "...") != 0))
			strcat(list, ", ...");
		return;
	}
	if (used)
		strcat(list, ", ");
	strcat(list, name);
}

void certificate_list_names(X509 *cert, char *list, size_t len)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char text[256];

	*list = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
		if (alternative_text(sk_GENERAL_NAME_value(names, i), text, sizeof(text)))
			append(list, len, text);
	if (!names && common_name(cert, text, sizeof(text)))
		append(list, len, text);
	GENERAL_NAMES_free(names);
	if (!*list)
		snprintf(list, len, "no name");
}

void certificate_subject(const X509_NAME *name, char *text, size_t len)
{
	/* RFC 2253 escapes control and non-ASCII characters. */
	BIO *bio = BIO_new(BIO_s_mem());
	int size = 0;

	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		size = BIO_read(bio, text, (int)len - 1);
	BIO_free(bio);
	if (size <= 0)
		snprintf(text, len, "(no name)");
	else
		text[size] = 0;
}

void certificate_time(const ASN1_TIME *time, char *text, size_t len)
{
	struct tm tm;

	if (!time || !ASN1_TIME_to_tm(time, &tm) ||
	    !strftime(text, len, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(text, len, "(unreadable date)");
}

bool certificate_is_current(X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
	       X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}
