/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ABI of /dev/qkd: how a key manager feeds QKD keys to the kernel.
 *
 * This is the unp-QKDNp interface of draft ITU-T Y.QKDN_BM on one machine: a
 * QKDN provider's key manager (KM) on the user side of the device, the user
 * network provider's IPsec and MACsec links on the kernel side.
 *
 * A channel is one protected path between two sites. It consumes one QKD key
 * per epoch (0, 1, 2, ...). For each epoch the module builds two security
 * associations (SAs), one per direction, with different keys:
 *
 *   KEY_PUT     inbound SA installed at once; outbound SA built, not in use
 *   WATERMARK   the peer says which of its inbound SAs stand
 *   (trigger)   outbound moves to the next ready epoch that the peer holds: on
 *               time, or on packets or octets sent, with no way through user space
 *   grace time  old SAs of both directions are removed
 *
 * How to talk to it
 * -----------------
 * Commands go through io_uring, IORING_OP_URING_CMD, in the network namespace
 * in which /dev/qkd was opened. The opener, and who gives a command, needs
 * CAP_NET_ADMIN there; for all commands on a MACsec channel but CHANNEL_LIST in
 * the initial user namespace, as the macsec driver wants: else a record's status
 * is -EPERM, whatever the command. At most 64 files are open in a namespace; the
 * next one is refused with -EMFILE.
 *
 *  - sqe->cmd_op is a QKD_CMD_* number. Its _IOWR() size is the size of one
 *    record; the module refuses any other number with -ENOTTY.
 *  - sqe->cmd holds one struct qkd_cmd. It names a run of records in a buffer
 *    registered with the ring; sqe->uring_cmd_flags has IORING_URING_CMD_FIXED
 *    and sqe->buf_index is the buffer's index.
 *  - Commands in flight together run in any order, and at the same time. Who
 *    needs an order (KEY_PUT of one epoch before the next, DELETE before ADD)
 *    puts the records into one run, which is done from first to last, links
 *    the commands (IOSQE_IO_LINK), or waits for each.
 *  - The module copies each record once, checks the copy, acts, and writes the
 *    record back with its status. One bad record does not stop the others.
 *  - cqe->res is the number of records whose status is 0 (for the LIST
 *    commands: the number of records filled), or a negative errno if the
 *    batch as a whole was refused; then no record was touched:
 *      -EPROTO     the first command on this file was not QKD_CMD_HELLO
 *      -ENOTTY     unknown command number, or another record size
 *      -EINVAL     count is 0, addr is not 8-aligned, flags are not zero, or
 *                  IORING_URING_CMD_FIXED is missing
 *      -E2BIG      count is larger than qkd_hello.max_batch
 *      -EFAULT     the run is not inside the registered buffer
 *      -EPERM      no CAP_NET_ADMIN
 *
 * Every reserved field must be zero, every undefined flag bit too: otherwise
 * the record's status is -EINVAL. All integers are in host byte order unless
 * a field says otherwise.
 *
 * Events are read from the device (read(2), poll(2), IORING_OP_READ): whole
 * struct qkd_event records, oldest first.
 */
#ifndef _UAPI_LINUX_QKD_H
#define _UAPI_LINUX_QKD_H

#include <linux/ioctl.h>
#include <linux/types.h>

/** Version of this ABI. Additive changes raise features, not the version. */
#define QKD_ABI_VERSION 1

#define QKD_KEY_BYTES	   32 /* AES-256 and ChaCha20 key, octets */
#define QKD_SALT_BYTES	   12 /* room for the largest salt, octets (XPN) */
#define QKD_ESP_SALT_BYTES 4  /* RFC 4106, RFC 7634: first octets of salt[] */
#define QKD_KEY_ID_BYTES   16 /* UUID of the QKD key, network order */
#define QKD_NAME_BYTES	   32 /* channel name, NUL-terminated and padded */
#define QKD_ADDR_BYTES	   16 /* IPv6 address; IPv4 in the first 4 octets */

/**
 * struct qkd_cmd - payload of every command (16 octets, fits a plain SQE)
 * @addr: address of the first record; lies in the registered buffer, 8-aligned
 * @count: number of consecutive records, 1 to qkd_hello.max_batch
 * @flags: must be 0
 */
struct qkd_cmd {
	__aligned_u64 addr;
	__u32 count;
	__u32 flags;
};

/** What the running module can do; see struct qkd_hello. */
#define QKD_FEATURE_ESP	       (1ULL << 0) /* ESP, AES-256-GCM */
#define QKD_FEATURE_ESP_CHACHA (1ULL << 1) /* ESP, ChaCha20-Poly1305 */
#define QKD_FEATURE_MACSEC     (1ULL << 2) /* MACsec, GCM-AES-256 */
#define QKD_FEATURE_MACSEC_XPN (1ULL << 3) /* MACsec, GCM-AES-XPN-256 */
#define QKD_FEATURE_LIMITS     (1ULL << 4) /* qkd_channel.jitter_ms, soft_*, hard_* */
#define QKD_FEATURE_QUEUE      (1ULL << 5) /* MACsec: QKD_SA_QUEUED, lookahead above 2 */

/**
 * struct qkd_hello - negotiation, the first command on every open file
 * @status: out: 0, -EPROTONOSUPPORT (the module speaks another @abi; it writes
 *          its own there), -EOPNOTSUPP (a wanted feature is missing) or -EINVAL
 * @abi: in: QKD_ABI_VERSION of the caller; out: of the module
 * @features: in: QKD_FEATURE_* that the caller cannot do without; out: all
 *            that this module has on this kernel
 * @max_batch: out: largest qkd_cmd.count
 * @max_channels: out: most channels in one network namespace
 * @max_lookahead: out: largest qkd_channel.lookahead for ESP
 * @max_lookahead_macsec: out: largest qkd_channel.lookahead for MACsec
 * @reserved: must be 0
 */
struct qkd_hello {
	__s32 status;
	__u32 abi;
	__aligned_u64 features;
	__u32 max_batch;
	__u32 max_channels;
	__u32 max_lookahead;
	__u32 max_lookahead_macsec;
	__aligned_u64 reserved[4];
};

/** What a channel protects: qkd_channel.kind */
enum qkd_kind {
	QKD_KIND_ESP_TUNNEL = 1,    /* RFC 4303 tunnel mode */
	QKD_KIND_ESP_TRANSPORT = 2, /* RFC 4303 transport mode */
	QKD_KIND_MACSEC = 3,	    /* IEEE 802.1AE on an existing macsec device */
};

/** qkd_channel.cipher; each belongs to ESP or to MACsec */
enum qkd_cipher {
	QKD_CIPHER_AES_256_GCM = 1,	  /* ESP: RFC 4106, 16-octet ICV */
	QKD_CIPHER_CHACHA20_POLY1305 = 2, /* ESP: RFC 7634 */
	QKD_CIPHER_GCM_AES_256 = 3,	  /* MACsec: IEEE 802.1AE-2018, 2^32 frames
					   * per key: see @rollover_ms */
	QKD_CIPHER_GCM_AES_XPN_256 = 4,	  /* MACsec, 64-bit packet numbers */
};

/** qkd_channel.on_exhausted: what the outbound side does without a next key */
enum qkd_exhausted {
	QKD_EXHAUSTED_HOLD = 1,	 /* keep the key until hard_ms, then block */
	QKD_EXHAUSTED_BLOCK = 2, /* block when the rollover falls due */
};

/** qkd_channel.state, out */
enum qkd_channel_state {
	QKD_CHANNEL_IDLE = 1,	 /* no outbound SA, not yet or not any more */
	QKD_CHANNEL_ACTIVE = 2,	 /* an outbound SA is in use */
	QKD_CHANNEL_OVERDUE = 3, /* in use past its rollover time: no next key */
	QKD_CHANNEL_BLOCKED = 4, /* keys ran out; outbound SA is down */
};

#define QKD_CHANNEL_ESN	   (1U << 0) /* ESP: 64-bit sequence numbers */
#define QKD_CHANNEL_SSCI_1 (1U << 1) /* MACsec XPN: our SSCI is 1, the peer's 2 */

#define QKD_SOFT_BYTES_MIN    (1ULL << 20) /* least qkd_channel.soft_bytes */
#define QKD_SOFT_PACKETS_MIN  1000	   /* least qkd_channel.soft_packets */
#define QKD_LIMIT_INTERVAL_MS 10	   /* least time between rollovers on soft limits */

/**
 * struct qkd_channel - QKD_CMD_CHANNEL_ADD, _DELETE, _LIST
 * @status: out: 0 or
 *          ADD: -EEXIST (@id, or another channel has the @reqid or @ifindex),
 *          -EINVAL (a field is out of range),
 *          -ENOSPC (max_channels), -EPERM, -ENODEV (no macsec device @ifindex here),
 *          -EOPNOTSUPP (cipher or kind not on this kernel, or a macsec device
 *          that leaves encryption to hardware), -ENOMEM;
 *          DELETE: -ENOENT, -EINVAL, -EPERM, -EIO (the channel is gone, but an SA
 *          of it could not be removed: QKD_EVENT_FAILED has the reason);
 *          LIST: 0, -EINVAL (in the first record; cqe->res is 0)
 * @id: channel number in this network namespace, not 0, chosen by the KM
 * @kind: enum qkd_kind
 * @cipher: enum qkd_cipher
 * @on_exhausted: enum qkd_exhausted
 * @state: out: enum qkd_channel_state; in: 0
 * @flags: QKD_CHANNEL_*
 * @lookahead: epochs that may stand ready beyond the one in use, 1 to
 *             max_lookahead (ESP) or max_lookahead_macsec. MACsec has four
 *             association numbers: epochs that find theirs taken wait as
 *             material (QKD_SA_QUEUED) and are installed when it is free
 * @family: ESP: AF_INET or AF_INET6, of @local and @remote; MACsec: 0
 * @rollover_ms: time from one outbound switch to the next, 100 to 86400000,
 *               less up to @jitter_ms.
 *               GCM_AES_256 sends no more after 2^32 frames under one key: at
 *               14.9 million frames a second (10 Gbit/s at most) after 288 s
 * @grace_ms: how long an old SA stays after it was replaced, 100 to 60000;
 *            a rolled-over MACsec channel needs less than @rollover_ms
 * @hard_ms: HOLD: longest time an outbound SA is used past its rollover time
 *           before the channel blocks; 0: no time limit (@hard_bytes,
 *           @hard_packets or the sequence or packet number space then is the
 *           limit). BLOCK: 0
 * @reqid: ESP: request ID of the policies' templates, not 0, one per channel
 * @if_id: ESP: xfrm interface, or 0
 * @mark: ESP: mark value and
 * @mark_mask: mask, or 0, 0
 * @replay_window: ESP: packets, 1 to 4096; MACsec: 0 (the device has its own)
 * @ifindex: MACsec: the macsec device in this network namespace, which is set
 *           to protect and encrypt; ESP: 0
 * @sci_peer: MACsec: the peer's secure channel identifier, network order as
 *            in IEEE 802.1AE (the first octet in memory is the first on the
 *            wire); ESP: 0
 * @spi_key: ESP: key of the SPI permutation, the same at both ends, not
 *           secret; see kmod/spi.h. MACsec: zero
 * @local: ESP: outer source address of this end
 * @remote: ESP: outer address of the peer
 * @first_epoch: lowest epoch that KEY_PUT takes; the KM's durable count, so
 *               that no epoch comes back after a reboot. LIST: next epoch
 *               that KEY_PUT takes
 * @tag: opaque to the module, given back by LIST: lets a restarted KM see
 *       whether the channel still is the one that it has configured
 * @name: for people: event logs, listings
 * @soft_bytes: octets sent under one key (ESP: of packets before encryption;
 *              MACsec: of frames) after which a rollover falls due, however
 *              early; at least QKD_SOFT_BYTES_MIN, 0: never. Less, at random,
 *              by up to the share that @jitter_ms has in @rollover_ms
 * @soft_packets: the same in packets; at least QKD_SOFT_PACKETS_MIN, or 0. ESP
 *                without ESN: 2^31, if 0
 * @hard_bytes: octets after which the key is used no more: the outbound SA is
 *              taken down, whether there is a next one or not. Above
 *              @soft_bytes, which it needs; 0: no limit
 * @hard_packets: the same in packets
 * @jitter_ms: each rollover falls due up to this much earlier, at random, so
 *             that many channels do not roll at once; at most half of
 *             @rollover_ms
 * @reserved32: must be 0
 * @reserved: must be 0
 *
 * A soft limit never makes two rollovers follow one another sooner than
 * QKD_LIMIT_INTERVAL_MS: one that falls due earlier waits, and is counted
 * (qkd_counters.delayed). ESP with an epoch ready: the packet that finds the
 * limit reached is the last one under the old key. MACsec counts what the macsec device sends, and
 * looks at it ten times a second at most: a limit is found reached that much late.
 *
 * In DELETE and LIST every field but @id is 0, and @status, which is not read.
 *
 * LIST fills records in order of @id, beginning behind the first record's
 * @id (0: from the start), until the run is full or no channel is left. If
 * there is none, the first record's @status is 0.
 */
struct qkd_channel {
	__s32 status;
	__u32 id;
	__u8 kind;
	__u8 cipher;
	__u8 on_exhausted;
	__u8 state;
	__u32 flags;
	__u16 lookahead;
	__u16 family;
	__u32 rollover_ms;
	__u32 grace_ms;
	__u32 hard_ms;
	__u32 reqid;
	__u32 if_id;
	__u32 mark;
	__u32 mark_mask;
	__u32 replay_window;
	__s32 ifindex;
	__u8 sci_peer[8];
	__u8 spi_key[16];
	__u8 local[QKD_ADDR_BYTES];
	__u8 remote[QKD_ADDR_BYTES];
	__aligned_u64 first_epoch;
	__u8 tag[16];
	char name[QKD_NAME_BYTES];
	__aligned_u64 soft_bytes;
	__aligned_u64 soft_packets;
	__aligned_u64 hard_bytes;
	__aligned_u64 hard_packets;
	__u32 jitter_ms;
	__u32 reserved32;
	__aligned_u64 reserved[7];
};

/**
 * struct qkd_material - key material of one direction of one epoch
 * @key: the SA's key
 * @salt: ESP: QKD_ESP_SALT_BYTES octets, the rest zero; MACsec XPN: all 12;
 *        MACsec without XPN: zero
 * @reserved: must be 0
 */
struct qkd_material {
	__u8 key[QKD_KEY_BYTES];
	__u8 salt[QKD_SALT_BYTES];
	__u32 reserved;
};

/**
 * struct qkd_key - QKD_CMD_KEY_PUT: the material of one epoch
 * @status: out: 0 once the inbound SA stands and the outbound one is ready
 *          (MACsec: or the epoch is queued, see QKD_SA_QUEUED), or
 *          -ENOENT (no such channel), -ESTALE (epoch below the next that the
 *          channel takes: it was, or may have been, used before), -ENOBUFS
 *          (lookahead is full: put it again after a rollover. MACsec also: the
 *          last epoch here has its association number, and leaves only for a
 *          later one: waiting does not help, put the next epoch), -EINVAL
 *          (reserved field, all-zero key, same key in both directions),
 *          -EEXIST (another SA of this machine has the SPI: the epoch is
 *          spent, use the next), -ERANGE (the channel's SPIs are used up),
 *          -ENODEV (the macsec device has gone, and one in its place is another:
 *          delete the channel, add it again), -ENOMEM, -EIO (the kernel refused the
 *          SA, as for a macsec device of another cipher suite; the event
 *          QKD_EVENT_FAILED has its reason)
 * @channel: qkd_channel.id
 * @epoch: larger than every epoch that was put on this channel before; gaps
 *         are allowed. An epoch is spent by the attempt, whatever its status,
 *         but for -ENOENT, -ENOBUFS, -EINVAL, -ERANGE, -EPERM and -ESTALE
 * @key_id: UUID of the QKD key, for listings and as MACsec key identifier
 * @in: what the peer encrypts with
 * @out: what this end encrypts with
 *
 * The module overwrites the whole record with zeros but for status, channel
 * and epoch, whatever the outcome.
 */
struct qkd_key {
	__s32 status;
	__u32 channel;
	__aligned_u64 epoch;
	__u8 key_id[QKD_KEY_ID_BYTES];
	struct qkd_material in;
	struct qkd_material out;
};

/** QKD_WATERMARK_*: qkd_watermark.flags */
#define QKD_WATERMARK_NONE (1U << 0) /* the peer has no inbound SA at all */

/**
 * struct qkd_watermark - QKD_CMD_WATERMARK: what the peer's KM reported
 * @status: out: 0, -ENOENT, -EINVAL (@first above @last)
 * @channel: qkd_channel.id
 * @first: lowest and
 * @last: highest epoch whose inbound SA stands at the peer. The range has no
 *        hole for this end: each epoch in it that is ready or queued here
 *        stands at the peer. One that does not (the peer could not install it,
 *        or lost it) is retired here first, with RETIRE. This end's outbound SA may only
 *        move to an epoch in [@first, @last]; epochs ready here below @first
 *        are retired; an outbound SA in use below @first (the peer rebooted)
 *        moves as soon as an epoch allows it
 * @peer_out: epoch with which the peer encrypts now: inbound SAs below it are
 *            removed after grace_ms. QKD_EPOCH_NONE: it does not encrypt yet
 * @flags: QKD_WATERMARK_*
 * @reserved32: must be 0
 * @reserved: must be 0
 */
struct qkd_watermark {
	__s32 status;
	__u32 channel;
	__aligned_u64 first;
	__aligned_u64 last;
	__aligned_u64 peer_out;
	__u32 flags;
	__u32 reserved32;
	__aligned_u64 reserved[2];
};

/** "No epoch" in fields that hold one. */
#define QKD_EPOCH_NONE (~0ULL)

/**
 * struct qkd_rollover - QKD_CMD_ROLLOVER: switch the outbound SA now
 * @status: out: 0, -ENOENT, -EAGAIN (no ready epoch that the peer holds),
 *          -EINVAL
 * @channel: qkd_channel.id
 * @epoch: out: epoch in use after the switch; in: 0
 * @reserved: must be 0
 */
struct qkd_rollover {
	__s32 status;
	__u32 channel;
	__aligned_u64 epoch;
	__aligned_u64 reserved[2];
};

/**
 * struct qkd_retire - QKD_CMD_RETIRE: take one epoch down, both directions
 * @status: out: 0, -ENOENT (no such channel or epoch), -EBUSY (its outbound SA
 *          is in use), -EINVAL
 * @channel: qkd_channel.id
 * @epoch: the epoch; it stays spent
 * @reserved: must be 0
 *
 * For an epoch that the peer could not install.
 */
struct qkd_retire {
	__s32 status;
	__u32 channel;
	__aligned_u64 epoch;
	__aligned_u64 reserved[2];
};

/**
 * struct qkd_counters - QKD_CMD_COUNTERS: one channel's counters, since ADD
 * @status: out: 0, -ENOENT, -EINVAL
 * @channel: in: qkd_channel.id
 * @installed: epochs whose inbound SA was installed
 * @rollovers: outbound switches, the first activation not counted
 * @retired: epochs gone from both directions, or from the queue
 * @failed: epochs that could not be installed or used, or that lost an SA to others
 * @exhausted: times a rollover fell due with no ready epoch
 * @blocked: times the outbound SA was taken down for want of keys
 * @out_epoch: epoch in use outbound, or QKD_EPOCH_NONE
 * @in_first: lowest and
 * @in_last: highest epoch with a standing inbound SA, or QKD_EPOCH_NONE
 * @peer_first: last watermark, or QKD_EPOCH_NONE
 * @peer_last: last watermark, or QKD_EPOCH_NONE
 * @ready: epochs built and not yet used outbound, @queued not among them
 * @last_rollover_ns: CLOCK_REALTIME of the last switch, 0: never
 * @events_lost: events of this network namespace that a reader did not get in
 *               time, once for each, or that had no reader
 * @limit_rollovers: of @rollovers, those on a soft limit of octets or packets
 * @delayed: rollovers on a soft limit that waited for QKD_LIMIT_INTERVAL_MS
 * @hard_expiries: outbound SAs taken down at a hard limit
 * @pool_hits: ESP: SAs that took a ready state from the pool
 * @pool_misses: ESP: SAs whose state had to be made on the spot
 * @activation_max_ns: longest time that an outbound switch took, from its start
 * @queued: MACsec: epochs that wait for an association number
 * @reserved: must be 0
 */
struct qkd_counters {
	__s32 status;
	__u32 channel;
	__aligned_u64 installed;
	__aligned_u64 rollovers;
	__aligned_u64 retired;
	__aligned_u64 failed;
	__aligned_u64 exhausted;
	__aligned_u64 blocked;
	__aligned_u64 out_epoch;
	__aligned_u64 in_first;
	__aligned_u64 in_last;
	__aligned_u64 peer_first;
	__aligned_u64 peer_last;
	__aligned_u64 ready;
	__aligned_u64 last_rollover_ns;
	__aligned_u64 events_lost;
	__aligned_u64 limit_rollovers;
	__aligned_u64 delayed;
	__aligned_u64 hard_expiries;
	__aligned_u64 pool_hits;
	__aligned_u64 pool_misses;
	__aligned_u64 activation_max_ns;
	__aligned_u64 queued;
	__aligned_u64 reserved[5];
};

/** qkd_epoch.in and qkd_epoch.out: where one direction's SA is in its life */
enum qkd_sa_state {
	QKD_SA_NONE = 0,   /* not built, or gone */
	QKD_SA_READY = 1,  /* outbound: built, not in use */
	QKD_SA_ACTIVE = 2, /* inbound: installed; outbound: encrypts */
	QKD_SA_GRACE = 3,  /* replaced, removed when the grace time ends */
	QKD_SA_QUEUED = 4, /* MACsec: key material that waits for its number */
};

/**
 * struct qkd_epoch - QKD_CMD_EPOCH_LIST: the SAs of one epoch of a channel
 * @status: out: 0
 * @channel: qkd_channel.id
 * @epoch: the epoch
 * @key_id: UUID of its QKD key
 * @in: enum qkd_sa_state, inbound
 * @out: enum qkd_sa_state, outbound
 * @an: MACsec: association number, both directions, also of an epoch that waits for
 *      it; ESP: 0
 * @reserved8: must be 0
 * @spi_in: ESP: SPI of the inbound SA, network byte order; MACsec: 0
 * @spi_out: ESP: SPI of the outbound SA, network byte order; MACsec: 0
 * @reserved32: must be 0
 * @packets_in: ESP: packets through the inbound SA
 * @bytes_in: ESP: octets through the inbound SA
 * @packets_out: packets through the outbound SA; MACsec: frames that the
 *               device sent while the epoch was in use
 * @bytes_out: octets, likewise
 * @reserved: must be 0
 *
 * The first record of the run names the channel (@channel; unknown: the
 * record's status is -ENOENT, or -EINVAL, and cqe->res is 0) and the epoch from which to
 * list (@epoch, included). Records are filled in order of epoch; if there is
 * none, the first record's status is 0.
 */
struct qkd_epoch {
	__s32 status;
	__u32 channel;
	__aligned_u64 epoch;
	__u8 key_id[QKD_KEY_ID_BYTES];
	__u8 in;
	__u8 out;
	__u8 an;
	__u8 reserved8;
	__be32 spi_in;
	__be32 spi_out;
	__u32 reserved32;
	__aligned_u64 packets_in;
	__aligned_u64 bytes_in;
	__aligned_u64 packets_out;
	__aligned_u64 bytes_out;
	__aligned_u64 reserved[2];
};

#define QKD_CMD_HELLO	       _IOWR('q', 0x00, struct qkd_hello)
#define QKD_CMD_CHANNEL_ADD    _IOWR('q', 0x10, struct qkd_channel)
#define QKD_CMD_CHANNEL_DELETE _IOWR('q', 0x11, struct qkd_channel)
#define QKD_CMD_CHANNEL_LIST   _IOWR('q', 0x12, struct qkd_channel)
#define QKD_CMD_KEY_PUT	       _IOWR('q', 0x20, struct qkd_key)
#define QKD_CMD_WATERMARK      _IOWR('q', 0x21, struct qkd_watermark)
#define QKD_CMD_ROLLOVER       _IOWR('q', 0x22, struct qkd_rollover)
#define QKD_CMD_RETIRE	       _IOWR('q', 0x23, struct qkd_retire)
#define QKD_CMD_COUNTERS       _IOWR('q', 0x30, struct qkd_counters)
#define QKD_CMD_EPOCH_LIST     _IOWR('q', 0x31, struct qkd_epoch)

/** qkd_event.type */
enum qkd_event_type {
	QKD_EVENT_INSTALLED = 1,  /* epoch: inbound SA stands */
	QKD_EVENT_ACTIVATED = 2,  /* epoch: the outbound SA uses it now; value: epochs ahead,
				   * ready or queued */
	QKD_EVENT_RETIRED = 3,	  /* epoch: gone from both directions, or the queue */
	QKD_EVENT_LOW = 4,	  /* value: epochs ahead, after a switch: less than half of
				   * lookahead */
	QKD_EVENT_EXHAUSTED = 5,  /* rollover is due and no epoch is ready */
	QKD_EVENT_BLOCKED = 6,	  /* the outbound SA was taken down */
	QKD_EVENT_FAILED = 7,	  /* epoch: error says why it was not installed, or used;
				   * -ESTALE: it was, somebody removed an SA;
				   * of a channel that is overdue, or before
				   * DELETED: an SA of it could not be removed */
	QKD_EVENT_PEER_MOVED = 8, /* epoch: inbound below it will go */
	QKD_EVENT_ADDED = 9,	  /* the channel was added */
	QKD_EVENT_DELETED = 10,	  /* the channel was deleted, its SAs are gone */
};

/**
 * struct qkd_event - what happened, read from /dev/qkd
 * @time_ns: CLOCK_REALTIME, nanoseconds
 * @channel: qkd_channel.id
 * @type: enum qkd_event_type
 * @reserved16: 0
 * @epoch: see enum qkd_event_type, or QKD_EPOCH_NONE
 * @value: see enum qkd_event_type, or 0
 * @error: negative errno, or 0
 * @lost: events dropped just before this one, because this reader was slow:
 *        if not 0, list channels and epochs anew
 * @reserved: 0
 */
struct qkd_event {
	__aligned_u64 time_ns;
	__u32 channel;
	__u16 type;
	__u16 reserved16;
	__aligned_u64 epoch;
	__aligned_u64 value;
	__s32 error;
	__u32 lost;
	__aligned_u64 reserved[2];
};

#endif /* _UAPI_LINUX_QKD_H */
