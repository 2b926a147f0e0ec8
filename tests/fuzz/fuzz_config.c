// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The configuration: any octets must end in a good structure or in reports,
 * whole lines without control characters.
 */
#include "config/config.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_report(const char *line, void *arg)
{
	unsigned int *count = arg;

	++*count;
	for (; *line; line++)
		if ((unsigned char)*line < 0x20 || *line == 0x7f)
			abort();
}

/* A good file: every string of the contract is there. */
static void check_config(const struct config *config)
{
	if (!config->node || !config->master_key || !config->kx.tls.key)
		abort();
	for (unsigned int i = 0; i < config->channels_count; i++) {
		const struct config_channel *channel = &config->channels[i];

		if (!channel->on_exhausted || !config_find_link(config, channel->link) ||
		    !channel->esp == !channel->macsec)
			abort();
	}
}

/* The same octets as the text of `qkdctl channel add`, on a node with link "l". */
static void try_channel(const char *text, size_t size)
{
	static char name[] = "l";
	static struct config_link link = {.name = name};
	static const struct config node = {.links = &link, .links_count = 1};
	struct config_channel *channel = NULL;
	unsigned int reports = 0;
	int err = config_channel_load(&node, text, size, "fuzz", check_report, &reports, &channel);

	if (!err != !!channel || !err != !reports)
		abort();
	config_channel_free(channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	unsigned int reports = 0;
	char path[40];
	int fd = memfd_create("config", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!config_load(path, check_report, &reports, &config)) {
		check_config(config);
		if (reports)
			abort();
	} else if (!reports || config) {
		abort();
	}
	close(fd);
	config_free(config);
	try_channel((const char *)data, size);
	return 0;
}
