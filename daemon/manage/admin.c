// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The connections of the admin socket. Callers are local and known, but not
 * trusted to read what they asked for: an answer goes out in portions, and a
 * follower of events that falls behind is dropped.
 */
#include "log.h"
#include "manage/admin_parts.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_MAX 256

/* Whether the user database puts @uid into @group. */
static bool user_in_group(uid_t uid, gid_t primary, gid_t group)
{
	char buf[4096];
	struct passwd entry;
	struct passwd *found = NULL;
	gid_t groups[GROUPS_MAX];
	int count = GROUPS_MAX;

	if (primary == group)
		return true;
	if (getpwuid_r(uid, &entry, buf, sizeof(buf), &found) || !found)
		return false;
	if (getgrouplist(entry.pw_name, primary, groups, &count) < 0)
		count = GROUPS_MAX; /* filled that far */
	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static bool is_allowed(const struct admin *admin, const struct stream *stream)
{
	uid_t uid;
	gid_t gid;
	pid_t pid;

	if (stream_peer_credentials(stream, &uid, &gid, &pid))
		return false;
	if (uid == 0 || uid == geteuid())
		return true;
	if (admin->group != (gid_t)-1 && user_in_group(uid, gid, admin->group))
		return true;
	log_warn("admin socket: user %u (process %d) is not allowed; see control.group", uid, pid);
	return false;
}

static void unlink_conn(struct admin_conn *conn)
{
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
}

static void free_conn(struct admin_conn *conn)
{
	if (conn->call)
		admin_call_orphan(conn->call);
	admin_text_free(&conn->out);
	free(conn->line);
	free(conn);
}

/* Gives the stream the next portion of the answer. Return: whether it is all out. */
static bool send_portion(struct admin_conn *conn)
{
	size_t len = conn->out.len - conn->sent;

	if (len > ADMIN_PORTION)
		len = ADMIN_PORTION;
	if (len && stream_write(conn->stream, conn->out.data + conn->sent, len)) {
		stream_abort(conn->stream);
		return false;
	}
	conn->sent += len;
	if (conn->sent < conn->out.len)
		return false;
	admin_text_free(&conn->out);
	conn->sent = 0;
	if (conn->closing)
		stream_close(conn->stream);
	return true;
}

static bool is_idle(const struct admin_conn *conn)
{
	return !conn->call && !conn->out.len && !conn->closing;
}

/* Starts requests that have come in, one after the other. */
static void next_requests(struct admin_conn *conn)
{
	while (is_idle(conn)) {
		char *end = conn->used ? memchr(conn->line, '\n', conn->used) : NULL;
		char *line = conn->line;
		size_t rest;

		if (!end)
			return;
		/* the call may end at once and look at conn->line again: take the line out first */
		rest = conn->used - (size_t)(end + 1 - conn->line);
		conn->line = NULL;
		conn->used = 0;
		if (rest) {
			conn->line = malloc(ADMIN_LINE_MAX);
			if (!conn->line) {
				free(line);
				stream_abort(conn->stream);
				conn->closing = true;
				return;
			}
			memcpy(conn->line, end + 1, rest);
			conn->used = rest;
		}
		admin_call_start(conn, line, (size_t)(end - line));
		free(line);
	}
}

/* Input waits in the kernel while an answer is made: a caller cannot flood us. */
static void let_read(struct admin_conn *conn)
{
	stream_pause(conn->stream, !is_idle(conn));
}

void admin_conn_answer(struct admin_conn *conn, struct admin_text *text)
{
	conn->out = *text;
	memset(text, 0, sizeof(*text));
	conn->sent = 0;
	if (conn->out.failed || !conn->out.len) {
		stream_abort(conn->stream);
		conn->closing = true;
		return;
	}
	send_portion(conn);
}

static void refuse_long_line(struct admin_conn *conn)
{
	static const char answer[] =
		"{\"schema\":\"" ADMIN_SCHEMA "\",\"ok\":false,\"error\":{\"code\":\"bad_request\","
		"\"message\":\"a request may have at most 64 KiB\"}}\n";

	conn->closing = true;
	if (!conn->call && !conn->out.len)
		stream_write(conn->stream, answer, sizeof(answer) - 1);
	stream_close(conn->stream);
}

static void opened(struct stream *stream, void *arg)
{
}

static void received(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
	struct admin_conn *conn = arg;

	while (len && !conn->closing) {
		size_t part = ADMIN_LINE_MAX - conn->used;

		if (!conn->line)
			conn->line = malloc(ADMIN_LINE_MAX);
		if (!conn->line || !part) {
			refuse_long_line(conn);
			return;
		}
		part = part < len ? part : len;
		memcpy(conn->line + conn->used, data, part);
		conn->used += part;
		data += part;
		len -= part;
		next_requests(conn);
	}
	if (conn->used == ADMIN_LINE_MAX && !conn->closing)
		refuse_long_line(conn);
	let_read(conn);
}

static void drained(struct stream *stream, void *arg)
{
	struct admin_conn *conn = arg;

	if (!conn->out.len || send_portion(conn))
		next_requests(conn);
	let_read(conn);
}

static void closed(struct stream *stream, void *arg, int err, const char *reason)
{
	unlink_conn(arg);
	free_conn(arg);
}

static void accepted(struct stream *stream, void *arg)
{
	static const struct stream_ops ops = {
		.opened = opened,
		.received = received,
		.drained = drained,
		.closed = closed,
	};
	struct admin *admin = arg;
	struct admin_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		stream_abort(stream);
		return;
	}
	conn->admin = admin;
	conn->stream = stream;
	conn->allowed = is_allowed(admin, stream);
	conn->link = &admin->conns;
	conn->next = admin->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	admin->conns = conn;
	stream_set_owner(stream, &ops, conn);
}

static int find_group(struct admin *admin, const struct config_control *control, char *error,
		      size_t error_len)
{
	char buf[8192];
	struct group entry;
	struct group *found = NULL;
	int err;

	admin->group = (gid_t)-1;
	if (!control->group)
		return 0;
	err = getgrnam_r(control->group, &entry, buf, sizeof(buf), &found);
	if (!found) {
		snprintf(error, error_len,
			 "control.group: there is no group %s on this host%s%s; make it "
			 "(groupadd --system %s) or remove the field",
			 control->group, err ? ": " : "", err ? strerror(err) : "", control->group);
		return -ENOENT;
	}
	admin->group = found->gr_gid;
	return 0;
}

static void listen_error(const struct config_control *control, int err, char *error,
			 size_t error_len)
{
	const char *hint = "";

	if (err == -EADDRINUSE)
		hint = "; another qkdkeyd may be running";
	else if (err == -EPERM)
		hint = "; our user must be a member of control.group";
	else if (err == -ENOENT || err == -EACCES)
		hint = "; make its folder, writable for our user";
	snprintf(error, error_len, "control.socket: cannot listen at %s: %s%s", control->socket,
		 strerror(-err), hint);
}

int admin_create(struct node *node, struct admin **admin, char *error, size_t error_len)
{
	static const struct stream_listener_ops ops = {.accepted = accepted};
	const struct config_control *control = &node->config->control;
	struct admin *made = calloc(1, sizeof(*made));
	int err;

	if (!made) {
		snprintf(error, error_len, "out of memory");
		return -ENOMEM;
	}
	made->node = node;
	err = find_group(made, control, error, error_len);
	if (err)
		goto fail;
	err = stream_listen_unix(node->loop, control->socket, control->group ? 0660 : 0600,
				 made->group, ADMIN_CONNECTIONS, &ops, made, &made->listener);
	if (err) {
		listen_error(control, err, error, error_len);
		goto fail;
	}
	*admin = made;
	return 0;
fail:
	free(made);
	return err;
}

/*
 * The streams' closed() would come after us: they are handed to an owner that
 * needs nothing of ours.
 */
static void forgotten(struct stream *stream, void *arg, int err, const char *reason)
{
}

static void ignored(struct stream *stream, void *arg, const uint8_t *data, size_t len)
{
}

void admin_destroy(struct admin *admin)
{
	static const struct stream_ops ops = {
		.opened = opened,
		.received = ignored,
		.closed = forgotten,
	};

	struct admin_conn *conn, *next;

	if (!admin)
		return;
	stream_listener_close(admin->listener);
	for (conn = admin->conns; conn; conn = next) {
		next = conn->next;
		stream_set_owner(conn->stream, &ops, NULL);
		stream_abort(conn->stream);
		free_conn(conn);
	}
	free(admin);
}

static void send_event(struct admin_conn *conn, const char *line, size_t len)
{
	/* an answer is going out in portions: a line between them would break it */
	if (conn->out.len || conn->closing)
		return;
	if (stream_pending(conn->stream) > ADMIN_BEHIND_MAX)
		log_warn("admin socket: a follower of events does not read; it is dropped");
	else if (!stream_write(conn->stream, line, len))
		return;
	conn->closing = true;
	stream_abort(conn->stream);
}

void admin_event(struct admin *admin, const struct channel_event *event)
{
	struct admin_conn *conn = admin->conns;
	char *line = NULL;
	size_t len = 0;

	while (conn && !conn->follows)
		conn = conn->next;
	if (conn) {
		json_t *view = view_event(admin->node, event);

		line = view ? json_dumps(view, JSON_COMPACT) : NULL;
		json_decref(view);
		len = line ? strlen(line) : 0;
	}
	if (!line)
		return;
	line[len++] = '\n'; /* in the place of the NUL */
	for (; conn; conn = conn->next)
		if (conn->follows)
			send_event(conn, line, len);
	free(line);
}
