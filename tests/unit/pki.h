/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Certificates for unit tests, made on the spot in a directory of their own:
 *
 *	pki_set_up();
 *	pki_issue("alice", "alice", "ca", 0, 3600);
 *	struct tls_files files = pki_files("alice", "ca");
 *	...
 *	pki_tear_down();
 */
#ifndef TESTS_UNIT_PKI_H
#define TESTS_UNIT_PKI_H

#include "loop/stream.h"
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char pki_dir[64];

/* A path in the directory; valid for the next 15 calls. */
__attribute__((unused)) static const char *pki_path(const char *name, const char *suffix)
{
	static char path[16][128];
	static int next;

	next = (next + 1) % 16;
	snprintf(path[next], sizeof(path[next]), "%s/%s%s", pki_dir, name, suffix);
	return path[next];
}

static void pki_must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pki: %s failed\n", what);
	abort();
}

static FILE *pki_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	pki_must(file != NULL, path);
	return file;
}

static void pki_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	pki_must(extension && X509_add_ext(cert, extension, -1), value);
	X509_EXTENSION_free(extension);
}

static void pki_save(const char *name, X509 *cert, EVP_PKEY *key)
{
	FILE *file = pki_create(pki_path(name, ".pem"));

	pki_must(PEM_write_X509(file, cert), "writing a certificate");
	fclose(file);
	file = pki_create(pki_path(name, ".key"));
	pki_must(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), "writing a key");
	fclose(file);
}

static X509 *pki_load_cert(const char *name)
{
	FILE *file = fopen(pki_path(name, ".pem"), "r");
	X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	pki_must(cert != NULL, name);
	fclose(file);
	return cert;
}

static EVP_PKEY *pki_load_key(const char *name)
{
	FILE *file = fopen(pki_path(name, ".key"), "r");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

	pki_must(key != NULL, name);
	fclose(file);
	return key;
}

/**
 * pki_make - NAME.pem and NAME.key
 * @ca: name of its authority; NULL: it is one itself
 * @san: e.g. "DNS:a,IP:192.0.2.1"; NULL for none
 * @usage: extended key usage, NULL for none
 * @from, @until: validity in seconds from now
 */
__attribute__((unused)) static void pki_make(const char *name, const char *cn, const char *ca,
					     const char *san, const char *usage, long from,
					     long until)
{
	static long serial = 1;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	EVP_PKEY *ca_key = ca ? pki_load_key(ca) : NULL;
	X509 *issuer = ca ? pki_load_cert(ca) : NULL;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), from);
	X509_gmtime_adj(X509_getm_notAfter(cert), until);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1,
				   0);
	X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject);
	X509_set_pubkey(cert, key);
	pki_extension(cert, NID_basic_constraints, ca ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (san)
		pki_extension(cert, NID_subject_alt_name, san);
	if (usage)
		pki_extension(cert, NID_ext_key_usage, usage);
	pki_must(X509_sign(cert, ca ? ca_key : key, EVP_sha256()) > 0, "signing");
	pki_save(name, cert, key);
	X509_free(cert);
	X509_free(issuer);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
}

/* A certificate for both sides of TLS, with @name as its DNS name. */
__attribute__((unused)) static void pki_issue(const char *file, const char *name, const char *ca,
					      long from, long until)
{
	char san[128];

	snprintf(san, sizeof(san), "DNS:%s", name);
	pki_make(file, name, ca, san, "serverAuth,clientAuth", from, until);
}

/* The directory and an authority, "ca". */
__attribute__((unused)) static void pki_set_up(void)
{
	strcpy(pki_dir, "/tmp/qkd-test-pki-XXXXXX");
	pki_must(mkdtemp(pki_dir) != NULL, "mkdtemp");
	pki_make("ca", "Test CA", NULL, NULL, NULL, -3600, 86400);
}

__attribute__((unused)) static void pki_tear_down(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", pki_dir);
	pki_must(system(command) == 0, command);
}

__attribute__((unused)) static struct tls_files pki_files(const char *name, const char *ca)
{
	return (struct tls_files){
		.certificate = pki_path(name, ".pem"),
		.key = pki_path(name, ".key"),
		.ca = pki_path(ca, ".pem"),
	};
}

__attribute__((unused)) static struct tls_context *
pki_context(const char *name, const char *ca, enum tls_version version, const char *alpn)
{
	struct tls_files files = pki_files(name, ca);
	struct tls_context *context;
	char error[512];

	if (tls_context_create(&files, version, alpn, &context, error, sizeof(error))) {
		fprintf(stderr, "pki: %s\n", error);
		abort();
	}
	return context;
}

#endif
