// SPDX-License-Identifier: GPL-2.0-or-later
/* The fence of the whole configuration; see fence.h. */
#include "unp/fence.h"
#include "log.h"
#include "unp/policy.h"

#include <errno.h>
#include <time.h>

#define TRIES	100 /* for all channels */
#define WAIT_MS 50

static int fence_channel(const struct config *config, const struct config_channel *channel,
			 unsigned int *tries)
{
	static struct log_limit limit = {.burst = 20, .interval_ms = 60000};
	const struct timespec wait = {.tv_nsec = WAIT_MS * 1000000L};
	char error[256] = "";
	int err;

	while ((err = policy_fence(config, channel, error, sizeof(error))) == -EAGAIN && *tries) {
		--*tries;
		nanosleep(&wait, NULL);
	}
	if (err)
		log_limited(LOG_LEVEL_ERR, &limit,
			    "channel %s: its traffic cannot be blocked until it has keys: %s",
			    channel->name, error);
	return err;
}

int fence_raise(const struct config *config)
{
	unsigned int i, tries = TRIES;
	int first = 0;

	for (i = 0; i < config->channels_count; i++) {
		const struct config_channel *channel = &config->channels[i];
		int err = channel->esp ? fence_channel(config, channel, &tries) : 0;

		if (!first)
			first = err;
	}
	return first;
}
