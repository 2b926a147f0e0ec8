// SPDX-License-Identifier: GPL-2.0-or-later
/* Channels that nobody configured; see orphan.h. */
#include "unp/orphan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* It may be anybody's who had the device: no more than print is taken from it. */
static void copy_name(char name[QKD_NAME_BYTES], const struct qkd_channel *record)
{
	size_t i;

	for (i = 0; i < QKD_NAME_BYTES - 1 && record->name[i]; i++)
		name[i] = (char)(isgraph((unsigned char)record->name[i]) ? record->name[i] : '?');
	name[i] = '\0';
}

struct orphan *orphan_add(struct orphan **list, const struct qkd_channel *record)
{
	static char no_link[] = "";
	struct orphan *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	copy_name(o->name, record);
	o->record = *record;
	o->config = (struct config_channel){
		.name = o->name,
		.link = no_link,
		.kind = (enum qkd_kind)record->kind,
		.cipher = (enum qkd_cipher)record->cipher,
		.rollover_ms = record->rollover_ms,
		.grace_ms = record->grace_ms,
		.hard_ms = record->hard_ms,
		.lookahead = record->lookahead,
		.on_exhausted = (enum qkd_exhausted)record->on_exhausted,
	};
	o->next = *list;
	*list = o;
	return o;
}

struct orphan *orphan_find(struct orphan *list, const char *name)
{
	while (list && strcmp(list->name, name))
		list = list->next;
	return list;
}

struct orphan *orphan_find_id(struct orphan *list, uint32_t id)
{
	while (list && list->record.id != id)
		list = list->next;
	return list;
}

void orphan_drop(struct orphan **list, const char *name, uint32_t id)
{
	struct orphan *o;

	while ((o = *list)) {
		if (name ? strcmp(o->name, name) : o->record.id != id) {
			list = &o->next;
			continue;
		}
		*list = o->next;
		free(o);
	}
}

void orphan_free_all(struct orphan **list)
{
	struct orphan *o;

	while ((o = *list)) {
		*list = o->next;
		free(o);
	}
}

void orphan_fill_view(const struct orphan *o, struct channel_view *view)
{
	*view = (struct channel_view){
		.config = &o->config,
		.peer = "",
		.orphaned = true,
		.simulated = o->simulated,
		.state = o->record.state,
		.waits = CHANNEL_WAITS_NOTHING,
		.id = o->record.id,
		.reqid = o->record.reqid,
		.last_error = "it is in the kernel but not configured: qkdctl channel delete "
			      "removes it; to keep it, configure it again and restart",
	};
}
