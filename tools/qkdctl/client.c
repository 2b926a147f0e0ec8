// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's admin socket, from the caller's end: docs/admin-protocol.md. */
#include "qkdctl.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (128UL << 20)

struct client {
	const struct options *options;
	int fd;
	long long deadline_ms;
	char *buf;
	size_t used;
	size_t room;
	size_t searched; /* no line end before it */
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int timed_out(const struct client *client)
{
	fprintf(stderr,
		"qkdctl: no answer from %s within %g s; try --timeout, or look at the daemon's "
		"log: journalctl -u qkdkeyd\n",
		client->options->socket, client->options->timeout);
	return EXIT_TIMEOUT;
}

static int lost(const struct client *client, int err)
{
	fprintf(stderr, "qkdctl: the connection to %s broke: %s\n", client->options->socket,
		strerror(err));
	return EXIT_UNREACHABLE;
}

/* Waits until the socket is ready for @events. */
static int wait_for(struct client *client, short events, bool forever)
{
	struct pollfd poll_fd = {.fd = client->fd, .events = events};

	for (;;) {
		long long left = client->deadline_ms - now_ms();
		int n = poll(&poll_fd, 1, forever ? -1 : left > 0 ? (int)left : 0);

		if (n > 0)
			return EXIT_DONE;
		if (!n)
			return timed_out(client);
		if (errno != EINTR)
			return lost(client, errno);
	}
}

static int cannot_connect(const char *path, int err)
{
	if (err == EACCES || err == EPERM) {
		fprintf(stderr,
			"qkdctl: no permission for %s; use sudo, or join the group that "
			"control.group names in the configuration\n",
			path);
		return EXIT_PERMISSION;
	}
	fprintf(stderr,
		"qkdctl: qkdkeyd does not answer at %s (%s); is it running (systemctl status "
		"qkdkeyd), or is its socket elsewhere (--socket)?\n",
		path, strerror(err));
	return EXIT_UNREACHABLE;
}

static int connect_socket(struct client *client)
{
	const char *path = client->options->socket;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr,
			"qkdctl: --socket %.40s...: a socket's path has at most %zu octets\n", path,
			sizeof(address.sun_path) - 1);
		return EXIT_USAGE;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		return cannot_connect(path, errno);
	/* EAGAIN: the daemon's queue is full */
	while (connect(client->fd, (struct sockaddr *)&address, sizeof(address))) {
		if (errno != EAGAIN && errno != EINTR)
			return cannot_connect(path, errno);
		if (now_ms() >= client->deadline_ms)
			return timed_out(client);
		poll(NULL, 0, 20);
	}
	return EXIT_DONE;
}

int client_open(const struct options *options, struct client **client)
{
	struct client *c = calloc(1, sizeof(*c));
	int code;

	if (!c)
		return EXIT_FAILED;
	c->options = options;
	c->fd = -1;
	c->deadline_ms = now_ms() + (long long)(options->timeout * 1000);
	code = connect_socket(c);
	if (code != EXIT_DONE) {
		client_close(c);
		return code;
	}
	*client = c;
	return EXIT_DONE;
}

void client_close(struct client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	free(client->buf);
	free(client);
}

static int send_all(struct client *client, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			int code = wait_for(client, POLLOUT, false);

			if (code != EXIT_DONE)
				return code;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return EXIT_DONE; /* what it said before it closed tells why */
		} else if (errno != EINTR) {
			return lost(client, errno);
		}
	}
	return EXIT_DONE;
}

int client_send(struct client *client, const char *wire, json_t *args)
{
	json_t *request =
		json_pack("{s:s, s:s, s:O*}", "schema", QKDCTL_SCHEMA, "verb", wire, "args", args);
	char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	int code;

	json_decref(request);
	if (!line) {
		fprintf(stderr, "qkdctl: out of memory\n");
		return EXIT_FAILED;
	}
	code = send_all(client, line, strlen(line));
	if (code == EXIT_DONE)
		code = send_all(client, "\n", 1);
	free(line);
	return code;
}

static int grow(struct client *client)
{
	size_t room = client->room ? client->room * 2 : 65536;
	char *buf = room > ANSWER_MAX ? NULL : realloc(client->buf, room);

	if (!buf) {
		fprintf(stderr, "qkdctl: the answer is too large\n");
		return EXIT_FAILED;
	}
	client->buf = buf;
	client->room = room;
	return EXIT_DONE;
}

/* Takes the first line off the buffer. */
static int take_line(struct client *client, size_t len, json_t **answer)
{
	json_error_t error;

	*answer = json_loadb(client->buf, len, JSON_REJECT_DUPLICATES, &error);
	client->used -= len + 1;
	memmove(client->buf, client->buf + len + 1, client->used);
	client->searched = 0;
	if (*answer)
		return EXIT_DONE;
	fprintf(stderr, "qkdctl: %s answers what is not JSON (%s); is that qkdkeyd's socket?\n",
		client->options->socket, error.text);
	return EXIT_FAILED;
}

int client_receive(struct client *client, bool wait, json_t **answer)
{
	*answer = NULL;
	for (;;) {
		char *end = client->used > client->searched
				    ? memchr(client->buf + client->searched, '\n',
					     client->used - client->searched)
				    : NULL;
		int code = EXIT_DONE;
		ssize_t n;

		if (end)
			return take_line(client, (size_t)(end - client->buf), answer);
		client->searched = client->used;
		if (client->used == client->room)
			code = grow(client);
		if (code == EXIT_DONE)
			code = wait_for(client, POLLIN, wait);
		if (code != EXIT_DONE)
			return code;
		n = recv(client->fd, client->buf + client->used, client->room - client->used, 0);
		if (!n)
			return EXIT_DONE;
		if (n > 0)
			client->used += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			return lost(client, errno);
	}
}

static enum qkdctl_exit exit_of(const char *code)
{
	static const struct {
		const char *code;
		enum qkdctl_exit exit;
	} exits[] = {
		{"bad_request", EXIT_USAGE},	    {"no_such_verb", EXIT_USAGE},
		{"no_such_object", EXIT_NO_OBJECT}, {"permission", EXIT_PERMISSION},
		{"timeout", EXIT_TIMEOUT},
	};

	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		if (!strcmp(code, exits[i].code))
			return exits[i].exit;
	return EXIT_FAILED;
}

static void print_clean(const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stderr);
}

int client_error(const struct options *options, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	const json_t *details = json_object_get(error, "details");
	const json_t *detail;
	size_t i;

	if (json_is_true(json_object_get(answer, "ok")))
		return EXIT_DONE;
	if (options->output == OUTPUT_JSON || options->output == OUTPUT_JSONL) {
		json_dumpf(answer, stdout,
			   options->output == OUTPUT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
		putchar('\n');
	}
	json_array_foreach(details, i, detail) {
		print_clean(json_is_string(detail) ? json_string_value(detail) : "?");
		fputc('\n', stderr);
	}
	fputs("qkdctl: ", stderr);
	print_clean(message ? message : "the daemon refused, and did not say why");
	fputc('\n', stderr);
	return exit_of(code ? code : "");
}

int client_ask(const struct options *options, const char *wire, json_t *args, json_t **data)
{
	struct client *client;
	json_t *answer = NULL;
	int code;

	*data = NULL;
	code = client_open(options, &client);
	if (code != EXIT_DONE)
		return code;
	code = client_send(client, wire, args);
	if (code == EXIT_DONE)
		code = client_receive(client, false, &answer);
	if (code == EXIT_DONE && !answer)
		code = lost(client, ECONNRESET);
	if (code == EXIT_DONE)
		code = client_error(options, answer);
	if (code == EXIT_DONE)
		*data = json_incref(json_object_get(answer, "data"));
	json_decref(answer);
	client_close(client);
	return code;
}
