// SPDX-License-Identifier: GPL-2.0-or-later
#include "km/backoff.h"

#include <openssl/rand.h>

uint64_t km_backoff_ms(unsigned int failures, uint64_t min_ms, uint64_t max_ms)
{
	uint64_t delay = min_ms;
	uint32_t random;

	while (failures-- > 1 && delay < max_ms)
		delay *= 2;
	if (delay > max_ms)
		delay = max_ms;
	if (RAND_bytes((unsigned char *)&random, sizeof(random)) != 1)
		random = 0;
	return delay / 2 + random % (delay / 2 + 1);
}
