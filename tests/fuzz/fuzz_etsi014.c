// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers of a hostile KME (ETSI GS QKD 014). The first octet chooses: key
 * container, status, error, URL.
 */
#include "quantum/etsi014.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail_if(bool wrong)
{
	if (wrong)
		abort();
}

static void fuzz_keys(const uint8_t *body, size_t len, size_t max)
{
	static struct km_key keys[ETSI014_KEYS_MAX];
	char text[96] = "";
	size_t count = 77777;
	int err = etsi014_parse_keys(body, len, keys, max, &count, text, sizeof(text));

	fail_if(count > max);
	fail_if(err && (count || !text[0]));
}

static void fuzz_status(const uint8_t *body, size_t len)
{
	struct etsi014_status status;
	char text[96] = "";

	fail_if(etsi014_parse_status(body, len, &status, text, sizeof(text)) && !text[0]);
}

static void fuzz_error(const uint8_t *body, size_t len)
{
	char message[40];

	etsi014_parse_error(body, len, message, sizeof(message));
	for (const char *c = message; *c; c++)
		fail_if(*c < 0x20 || *c > 0x7e);
}

static void fuzz_url(const uint8_t *body, size_t len)
{
	struct etsi014_url url;
	char *text = strndup((const char *)body, len);
	char error[96] = "";

	if (!text)
		return;
	if (etsi014_url_parse(text, &url, error, sizeof(error)) == 0)
		fail_if(!url.port || !url.host[0] || strlen(url.host) >= sizeof(url.host));
	else
		fail_if(!error[0]);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	switch (data[0] % 4) {
	case 0:
		fuzz_keys(data + 1, size - 1, 1 + (size_t)data[0] / 4);
		break;
	case 1:
		fuzz_status(data + 1, size - 1);
		break;
	case 2:
		fuzz_error(data + 1, size - 1);
		break;
	case 3:
		fuzz_url(data + 1, size - 1);
		break;
	}
	return 0;
}
