/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of a stream, for stream.c, connect.c, listener.c and unix.c. */
#ifndef LOOP_STREAM_INTERNAL_H
#define LOOP_STREAM_INTERNAL_H

#include "loop/internal.h"
#include "loop/out_queue.h"
#include "loop/stream.h"
#include "loop/tls.h"

#define STREAM_IN	 16384
#define STREAM_OUT_MAX	 (4 * 1024 * 1024)
#define STREAM_REASON	 1024
#define STREAM_FLUSH_MS	 10000 /* for a slow peer to take what waits when we close */
#define STREAM_LINGER_MS 2000  /* for the peer to close after us */

enum stream_state {
	STREAM_CONNECTING, /* looking up the name, connecting; or accepted and not begun */
	STREAM_SHAKING,	   /* TLS handshake */
	STREAM_OPEN,
	STREAM_FLUSHING,  /* ends when all is sent; input is dropped */
	STREAM_LINGERING, /* all is sent, our side is shut; waits for the peer's end */
	STREAM_ENDED,	  /* waits for its last operation, then closed() */
};

struct stream {
	struct loop *loop;
	struct loop_guest guest;
	enum stream_state state;
	int fd;
	struct tls *tls;
	const struct stream_ops *ops;
	void *arg;
	struct stream_listener *listener; /* where it was accepted, or NULL */
	/* Accepted, and not known yet: among the listener's newcomers, the oldest first. */
	struct stream *newer;
	struct stream **older;
	uint8_t source[16]; /* address, of IPv6 the /64: who has one has all of it */
	struct loop_op recv_op;
	struct loop_op send_op;
	struct loop_op connect_op;
	struct loop_timer timer; /* of connecting and handshake; later of the end */
	struct loop_task end_task;
	struct loop_task begin_task;
	unsigned int timeout_ms;
	struct out_queue out;
	bool paused;
	bool taking;	/* what was received is being handed over */
	bool ours;	/* we closed it: closed() gets no reason */
	int send_error; /* sending failed; the reason may still come in */
	int err;
	char reason[STREAM_REASON];
	char address[160];
	/* Connecting: see connect.c. */
	struct stream_target *target;
	uint8_t in[STREAM_IN];
};

/** A stream with nothing in it yet; @fd -1 if it has none. */
struct stream *stream_new(struct loop *loop, int fd);

/** Ends a stream before anybody has heard of it: no closed(). */
void stream_discard(struct stream *stream);

/** The socket is connected: starts the handshake, or opens. */
void stream_begin(struct stream *stream);

/** The same from the loop, so that opened() does not come within the owner's call. */
void stream_begin_later(struct stream *stream);

/** (Re)arms the stream's timer by its timeout. */
int stream_start_timer(struct stream *stream);

/** The end, at once; what waits is dropped. The first cause counts. */
void __attribute__((format(printf, 3, 4)))
stream_end(struct stream *stream, int err, const char *format, ...);

/** Sets TCP options of a new socket: no delay, and notice of dead peers. */
void stream_set_tcp_options(int fd);

/** A stream is open, or at its end: it is no newcomer any more. */
void stream_listener_settle(struct stream *stream);

/** A stream goes: its place among the listener's max_streams is free. */
void stream_listener_release(struct stream_listener *listener);

/** connect.c: drops what is left of connecting. */
void stream_target_free(struct stream *stream);
void stream_connect_timed_out(struct stream *stream);

#endif
