// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Kx frames from a hostile peer: header and payload as they come off the
 * stream. What decodes must encode to the same octets.
 */
#include "km/kx_frame.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail_if(bool wrong)
{
	if (wrong)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[KX_HEADER_BYTES + KX_PAYLOAD_MAX];
	static struct kx_frame frame;
	struct kx_header header;
	uint8_t *payload;
	char error[64] = "";
	int err, len;

	if (size < KX_HEADER_BYTES || kx_header_decode(data, &header) ||
	    header.length > size - KX_HEADER_BYTES)
		return 0;
	/* A block of its own, so that ASan sees a read past the end. */
	payload = malloc(header.length + 1);
	fail_if(!payload);
	memcpy(payload, data + KX_HEADER_BYTES, header.length);
	memset(&frame, 0xee, sizeof(frame));
	err = kx_frame_decode(&header, payload, &frame, error, sizeof(error));
	free(payload);
	if (err) {
		fail_if(error[0] == '\0');
		return 0;
	}
	len = kx_frame_encode(&frame, again, sizeof(again));
	fail_if(len != (int)(KX_HEADER_BYTES + header.length));
	fail_if(memcmp(again, data, (size_t)len) != 0);
	return 0;
}
