// SPDX-License-Identifier: GPL-2.0-or-later
#include "kme.h"
#include "kme_json.h"
#include "say.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define API		"/api/v1/keys/"
#define MAX_CONNECTIONS 64
#define MAX_BODY	65536

struct kme {
	struct loop *loop;
	enum side side;
	const struct kme_settings *settings;
	const struct kme_settings *peer;
	struct link *link;
	struct faults *faults;
	struct tls_context *tls;
	struct http_server *server;
	struct late *late;
};

/** struct late - an answer that is delayed on purpose */
struct late {
	struct kme *kme;
	struct http_exchange *exchange;
	const struct http_request *request;
	struct loop_timer timer;
	struct late *next;
	struct late **link;
};

/* -------- answers -------- */

/* Takes over @json. */
static void answer_json(struct http_exchange *exchange, int status, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_malloc_t allocate;
	json_free_t release;

	json_decref(json);
	if (!text) {
		http_respond(exchange, 503, NULL, 0);
		return;
	}
	http_respond(exchange, status, text, strlen(text));
	json_get_alloc_funcs(&allocate, &release);
	release(text);
}

static void answer_error(struct http_exchange *exchange, int status, const char *message)
{
	answer_json(exchange, status, kme_write_error(message));
}

/* -------- the three calls -------- */

static void get_status(struct kme *kme, struct http_exchange *exchange)
{
	const struct link_settings *settings = link_settings(kme->link);
	json_t *extension = kme_write_link(kme->link);

	answer_json(exchange, 200,
		    json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o}",
			      "source_KME_ID", kme->settings->name, "target_KME_ID",
			      kme->peer->name, "master_SAE_ID", kme->settings->sae, "slave_SAE_ID",
			      kme->peer->sae, "key_size", (int)settings->key_bits,
			      "stored_key_count", (int)link_report(kme->link).stored,
			      "max_key_count", (int)settings->max_keys, "max_key_per_request",
			      LINK_REQUEST_MAX, "max_key_size", KME_MAX_KEY_BITS, "min_key_size",
			      KME_MIN_KEY_BITS, "max_SAE_ID_count", 0, "status_extension",
			      extension));
}

static void answer_keys(struct http_exchange *exchange, struct sim_key *keys, unsigned int count)
{
	json_t *json = kme_write_keys(keys, count);

	OPENSSL_cleanse(keys, count * sizeof(*keys));
	answer_json(exchange, 200, json);
}

static void get_key(struct kme *kme, struct http_exchange *exchange,
		    const struct key_request *request)
{
	unsigned int number = request->number ? request->number : 1;
	unsigned int bits = request->bits ? request->bits : link_settings(kme->link)->key_bits;
	struct sim_key keys[LINK_REQUEST_MAX];
	int rc = link_take(kme->link, kme->side, number, bits / 8, keys);

	if (!rc)
		answer_keys(exchange, keys, number);
	else if (rc == -EAGAIN)
		answer_error(exchange, 503, "not enough keys are stored: try again later");
	else if (rc == -ENOSPC)
		answer_error(exchange, 503, "too many keys wait for their slave SAE");
	else
		answer_error(exchange, 503, "internal error");
}

static void get_key_with_ids(struct kme *kme, struct http_exchange *exchange,
			     const struct key_ids *ids)
{
	struct sim_key keys[LINK_REQUEST_MAX];
	int rc = link_collect(kme->link, kme->side, ids->id, ids->count, keys);

	if (!rc)
		answer_keys(exchange, keys, ids->count);
	else if (rc == -EACCES)
		http_respond(exchange, 401, NULL, 0);
	else
		answer_error(exchange, 400, "one or more keys specified are not found on KME");
}

/* -------- routing -------- */

static void route_enc_keys(struct kme *kme, struct http_exchange *exchange,
			   const struct http_request *request, bool post)
{
	struct key_request wanted;
	const char *wrong;

	if (post && *request->query)
		wrong = "POST enc_keys takes its parameters in the body";
	else if (post)
		wrong = kme_read_key_request(request->body, request->body_len, &wanted);
	else
		wrong = kme_read_key_query(request->query, &wanted);
	if (wrong)
		answer_error(exchange, 400, wrong);
	else
		get_key(kme, exchange, &wanted);
}

static void route_dec_keys(struct kme *kme, struct http_exchange *exchange,
			   const struct http_request *request, bool post)
{
	struct key_ids ids;
	const char *wrong;

	if (post && *request->query)
		wrong = "POST dec_keys takes its parameters in the body";
	else if (post)
		wrong = kme_read_key_ids(request->body, request->body_len, &ids);
	else
		wrong = kme_read_key_id_query(request->query, &ids);
	if (wrong)
		answer_error(exchange, 400, wrong);
	else
		get_key_with_ids(kme, exchange, &ids);
}

/* Whether the SAE ID in the path is the one at the other end; answers if not. */
static bool names_peer(struct kme *kme, struct http_exchange *exchange, const char *sae, size_t len)
{
	if (len == strlen(kme->peer->sae) && memcmp(sae, kme->peer->sae, len) == 0)
		return true;
	if (len == strlen(kme->settings->sae) && memcmp(sae, kme->settings->sae, len) == 0)
		answer_error(exchange, 400, "master SAE and slave SAE shall not be the same");
	else if (strspn(sae, " ") >= len)
		answer_error(exchange, 400, "the SAE ID in the path is blank");
	else
		answer_error(exchange, 400, "the SAE ID in the path is not known to this KME");
	return false;
}

static void route(struct kme *kme, struct http_exchange *exchange,
		  const struct http_request *request)
{
	const char *sae = request->path + strlen(API);
	const char *call = strrchr(request->path, '/') + 1;
	bool get = strcmp(request->method, "GET") == 0;
	bool post = strcmp(request->method, "POST") == 0;
	bool status = strcmp(call, "status") == 0;
	bool enc = strcmp(call, "enc_keys") == 0;
	bool dec = strcmp(call, "dec_keys") == 0;

	if (strncmp(request->path, API, strlen(API)) != 0 || call <= sae ||
	    memchr(sae, '/', (size_t)(call - 1 - sae)) || (!status && !enc && !dec))
		answer_error(exchange, 404, "no such call: see ETSI GS QKD 014, clause 5");
	else if (!get && !(post && !status))
		answer_error(exchange, 405, "this call does not know the method");
	else if (!names_peer(kme, exchange, sae, (size_t)(call - 1 - sae)))
		return;
	else if (enc)
		route_enc_keys(kme, exchange, request, post);
	else if (dec)
		route_dec_keys(kme, exchange, request, post);
	else if (*request->query || request->body_len)
		answer_error(exchange, 400, "status takes no parameters");
	else
		get_status(kme, exchange);
}

static void serve(struct kme *kme, struct http_exchange *exchange,
		  const struct http_request *request)
{
	int code = faults_next(kme->faults);

	if (code == 401)
		http_respond(exchange, 401, NULL, 0);
	else if (code)
		answer_error(exchange, code, "simulated error");
	/* Clause 5.1: who is not the SAE that it should be is told nothing. */
	else if (!request->peer || !stream_peer_has_name(request->peer, kme->settings->sae))
		http_respond(exchange, 401, NULL, 0);
	else
		route(kme, exchange, request);
}

/* -------- delay -------- */

static void late_free(struct late *late)
{
	loop_timer_cancel(late->kme->loop, &late->timer);
	*late->link = late->next;
	if (late->next)
		late->next->link = late->link;
	free(late);
}

static void late_fire(void *arg)
{
	struct late *late = arg;
	struct http_exchange *exchange = late->exchange;
	const struct http_request *request = late->request;
	struct kme *kme = late->kme;

	late_free(late);
	serve(kme, exchange, request);
}

static void serve_late(struct kme *kme, struct http_exchange *exchange,
		       const struct http_request *request)
{
	struct late *late = calloc(1, sizeof(*late));

	if (!late || loop_timer_set(kme->loop, &late->timer, kme->faults->delay_ms)) {
		free(late);
		serve(kme, exchange, request);
		return;
	}
	late->kme = kme;
	late->exchange = exchange;
	late->request = request;
	late->timer.fire = late_fire;
	late->timer.arg = late;
	late->next = kme->late;
	late->link = &kme->late;
	if (late->next)
		late->next->link = &late->next;
	kme->late = late;
}

static void handle(struct http_exchange *exchange, const struct http_request *request, void *arg)
{
	struct kme *kme = arg;

	if (kme->faults->delay_ms)
		serve_late(kme, exchange, request);
	else
		serve(kme, exchange, request);
}

static void refused(void *arg, const char *reason)
{
	const struct kme *kme = arg;

	say("KME %s: %s", kme->settings->name, reason);
}

/* -------- the device -------- */

int kme_create(struct loop *loop, enum side side, const struct kme_settings *settings,
	       const struct kme_settings *peer, struct link *link, struct faults *faults,
	       struct kme **kme, char *error, size_t error_len)
{
	struct kme *made = calloc(1, sizeof(*made));
	int rc;

	if (!made) {
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	*made = (struct kme){
		.loop = loop,
		.side = side,
		.settings = settings,
		.peer = peer,
		.link = link,
		.faults = faults,
	};
	rc = tls_context_create(&settings->tls, TLS_1_2_OR_NEWER, NULL, &made->tls, error,
				error_len);
	if (rc)
		goto free_kme;
	rc = http_server_create(loop, made->tls, settings->address, settings->port, MAX_CONNECTIONS,
				MAX_BODY, handle, made, &made->server);
	if (rc) {
		snprintf(error, error_len, "cannot listen on %s port %u: %s", settings->address,
			 settings->port, strerror(-rc));
		goto destroy_tls;
	}
	http_server_on_refused(made->server, refused);
	*kme = made;
	return 0;
destroy_tls:
	tls_context_destroy(made->tls);
free_kme:
	free(made);
	return rc;
}

void kme_destroy(struct kme *kme)
{
	if (!kme)
		return;
	http_server_destroy(kme->server);
	while (kme->late) {
		struct http_exchange *exchange = kme->late->exchange;

		late_free(kme->late);
		http_respond(exchange, 503, NULL, 0);
	}
	tls_context_destroy(kme->tls);
	free(kme);
}

uint16_t kme_port(const struct kme *kme)
{
	return http_server_port(kme->server);
}
