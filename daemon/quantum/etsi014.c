// SPDX-License-Identifier: GPL-2.0-or-later
/* ETSI GS QKD 014 client: URLs, calls, and what their answers mean. */
#include "quantum/etsi014.h"

#include "km/secret.h"
#include "loop/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS_MAX	   64
#define SAE_BYTES	   256
#define TEXT_BYTES	   640
#define DEFAULT_TIMEOUT_MS 5000

enum call_kind {
	CALL_ENC,
	CALL_DEC,
	CALL_STATUS
};

static const char *const CALL_NAME[] = {"enc_keys", "dec_keys", "status"};

/** One call under way; in the client's list until it is answered. */
struct call {
	struct call *next;
	struct etsi014 *client;
	enum call_kind kind;
	size_t number;
	struct km_key_id *ids;
	etsi014_fn done;
	void *arg;
};

struct etsi014 {
	struct tls_context *tls;
	struct http_client *http;
	char name[sizeof(((struct etsi014_url *)0)->host) + 24]; /* the KME, for messages */
	char peer_sae[SAE_BYTES * 3 + 1];			 /* URL-encoded */
	struct call *calls;
	size_t calls_count;
};

/* -------- URL -------- */

static int bad_url(char *error, size_t len, const char *text, const char *complaint)
{
	snprintf(error, len, "url \"%s\" %s", text, complaint);
	return -EINVAL;
}

static int parse_port(const char *text, uint16_t *port)
{
	unsigned long value = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned long)(*text - '0');
		if (value > 65535)
			return -EINVAL;
	}
	*port = (uint16_t)value;
	return value ? 0 : -EINVAL;
}

static bool host_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-' || c == '_';
}

static bool ipv6_character(char c)
{
	return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') ||
	       c == '.' || c == ':';
}

int etsi014_url_parse(const char *text, struct etsi014_url *url, char *error, size_t error_len)
{
	static const char scheme[] = "https://";
	const char *host = text + sizeof(scheme) - 1, *rest;
	bool brackets;
	size_t len = 0;

	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		return bad_url(error, error_len, text, "does not begin with https://");
	brackets = *host == '[';
	host += brackets;
	while (brackets ? ipv6_character(host[len]) : host_character(host[len]))
		len++;
	rest = host + len;
	if (len == 0 || len >= sizeof(url->host) || (brackets && *rest++ != ']'))
		return bad_url(error, error_len, text, "has no host: https://HOST[:PORT] expected");
	memcpy(url->host, host, len);
	url->host[len] = '\0';
	url->port = 443;
	len = strlen(rest);
	if (*rest == ':') {
		char port[8];

		len -= rest[len - 1] == '/';
		if (len > 6)
			len = 7; /* too long whatever it is */
		memcpy(port, rest + 1, len - 1);
		port[len - 1] = '\0';
		if (parse_port(port, &url->port))
			return bad_url(error, error_len, text, "has no port from 1 to 65535");
		return 0;
	}
	if (len && strcmp(rest, "/") != 0)
		return bad_url(
			error, error_len, text,
			"has a path: https://HOST[:PORT] expected, the path is given by ETSI GS "
			"QKD 014");
	return 0;
}

/** RFC 3986, clause 2.3: all but unreserved characters become %XX. */
static int url_encode(const char *text, char *encoded, size_t size)
{
	size_t at = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (at + 4 > size)
			return -ENAMETOOLONG;
		if (host_character(*text) || c == '~')
			encoded[at++] = *text;
		else
			at += (size_t)sprintf(encoded + at, "%%%02X", c);
	}
	encoded[at] = '\0';
	return at ? 0 : -EINVAL;
}

/* -------- life -------- */

int etsi014_create(struct loop *loop, const struct config_source *source, struct etsi014 **result,
		   char *error, size_t error_len)
{
	const struct tls_files files = {source->tls.certificate, source->tls.key, source->tls.ca};
	struct etsi014 *client = calloc(1, sizeof(*client));
	struct etsi014_url url;
	int err;

	*result = NULL;
	if (!client) {
		snprintf(error, error_len, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = etsi014_url_parse(source->url, &url, error, error_len);
	if (err)
		goto fail;
	err = url_encode(source->peer_sae, client->peer_sae, sizeof(client->peer_sae));
	if (err) {
		snprintf(error, error_len, "peer_sae is empty or longer than %d octets", SAE_BYTES);
		goto fail;
	}
	snprintf(client->name, sizeof(client->name),
		 strchr(url.host, ':') ? "https://[%s]:%u" : "https://%s:%u", url.host, url.port);
	err = tls_context_create(&files, TLS_1_2_OR_NEWER, NULL, &client->tls, error, error_len);
	if (err)
		goto fail;
	err = http_client_create(
		loop, client->tls, url.host, url.port,
		source->server_name ? source->server_name : url.host, ETSI014_BODY_MAX,
		source->timeout_ms ? source->timeout_ms : DEFAULT_TIMEOUT_MS, &client->http);
	if (err) {
		snprintf(error, error_len, "%s: %s", client->name, strerror(-err));
		goto fail;
	}
	*result = client;
	return 0;
fail:
	etsi014_destroy(client);
	return err;
}

/** Takes @call out of its client's list, tells its owner, frees it. */
static void end_call(struct call *call, const struct etsi014_answer *answer)
{
	struct call **place = &call->client->calls;

	while (*place != call)
		place = &(*place)->next;
	*place = call->next;
	call->client->calls_count--;
	call->done(call->arg, answer);
	free(call->ids);
	free(call);
}

void etsi014_destroy(struct etsi014 *client)
{
	const struct etsi014_answer canceled = {.err = -ECANCELED, .text = "the source was closed"};

	if (!client)
		return;
	if (client->http)
		http_client_destroy(client->http);
	while (client->calls)
		end_call(client->calls, &canceled);
	if (client->tls)
		tls_context_destroy(client->tls);
	free(client);
}

/* -------- answers -------- */

/** What an HTTP status other than 200 means for @kind. */
static int error_of(enum call_kind kind, int http)
{
	switch (http) {
	case 401:
	case 403:
		return -EACCES;
	case 400:
	case 404:
		return kind == CALL_DEC ? -ENOENT : -EPROTO;
	case 503:
		return -EAGAIN;
	}
	return http >= 500 ? -EREMOTEIO : -EPROTO;
}

/** Clause 6.5, with words for those that come without a body. */
static void describe(const struct call *call, int http, const uint8_t *body, size_t len, char *text)
{
	char message[200];

	etsi014_parse_error(body, len, message, sizeof(message));
	if (!message[0] && http == 401)
		snprintf(message, sizeof(message),
			 "it does not accept our certificate for this SAE ID");
	snprintf(text, TEXT_BYTES, "%s: %s: HTTP %d%s%s", call->client->name, CALL_NAME[call->kind],
		 http, message[0] ? ": " : "", message);
}

/** Brings the keys into the order of the call's IDs. -EPROTO: not the same set. */
static int match_ids(const struct call *call, const struct km_key *keys, size_t count,
		     struct km_key *ordered)
{
	if (count != call->number)
		return -EPROTO;
	for (size_t i = 0; i < count; i++) {
		size_t j = 0;

		while (j < count && memcmp(&call->ids[i], &keys[j].id, sizeof(call->ids[i])) != 0)
			j++;
		if (j == count)
			return -EPROTO;
		ordered[i] = keys[j];
	}
	return 0;
}

static void end_keys(struct call *call, const uint8_t *body, size_t len)
{
	struct etsi014_answer answer = {.http = 200};
	struct km_key *keys = secret_alloc(2 * call->number * sizeof(*keys));
	char text[TEXT_BYTES], what[160] = "out of locked memory";

	answer.err = -ENOMEM;
	if (keys)
		answer.err = etsi014_parse_keys(body, len, keys, call->number, &answer.count, what,
						sizeof(what));
	answer.keys = keys;
	if (!answer.err && call->kind == CALL_DEC) {
		answer.err = match_ids(call, keys, answer.count, keys + call->number);
		answer.keys = keys + call->number;
		snprintf(what, sizeof(what), "the keys are not those that were asked for");
	}
	if (!answer.err && answer.count == 0) {
		answer.err = -EAGAIN;
		snprintf(what, sizeof(what), "it has no keys now");
	}
	if (answer.err) {
		snprintf(text, sizeof(text), "%s: %s: %s", call->client->name,
			 CALL_NAME[call->kind], what);
		answer.text = text;
		answer.keys = NULL;
		answer.count = 0;
	}
	end_call(call, &answer);
	secret_free(keys);
}

static void end_status(struct call *call, const uint8_t *body, size_t len)
{
	struct etsi014_answer answer = {.http = 200};
	struct etsi014_status status;
	char text[TEXT_BYTES], what[160];

	answer.err = etsi014_parse_status(body, len, &status, what, sizeof(what));
	if (answer.err) {
		snprintf(text, sizeof(text), "%s: %s", call->client->name, what);
		answer.text = text;
	} else {
		answer.status = &status;
	}
	end_call(call, &answer);
}

static void on_answer(void *arg, int http, const uint8_t *body, size_t len, const char *reason)
{
	struct etsi014_answer answer = {0};
	struct call *call = arg;
	char text[TEXT_BYTES];

	if (http == 200) {
		if (call->kind == CALL_STATUS)
			end_status(call, body, len);
		else
			end_keys(call, body, len);
		return;
	}
	if (http < 0) {
		answer.err = http;
		snprintf(text, sizeof(text), "%s: %s", call->client->name,
			 reason ? reason : strerror(-http));
	} else {
		answer.err = error_of(call->kind, http);
		answer.http = http;
		describe(call, http, body, len, text);
	}
	answer.text = text;
	end_call(call, &answer);
}

/* -------- calls -------- */

static int start(struct etsi014 *client, enum call_kind kind, size_t number,
		 const struct km_key_id *ids, const char *body, size_t body_len, etsi014_fn done,
		 void *arg)
{
	char path[sizeof(client->peer_sae) + 40];
	struct call *call;
	int err;

	if (client->calls_count >= CALLS_MAX)
		return -EAGAIN;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->client = client;
	call->kind = kind;
	call->number = number;
	call->done = done;
	call->arg = arg;
	if (ids) {
		call->ids = reallocarray(NULL, number, sizeof(*ids));
		if (!call->ids) {
			free(call);
			return -ENOMEM;
		}
		memcpy(call->ids, ids, number * sizeof(*ids));
	}
	snprintf(path, sizeof(path), "/api/v1/keys/%s/%s", client->peer_sae, CALL_NAME[kind]);
	call->next = client->calls;
	client->calls = call;
	client->calls_count++;
	err = http_client_request(client->http, body ? "POST" : "GET", path, body, body_len,
				  on_answer, call);
	if (err) {
		client->calls = call->next;
		client->calls_count--;
		free(call->ids);
		free(call);
	}
	return err;
}

int etsi014_enc_keys(struct etsi014 *client, size_t number, etsi014_fn done, void *arg)
{
	char body[64];
	int len;

	if (number < 1 || number > ETSI014_KEYS_MAX)
		return -EINVAL;
	len = etsi014_write_key_request(number, body, sizeof(body));
	return start(client, CALL_ENC, number, NULL, body, (size_t)len, done, arg);
}

int etsi014_dec_keys(struct etsi014 *client, const struct km_key_id *ids, size_t count,
		     etsi014_fn done, void *arg)
{
	char body[ETSI014_KEY_IDS_SIZE(ETSI014_KEYS_MAX)];
	int len;

	if (count < 1 || count > ETSI014_KEYS_MAX)
		return -EINVAL;
	len = etsi014_write_key_ids(ids, count, body, sizeof(body));
	if (len < 0)
		return len;
	return start(client, CALL_DEC, count, ids, body, (size_t)len, done, arg);
}

int etsi014_get_status(struct etsi014 *client, etsi014_fn done, void *arg)
{
	return start(client, CALL_STATUS, 0, NULL, NULL, 0, done, arg);
}
