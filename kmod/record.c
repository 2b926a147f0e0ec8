// SPDX-License-Identifier: GPL-2.0-or-later
/* Checks of the ABI's records; see record.h and <linux/qkd.h>. */
#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/socket.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#endif
#include "record.h"
#include "spi.h"

static inline __u64 word(const __u8 *p)
{
	__u64 w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* The time taken does not depend on where the first difference is: these are keys. */
static bool is_zero(const void *data, size_t len)
{
	const __u8 *p = data;
	__u64 any = 0;

	for (; len >= sizeof(any); len -= sizeof(any), p += sizeof(any))
		any |= word(p);
	while (len--)
		any |= *p++;
	return !any;
}

static bool is_equal(const void *a, const void *b, size_t len)
{
	const __u8 *p = a, *q = b;
	__u64 any = 0;

	for (; len >= sizeof(any); len -= sizeof(any), p += sizeof(any), q += sizeof(any))
		any |= word(p) ^ word(q);
	while (len--)
		any |= *p++ ^ *q++;
	return !any;
}

#define ZERO(field) is_zero(&(field), sizeof(field))

static bool is_between(__u32 value, __u32 min, __u32 max)
{
	return value >= min && value <= max;
}

/* Ended and padded with NULs, and nothing in it that could drive a terminal. */
static bool is_name(const char name[QKD_NAME_BYTES])
{
	size_t len = strnlen(name, QKD_NAME_BYTES), i;

	for (i = 0; i < len; i++)
		if ((__u8)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return len < QKD_NAME_BYTES && is_zero(name + len, QKD_NAME_BYTES - len);
}

static bool is_ipv4_unicast(const __u8 a[QKD_ADDR_BYTES])
{
	/* 0/8 is no destination; 224/4 and above are multicast, reserved, broadcast. */
	return a[0] != 0 && a[0] < 224 && is_zero(a + 4, QKD_ADDR_BYTES - 4);
}

static bool is_ipv6_unicast(const __u8 a[QKD_ADDR_BYTES])
{
	return !is_zero(a, QKD_ADDR_BYTES) && a[0] != 0xff;
}

static bool has_addresses(const struct qkd_channel *r)
{
	if (is_equal(r->local, r->remote, QKD_ADDR_BYTES))
		return false; /* the directions of the SPIs need an order */
	if (r->family == AF_INET)
		return is_ipv4_unicast(r->local) && is_ipv4_unicast(r->remote);
	if (r->family == AF_INET6)
		return is_ipv6_unicast(r->local) && is_ipv6_unicast(r->remote);
	return false;
}

static bool is_esp(const struct qkd_channel *r)
{
	if (r->cipher != QKD_CIPHER_AES_256_GCM && r->cipher != QKD_CIPHER_CHACHA20_POLY1305)
		return false;
	if (r->flags & ~QKD_CHANNEL_ESN || r->ifindex || !ZERO(r->sci_peer))
		return false;
	if (!is_between(r->lookahead, 1, QKD_MAX_LOOKAHEAD) ||
	    !is_between(r->replay_window, 1, 4096))
		return false;
	if (!r->reqid || r->mark & ~r->mark_mask)
		return false;
	return has_addresses(r);
}

static bool is_macsec(const struct qkd_channel *r)
{
	__u32 flags = r->cipher == QKD_CIPHER_GCM_AES_XPN_256 ? QKD_CHANNEL_SSCI_1 : 0;

	if (r->cipher != QKD_CIPHER_GCM_AES_256 && r->cipher != QKD_CIPHER_GCM_AES_XPN_256)
		return false;
	if (r->flags & ~flags || r->ifindex <= 0 || ZERO(r->sci_peer))
		return false;
	if (!is_between(r->lookahead, 1, QKD_MAX_LOOKAHEAD_MACSEC) || r->grace_ms >= r->rollover_ms)
		return false;
	return !r->family && !r->reqid && !r->if_id && !r->mark && !r->mark_mask &&
	       !r->replay_window && ZERO(r->spi_key) && ZERO(r->local) && ZERO(r->remote);
}

/* A check that is one condition, for struct qkd_@type. */
#define CHECK(name, type, condition)                                                               \
	int qkd_record_check_##name(const struct qkd_##type *r)                                    \
	{                                                                                          \
		return (condition) ? 0 : -EINVAL;                                                  \
	}

CHECK(hello, hello, ZERO(r->reserved))
CHECK(watermark, watermark,
      r->channel && !(r->flags & ~QKD_WATERMARK_NONE) && !r->reserved32 && ZERO(r->reserved))
CHECK(rollover, rollover, r->channel && !r->epoch && ZERO(r->reserved))
CHECK(retire, retire, r->channel &&ZERO(r->reserved))
CHECK(counters, counters, r->channel &&ZERO(r->reserved))
CHECK(epoch_list, epoch, r->channel && !r->reserved8 && !r->reserved32 && ZERO(r->reserved))

/* A hard limit stands behind a soft one, so that the next key is there in time. */
static bool are_limits(__u64 soft, __u64 hard, __u64 min)
{
	return soft ? soft >= min && (!hard || hard > soft) : !hard;
}

int qkd_record_check_channel_add(const struct qkd_channel *r)
{
	bool good;

	if (!r->id || r->state || r->reserved32 || !ZERO(r->reserved) || !is_name(r->name))
		return -EINVAL;
	if (!are_limits(r->soft_bytes, r->hard_bytes, QKD_SOFT_BYTES_MIN) ||
	    !are_limits(r->soft_packets, r->hard_packets, QKD_SOFT_PACKETS_MIN) ||
	    r->jitter_ms > r->rollover_ms / 2)
		return -EINVAL;
	if (!is_between(r->rollover_ms, 100, 86400000) || !is_between(r->grace_ms, 100, 60000) ||
	    !is_between(r->on_exhausted, QKD_EXHAUSTED_HOLD, QKD_EXHAUSTED_BLOCK) ||
	    r->first_epoch >= QKD_SPI_EPOCHS)
		return -EINVAL;
	if (r->on_exhausted == QKD_EXHAUSTED_BLOCK && r->hard_ms)
		return -EINVAL;
	switch (r->kind) {
	case QKD_KIND_ESP_TUNNEL:
	case QKD_KIND_ESP_TRANSPORT:
		good = is_esp(r);
		break;
	case QKD_KIND_MACSEC:
		good = is_macsec(r);
		break;
	default:
		good = false;
	}
	return good ? 0 : -EINVAL;
}

int qkd_record_check_channel_list(const struct qkd_channel *r)
{
	struct qkd_channel rest = *r;

	rest.status = 0;
	rest.id = 0;
	return ZERO(rest) ? 0 : -EINVAL;
}

int qkd_record_check_channel_delete(const struct qkd_channel *r)
{
	return r->id ? qkd_record_check_channel_list(r) : -EINVAL;
}

int qkd_record_check_key(const struct qkd_key *r)
{
	if (!r->channel || r->in.reserved || r->out.reserved)
		return -EINVAL;
	if (ZERO(r->in.key) || ZERO(r->out.key))
		return -EINVAL;
	return is_equal(r->in.key, r->out.key, QKD_KEY_BYTES) ? -EINVAL : 0;
}

int qkd_record_check_salt(const struct qkd_key *r, __u8 cipher)
{
	size_t len = 0;

	if (cipher == QKD_CIPHER_AES_256_GCM || cipher == QKD_CIPHER_CHACHA20_POLY1305)
		len = QKD_ESP_SALT_BYTES;
	else if (cipher == QKD_CIPHER_GCM_AES_XPN_256)
		len = QKD_SALT_BYTES;
	if (!is_zero(r->in.salt + len, QKD_SALT_BYTES - len) ||
	    !is_zero(r->out.salt + len, QKD_SALT_BYTES - len))
		return -EINVAL;
	return 0;
}

int qkd_record_spent_status(int err)
{
	switch (err) {
	case -EEXIST:
	case -ENODEV:
	case -ENOMEM:
		return err;
	default:
		return -EIO;
	}
}
