// SPDX-License-Identifier: GPL-2.0-or-later
#include "control.h"
#include "kme_json.h"
#include "loop/stream.h"
#include "say.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 4096
#define MAX_CLIENTS	16

struct control {
	struct link *link;
	struct faults *faults;
	struct stream_listener *listener;
};

/** struct client - one connection; @line gathers what came without a line end */
struct client {
	struct control *control;
	size_t len;
	char line[LINE_MAX_OCTETS];
};

/* -------- verbs: NULL, or what is wrong -------- */

static const char *do_cut(struct control *control, const json_t *request)
{
	link_cut(control->link, true);
	say("the fibre is cut: what is stored is still served, nothing is added");
	return NULL;
}

static const char *do_restore(struct control *control, const json_t *request)
{
	link_cut(control->link, false);
	say("the fibre is whole again");
	return NULL;
}

static const char *do_qber(struct control *control, const json_t *request)
{
	const json_t *value = json_object_get(request, "value");
	struct rate_result rate;

	if (value && !json_is_null(value) &&
	    (!json_is_number(value) || json_number_value(value) < 0 ||
	     json_number_value(value) > 0.5))
		return "value must be a number from 0 to 0.5, or null";
	if (!value)
		return "value is missing";
	link_force_qber(control->link, json_is_null(value) ? -1 : json_number_value(value));
	rate = link_report(control->link).rate;
	say("QBER %.4f%s", rate.qber,
	    rate.aborted ? ", above the threshold of 0.11: no keys are made" : "");
	return NULL;
}

/* An integer from @low to @high; false if it is none. */
static bool integer_within(const json_t *value, json_int_t low, json_int_t high)
{
	return json_is_integer(value) && json_integer_value(value) >= low &&
	       json_integer_value(value) <= high;
}

static const char *do_delay(struct control *control, const json_t *request)
{
	const json_t *ms = json_object_get(request, "ms");

	if (!integer_within(ms, 0, 3600000))
		return "ms must be an integer from 0 to 3600000";
	control->faults->delay_ms = (unsigned int)json_integer_value(ms);
	say("answers are delayed by %u ms", control->faults->delay_ms);
	return NULL;
}

static const char *do_error(struct control *control, const json_t *request)
{
	const json_t *code = json_object_get(request, "code");
	const json_t *count = json_object_get(request, "count");

	if (!integer_within(code, 400, 599) && !integer_within(code, 0, 0))
		return "code must be an HTTP status from 400 to 599, or 0 for none";
	if (count && !integer_within(count, 0, 1000000))
		return "count must be an integer from 0 to 1000000";
	control->faults->code = (int)json_integer_value(code);
	control->faults->left = (unsigned int)json_integer_value(count);
	if (!control->faults->code)
		say("answers are in order again");
	else if (control->faults->left)
		say("the next %u requests are answered by %d", control->faults->left,
		    control->faults->code);
	else
		say("all requests are answered by %d", control->faults->code);
	return NULL;
}

static const char *do_status(struct control *control, const json_t *request)
{
	return NULL; /* every answer has it */
}

static const struct {
	const char *verb;
	const char *(*run)(struct control *control, const json_t *request);
} verbs[] = {
	{"cut", do_cut},     {"restore", do_restore}, {"qber", do_qber},
	{"delay", do_delay}, {"error", do_error},     {"status", do_status},
};

static const char *run_verb(struct control *control, const json_t *request)
{
	const char *verb = json_string_value(json_object_get(request, "verb"));

	for (size_t i = 0; verb && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].verb, verb) == 0)
			return verbs[i].run(control, request);
	return "verb must be one of cut, restore, qber, delay, error, status";
}

/* -------- lines -------- */

static json_t *write_status(const struct control *control)
{
	struct link_report report = link_report(control->link);
	const struct link_settings *settings = link_settings(control->link);
	const struct faults *faults = control->faults;

	return json_pack("{s:b, s:b, s:s, s:f, s:f, s:b, s:f, s:f, s:b, s:i, s:i, s:i, s:i, s:I, "
			 "s:I, s:I, s:I, s:i, s:i, s:i, s:I}",
			 "ok", 1, "simulated", 1, "fibre", report.cut ? "cut" : "whole",
			 "distance_km", settings->physics.distance_km, "qber", report.rate.qber,
			 "qber_forced", report.qber_forced, "rate_per_pulse", report.rate.per_pulse,
			 "skr_bps", report.bits_per_s, "rate_override", report.rate_forced,
			 "key_size", (int)settings->key_bits, "stored_keys", (int)report.stored,
			 "max_keys", (int)settings->max_keys, "reserved_keys", (int)report.reserved,
			 "made_bits", (json_int_t)report.made_bits, "taken_keys",
			 (json_int_t)report.taken_keys, "collected_keys",
			 (json_int_t)report.collected_keys, "expired_keys",
			 (json_int_t)report.expired_keys, "delay_ms", (int)faults->delay_ms,
			 "error_code", faults->code, "error_left", (int)faults->left,
			 "errors_answered", (json_int_t)faults->injected);
}

/* Takes over @json. */
static void send_line(struct stream *stream, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_malloc_t allocate;
	json_free_t release;

	json_decref(json);
	if (!text || stream_write(stream, text, strlen(text)) || stream_write(stream, "\n", 1))
		stream_abort(stream);
	json_get_alloc_funcs(&allocate, &release);
	release(text);
}

static void handle_line(struct stream *stream, struct client *client)
{
	json_error_t error;
	json_t *request = json_loadb(client->line, client->len, JSON_REJECT_DUPLICATES, &error);
	const char *wrong = "the line is not a JSON object";

	if (json_is_object(request))
		wrong = run_verb(client->control, request);
	json_decref(request);
	if (wrong)
		send_line(stream, json_pack("{s:b, s:s}", "ok", 0, "message", wrong));
	else
		send_line(stream, write_status(client->control));
}

static void received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	struct client *client = arg;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n') {
			handle_line(stream, client);
			client->len = 0;
		} else if (client->len == sizeof(client->line)) {
			send_line(stream, json_pack("{s:b, s:s}", "ok", 0, "message",
						    "the line is longer than 4096 octets"));
			stream_close(stream);
			return;
		} else {
			client->line[client->len++] = (char)data[i];
		}
	}
}

static void opened(struct stream *stream, void *arg)
{
}

static void closed(struct stream *stream, void *arg, int err, const char *reason)
{
	free(arg);
}

static const struct stream_ops client_ops = {
	.opened = opened,
	.received = received,
	.closed = closed,
};

static void accepted(struct stream *stream, void *arg)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		stream_abort(stream);
		return;
	}
	client->control = arg;
	stream_set_owner(stream, &client_ops, client);
}

static const struct stream_listener_ops listener_ops = {.accepted = accepted};

int control_create(struct loop *loop, const char *path, struct link *link, struct faults *faults,
		   struct control **control)
{
	struct control *made = calloc(1, sizeof(*made));
	int rc;

	if (!made)
		return -ENOMEM;
	made->link = link;
	made->faults = faults;
	rc = stream_listen_unix(loop, path, 0600, getegid(), MAX_CLIENTS, &listener_ops, made,
				&made->listener);
	if (rc) {
		free(made);
		return rc;
	}
	*control = made;
	return 0;
}

void control_destroy(struct control *control)
{
	if (!control)
		return;
	stream_listener_close(control->listener);
	free(control);
}
