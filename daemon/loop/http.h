/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HTTP/1.1 over streams, parsed by llhttp, for the REST interfaces (ETSI GS
 * QKD 014 and others). Strict: no Transfer-Encoding, one Host, one
 * Content-Length, headers up to 8 KiB, bodies up to the limit given. Answers of
 * a server may be chunked: real key management entities send such ones.
 */
#ifndef LOOP_HTTP_H
#define LOOP_HTTP_H

#include "loop/stream.h"

/* -------- client: one persistent connection, requests in order -------- */

struct http_client;

/**
 * http_client_create - connects when the first request comes, and again after a loss
 * @tls: stays the caller's, must outlive the client
 * @expect: name in the server's certificate
 * @max_body: largest answer body, octets
 */
int http_client_create(struct loop *loop, struct tls_context *tls, const char *host, uint16_t port,
		       const char *expect, size_t max_body, unsigned int timeout_ms,
		       struct http_client **client);

/**
 * http_client_destroy - closes the connection and drops what is queued
 *
 * No request's done is called after this. It may be called from within one.
 */
void http_client_destroy(struct http_client *client);

/**
 * http_answer_fn - how a request ended
 * @status: HTTP status, or a negative errno if none came (-ETIMEDOUT, ...)
 * @body: valid during the call, then wiped; NULL if @status is negative
 * @reason: a sentence for people if @status is negative
 */
typedef void (*http_answer_fn)(void *arg, int status, const uint8_t *body, size_t len,
			       const char *reason);

/**
 * http_client_request - one request; queued behind the one under way
 * @method: "GET" or "POST"
 * @path: already URL-encoded
 * @body: NULL for none; copied, the copy wiped. Sent as application/json
 *
 * A request is sent once: after a lost connection it fails with -ECONNRESET
 * and is not repeated, because its keys may have been delivered.
 * @done is called once, never from within this call.
 * Return: 0, -EINVAL (@method, @path), -ENOBUFS (1024 wait already), -ENOMEM.
 */
int http_client_request(struct http_client *client, const char *method, const char *path,
			const void *body, size_t len, http_answer_fn done, void *arg);

/* -------- server -------- */

struct http_server;
struct http_exchange;

/**
 * struct http_request - valid until http_respond()
 * @method: "GET", "POST", ...
 * @path: decoded path without the query
 * @query: raw query, "" if none
 * @peer: the stream, for the caller's certificate; NULL once the caller has gone
 */
struct http_request {
	const char *method;
	const char *path;
	const char *query;
	const uint8_t *body;
	size_t body_len;
	struct stream *peer;
};

typedef void (*http_handler_fn)(struct http_exchange *exchange, const struct http_request *request,
				void *arg);

int http_server_create(struct loop *loop, struct tls_context *tls, const char *address,
		       uint16_t port, unsigned int max_connections, size_t max_body,
		       http_handler_fn handler, void *arg, struct http_server **server);

/** Closes all connections; not from within the handler. Exchanges that are not ended yet still must
 * be. */
void http_server_destroy(struct http_server *server);

/**
 * http_server_on_refused - hear of callers that failed at TLS
 * @refused: gets the server's arg and a sentence that names the caller and says
 *           why; nothing is told to anybody else. NULL: nobody hears
 */
void http_server_on_refused(struct http_server *server,
			    void (*refused)(void *arg, const char *reason));

/** The port it listens on: of use if 0, "any", was asked for. */
uint16_t http_server_port(const struct http_server *server);

/**
 * http_respond - answers, now or later; ends the exchange
 * @body: NULL for none; JSON; copied, the copy wiped
 *
 * If the caller has gone meanwhile, the answer is dropped. Every exchange must
 * be ended by this call.
 */
void http_respond(struct http_exchange *exchange, int status, const void *body, size_t len);

/**
 * http_query_get - decoded value of @name in a raw query
 * Return: length, -ENOENT, -EINVAL (bad encoding, or given twice), -ENOSPC.
 */
int http_query_get(const char *query, const char *name, char *value, size_t size);

#endif
