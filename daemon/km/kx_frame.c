// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kx frames from and to octets. Both directions go through the same checks
 * (check_frame()), so that we never send what we would refuse.
 */
#include "km/kx_frame.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** A sentence for people about what is wrong. */
struct complaint {
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct complaint *complaint,
							const char *format, ...)
{
	va_list args;

	if (complaint->text && complaint->size) {
		va_start(args, format);
		vsnprintf(complaint->text, complaint->size, format, args);
		va_end(args);
	}
	return -EPROTO;
}

/* -------- octets -------- */

/** @left octets at @at to read or write; @overrun once they were too few. */
struct cursor {
	uint8_t *at;
	size_t left;
	bool overrun;
};

static void put(struct cursor *cursor, const void *octets, size_t len)
{
	if (cursor->overrun || len > cursor->left) {
		cursor->overrun = true;
		return;
	}
	memcpy(cursor->at, octets, len);
	cursor->at += len;
	cursor->left -= len;
}

static void get(struct cursor *cursor, void *octets, size_t len)
{
	if (cursor->overrun || len > cursor->left) {
		cursor->overrun = true;
		memset(octets, 0, len);
		return;
	}
	memcpy(octets, cursor->at, len);
	cursor->at += len;
	cursor->left -= len;
}

static void put_u8(struct cursor *cursor, uint8_t value)
{
	put(cursor, &value, sizeof(value));
}

static void put_u16(struct cursor *cursor, uint16_t value)
{
	value = htobe16(value);
	put(cursor, &value, sizeof(value));
}

static void put_u64(struct cursor *cursor, uint64_t value)
{
	value = htobe64(value);
	put(cursor, &value, sizeof(value));
}

static uint8_t get_u8(struct cursor *cursor)
{
	uint8_t value;

	get(cursor, &value, sizeof(value));
	return value;
}

static uint16_t get_u16(struct cursor *cursor)
{
	uint16_t value;

	get(cursor, &value, sizeof(value));
	return be16toh(value);
}

static uint64_t get_u64(struct cursor *cursor)
{
	uint64_t value;

	get(cursor, &value, sizeof(value));
	return be64toh(value);
}

/* -------- what a field may hold -------- */

/** Printable ASCII without blanks at least once, then NULs to the end. */
static int check_name(const char *field, const char name[KX_NAME_BYTES],
		      struct complaint *complaint)
{
	size_t len = strnlen(name, KX_NAME_BYTES);

	if (len == 0)
		return refuse(complaint, "%s is empty", field);
	if (len == KX_NAME_BYTES)
		return refuse(complaint, "%s has no terminating NUL in %d octets", field,
			      KX_NAME_BYTES);
	for (size_t i = 0; i < len; i++)
		if (name[i] <= 0x20 || name[i] >= 0x7f)
			return refuse(complaint, "%s has octet 0x%02x at %zu: not printable", field,
				      (uint8_t)name[i], i);
	for (size_t i = len; i < KX_NAME_BYTES; i++)
		if (name[i] != 0)
			return refuse(complaint, "%s is not padded with NUL", field);
	return 0;
}

static int check_text(const char text[KX_TEXT_MAX], struct complaint *complaint)
{
	size_t len = strnlen(text, KX_TEXT_MAX);

	if (len == KX_TEXT_MAX)
		return refuse(complaint, "error.text is longer than %d octets", KX_TEXT_MAX - 1);
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] >= 0x7f)
			return refuse(complaint,
				      "error.text has octet 0x%02x at %zu: not printable",
				      (uint8_t)text[i], i);
	return 0;
}

static int check_status(const char *field, uint8_t status, struct complaint *complaint)
{
	if (status > KX_STATUS_LAST)
		return refuse(complaint, "%s: status %u is unknown", field, status);
	return 0;
}

static int check_key_count(const char *field, uint16_t count, struct complaint *complaint)
{
	if (count < 1 || count > KX_KEYS_MAX)
		return refuse(complaint, "%s.count is %u, 1 to %d expected", field, count,
			      KX_KEYS_MAX);
	return 0;
}

static int check_announce(const struct kx_keys_announce *announce, struct complaint *complaint)
{
	int err = check_name("announce.link", announce->link, complaint);

	if (!err)
		err = check_key_count("announce", announce->count, complaint);
	for (unsigned int i = 0; !err && i < announce->count; i++)
		for (unsigned int j = 0; !err && j < i; j++)
			if (memcmp(&announce->key[i].id, &announce->key[j].id,
				   sizeof(struct km_key_id)) == 0)
				err = refuse(complaint, "announce.key[%u] repeats key[%u]", i, j);
	return err;
}

static int check_confirm(const struct kx_keys_confirm *confirm, struct complaint *complaint)
{
	int err = check_name("confirm.link", confirm->link, complaint);

	if (!err)
		err = check_key_count("confirm", confirm->count, complaint);
	for (unsigned int i = 0; !err && i < confirm->count; i++)
		err = check_status("confirm.key", confirm->key[i].status, complaint);
	return err;
}

static int check_state(const struct kx_channel_state *state, struct complaint *complaint)
{
	int err = check_name("state.channel", state->channel, complaint);

	if (err)
		return err;
	if (state->role != KX_INITIATOR && state->role != KX_RESPONDER)
		return refuse(complaint, "state.role is %u, 1 or 2 expected", state->role);
	if (state->count > KX_EPOCHS_MAX)
		return refuse(complaint, "state.count is %u, at most %d expected", state->count,
			      KX_EPOCHS_MAX);
	for (unsigned int i = 0; i < state->count; i++) {
		if (state->epoch[i] == QKD_EPOCH_NONE)
			return refuse(complaint, "state.epoch[%u] is no epoch", i);
		if (i && state->epoch[i] <= state->epoch[i - 1])
			return refuse(complaint,
				      "state.epoch[%u] is %" PRIu64 ", behind %" PRIu64
				      ": not ascending",
				      i, state->epoch[i], state->epoch[i - 1]);
	}
	return 0;
}

static int check_frame(const struct kx_frame *frame, struct complaint *complaint)
{
	int err;

	switch (frame->type) {
	case KX_HELLO:
		return check_name("hello.node", frame->hello.node, complaint);
	case KX_PING:
	case KX_PONG:
		return 0;
	case KX_ERROR:
		return check_text(frame->error.text, complaint);
	case KX_KEYS_ANNOUNCE:
		return check_announce(&frame->announce, complaint);
	case KX_KEYS_CONFIRM:
		return check_confirm(&frame->confirm, complaint);
	case KX_EPOCH_OFFER:
		err = check_name("offer.channel", frame->offer.channel, complaint);
		if (!err && frame->offer.epoch == QKD_EPOCH_NONE)
			err = refuse(complaint, "offer.epoch is no epoch");
		return err;
	case KX_EPOCH_ANSWER:
		err = check_name("answer.channel", frame->answer.channel, complaint);
		if (!err && frame->answer.epoch == QKD_EPOCH_NONE)
			err = refuse(complaint, "answer.epoch is no epoch");
		return err ? err : check_status("answer", frame->answer.status, complaint);
	case KX_CHANNEL_STATE:
		return check_state(&frame->state, complaint);
	case KX_CHANNEL_GONE:
		return check_name("gone.channel", frame->gone.channel, complaint);
	}
	return refuse(complaint, "type %u is unknown", (unsigned int)frame->type);
}

/* -------- header -------- */

static bool known_type(uint16_t type)
{
	switch (type) {
	case KX_HELLO:
	case KX_PING:
	case KX_PONG:
	case KX_ERROR:
	case KX_KEYS_ANNOUNCE:
	case KX_KEYS_CONFIRM:
	case KX_EPOCH_OFFER:
	case KX_EPOCH_ANSWER:
	case KX_CHANNEL_STATE:
	case KX_CHANNEL_GONE:
		return true;
	}
	return false;
}

bool kx_type_ignored(uint16_t type)
{
	return type >= KX_IGNORABLE_FIRST && type <= KX_IGNORABLE_LAST && !known_type(type);
}

int kx_header_decode(const uint8_t octets[KX_HEADER_BYTES], struct kx_header *header)
{
	uint32_t length;
	uint16_t type, reserved;

	memcpy(&length, octets, sizeof(length));
	memcpy(&type, octets + 4, sizeof(type));
	memcpy(&reserved, octets + 6, sizeof(reserved));
	header->length = be32toh(length);
	header->type = be16toh(type);
	if (reserved != 0 || (!known_type(header->type) && !kx_type_ignored(header->type)))
		return -EPROTO;
	if (header->length > KX_PAYLOAD_MAX)
		return -EMSGSIZE;
	return 0;
}

/* -------- payloads in -------- */

/** A reserved field, or a length that the payload itself gives. */
static int get_zero(struct cursor *cursor, size_t len, const char *field,
		    struct complaint *complaint)
{
	while (len--)
		if (get_u8(cursor) != 0)
			return refuse(complaint, "%s: reserved octet is not zero", field);
	return 0;
}

static int get_error(struct cursor *cursor, struct kx_error *error, struct complaint *complaint)
{
	uint16_t len;

	error->code = get_u16(cursor);
	len = get_u16(cursor);
	if (len >= KX_TEXT_MAX)
		return refuse(complaint, "error.text is %u octets, at most %d expected", len,
			      KX_TEXT_MAX - 1);
	get(cursor, error->text, len);
	memset(error->text + len, 0, sizeof(error->text) - len);
	if (strlen(error->text) != len)
		return refuse(complaint, "error.text has a NUL in it");
	return 0;
}

static int get_announce(struct cursor *cursor, struct kx_keys_announce *announce,
			struct complaint *complaint)
{
	int err;

	get(cursor, announce->link, sizeof(announce->link));
	announce->count = get_u16(cursor);
	err = get_zero(cursor, 2, "announce", complaint);
	if (!err)
		err = check_key_count("announce", announce->count, complaint);
	for (unsigned int i = 0; !err && i < announce->count; i++) {
		get(cursor, &announce->key[i].id, sizeof(announce->key[i].id));
		get(cursor, announce->key[i].check, sizeof(announce->key[i].check));
	}
	return err;
}

static int get_confirm(struct cursor *cursor, struct kx_keys_confirm *confirm,
		       struct complaint *complaint)
{
	int err;

	get(cursor, confirm->link, sizeof(confirm->link));
	confirm->count = get_u16(cursor);
	err = get_zero(cursor, 2, "confirm", complaint);
	if (!err)
		err = check_key_count("confirm", confirm->count, complaint);
	for (unsigned int i = 0; !err && i < confirm->count; i++) {
		get(cursor, &confirm->key[i].id, sizeof(confirm->key[i].id));
		confirm->key[i].status = get_u8(cursor);
	}
	return err;
}

static int get_state(struct cursor *cursor, struct kx_channel_state *state,
		     struct complaint *complaint)
{
	int err;

	get(cursor, state->channel, sizeof(state->channel));
	get(cursor, state->digest, sizeof(state->digest));
	state->settled = get_u64(cursor);
	state->out = get_u64(cursor);
	state->count = get_u16(cursor);
	state->role = get_u8(cursor);
	err = get_zero(cursor, 1, "state", complaint);
	if (err)
		return err;
	if (state->count > KX_EPOCHS_MAX)
		return refuse(complaint, "state.count is %u, at most %d expected", state->count,
			      KX_EPOCHS_MAX);
	for (unsigned int i = 0; i < state->count; i++)
		state->epoch[i] = get_u64(cursor);
	return 0;
}

static int get_payload(struct cursor *cursor, struct kx_frame *frame, struct complaint *complaint)
{
	switch (frame->type) {
	case KX_HELLO:
		frame->hello.version = get_u16(cursor);
		frame->hello.features = get_u16(cursor);
		get(cursor, frame->hello.node, sizeof(frame->hello.node));
		get(cursor, frame->hello.store, sizeof(frame->hello.store));
		return 0;
	case KX_PING:
	case KX_PONG:
		frame->ping.token = get_u64(cursor);
		return 0;
	case KX_ERROR:
		return get_error(cursor, &frame->error, complaint);
	case KX_KEYS_ANNOUNCE:
		return get_announce(cursor, &frame->announce, complaint);
	case KX_KEYS_CONFIRM:
		return get_confirm(cursor, &frame->confirm, complaint);
	case KX_EPOCH_OFFER:
		get(cursor, frame->offer.channel, sizeof(frame->offer.channel));
		get(cursor, frame->offer.digest, sizeof(frame->offer.digest));
		frame->offer.epoch = get_u64(cursor);
		get(cursor, &frame->offer.key_id, sizeof(frame->offer.key_id));
		return 0;
	case KX_EPOCH_ANSWER:
		get(cursor, frame->answer.channel, sizeof(frame->answer.channel));
		frame->answer.epoch = get_u64(cursor);
		frame->answer.next = get_u64(cursor);
		frame->answer.status = get_u8(cursor);
		return get_zero(cursor, 3, "answer", complaint);
	case KX_CHANNEL_STATE:
		return get_state(cursor, &frame->state, complaint);
	case KX_CHANNEL_GONE:
		get(cursor, frame->gone.channel, sizeof(frame->gone.channel));
		return 0;
	}
	return refuse(complaint, "type %u is unknown", (unsigned int)frame->type);
}

int kx_frame_decode(const struct kx_header *header, const uint8_t *payload, struct kx_frame *frame,
		    char *error, size_t error_len)
{
	/* The cursor only reads here; get() never writes through it. */
	struct cursor cursor = {.at = (uint8_t *)payload, .left = header->length};
	struct complaint complaint = {error, error_len};
	int err;

	if (!known_type(header->type))
		return refuse(&complaint, "type %u is unknown", header->type);
	frame->type = (enum kx_type)header->type;
	err = get_payload(&cursor, frame, &complaint);
	if (cursor.overrun)
		return refuse(&complaint, "payload of type %u is too short: %u octets",
			      header->type, header->length);
	if (err)
		return err;
	if (cursor.left)
		return refuse(&complaint, "payload of type %u has %zu octets too many",
			      header->type, cursor.left);
	return check_frame(frame, &complaint);
}

/* -------- payloads out -------- */

static void put_announce(struct cursor *cursor, const struct kx_keys_announce *announce)
{
	put(cursor, announce->link, sizeof(announce->link));
	put_u16(cursor, announce->count);
	put_u16(cursor, 0);
	for (unsigned int i = 0; i < announce->count; i++) {
		put(cursor, &announce->key[i].id, sizeof(announce->key[i].id));
		put(cursor, announce->key[i].check, sizeof(announce->key[i].check));
	}
}

static void put_confirm(struct cursor *cursor, const struct kx_keys_confirm *confirm)
{
	put(cursor, confirm->link, sizeof(confirm->link));
	put_u16(cursor, confirm->count);
	put_u16(cursor, 0);
	for (unsigned int i = 0; i < confirm->count; i++) {
		put(cursor, &confirm->key[i].id, sizeof(confirm->key[i].id));
		put_u8(cursor, confirm->key[i].status);
	}
}

static void put_state(struct cursor *cursor, const struct kx_channel_state *state)
{
	put(cursor, state->channel, sizeof(state->channel));
	put(cursor, state->digest, sizeof(state->digest));
	put_u64(cursor, state->settled);
	put_u64(cursor, state->out);
	put_u16(cursor, state->count);
	put_u8(cursor, state->role);
	put_u8(cursor, 0);
	for (unsigned int i = 0; i < state->count; i++)
		put_u64(cursor, state->epoch[i]);
}

static void put_payload(struct cursor *cursor, const struct kx_frame *frame)
{
	static const uint8_t zero[3];
	uint16_t len;

	switch (frame->type) {
	case KX_HELLO:
		put_u16(cursor, frame->hello.version);
		put_u16(cursor, frame->hello.features);
		put(cursor, frame->hello.node, sizeof(frame->hello.node));
		put(cursor, frame->hello.store, sizeof(frame->hello.store));
		break;
	case KX_PING:
	case KX_PONG:
		put_u64(cursor, frame->ping.token);
		break;
	case KX_ERROR:
		len = (uint16_t)strlen(frame->error.text);
		put_u16(cursor, frame->error.code);
		put_u16(cursor, len);
		put(cursor, frame->error.text, len);
		break;
	case KX_KEYS_ANNOUNCE:
		put_announce(cursor, &frame->announce);
		break;
	case KX_KEYS_CONFIRM:
		put_confirm(cursor, &frame->confirm);
		break;
	case KX_EPOCH_OFFER:
		put(cursor, frame->offer.channel, sizeof(frame->offer.channel));
		put(cursor, frame->offer.digest, sizeof(frame->offer.digest));
		put_u64(cursor, frame->offer.epoch);
		put(cursor, &frame->offer.key_id, sizeof(frame->offer.key_id));
		break;
	case KX_EPOCH_ANSWER:
		put(cursor, frame->answer.channel, sizeof(frame->answer.channel));
		put_u64(cursor, frame->answer.epoch);
		put_u64(cursor, frame->answer.next);
		put_u8(cursor, frame->answer.status);
		put(cursor, zero, sizeof(zero));
		break;
	case KX_CHANNEL_STATE:
		put_state(cursor, &frame->state);
		break;
	case KX_CHANNEL_GONE:
		put(cursor, frame->gone.channel, sizeof(frame->gone.channel));
		break;
	}
}

int kx_frame_encode(const struct kx_frame *frame, uint8_t *octets, size_t size)
{
	struct complaint none = {0};
	struct cursor cursor;
	uint32_t length;
	uint16_t type;

	if (check_frame(frame, &none))
		return -EINVAL;
	if (size < KX_HEADER_BYTES)
		return -EMSGSIZE;
	cursor = (struct cursor){.at = octets + KX_HEADER_BYTES, .left = size - KX_HEADER_BYTES};
	put_payload(&cursor, frame);
	if (cursor.overrun)
		return -EMSGSIZE;
	length = htobe32((uint32_t)(cursor.at - octets - KX_HEADER_BYTES));
	type = htobe16((uint16_t)frame->type);
	memcpy(octets, &length, sizeof(length));
	memcpy(octets + 4, &type, sizeof(type));
	memset(octets + 6, 0, 2);
	return (int)(cursor.at - octets);
}
