// SPDX-License-Identifier: GPL-2.0-or-later
/* What must not come twice in a list. */
#include "config/config_address.h"
#include "config/config_parts.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_entries(const void *a, const void *b)
{
	const struct config_entry *left = a;
	const struct config_entry *right = b;
	int order = strcmp(left->value, right->value);

	return order ? order : (left->index > right->index) - (left->index < right->index);
}

void config_check_unique(struct config_entry *entries, unsigned int count,
			 const struct config_node *list, const char *field, const char *what,
			 struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];

	if (!count)
		return;
	qsort(entries, count, sizeof(*entries), compare_entries);
	for (unsigned int i = 1; i < count; i++) {
		const struct config_node *first = config_node_at(list, entries[i - 1].index);
		const struct config_node *twin = config_node_at(list, entries[i].index);

		if (strcmp(entries[i - 1].value, entries[i].value))
			continue;
		config_report(reports, twin, field, "%s is the %s of another entry, in line %u",
			      config_quote(entries[i].value, quoted), what,
			      first ? first->line : 0);
	}
}

/* -------- traffic selectors -------- */

/* Policies of all channels together; each is a lookup for the kernel. */
#define SELECTORS_MAX 131072

struct selectors {
	struct config_entry *entries;
	unsigned int used;
	unsigned int room;
	bool failed;
	bool full;
};

static void add_selector(struct selectors *all, char *text, unsigned int index)
{
	if (all->used == SELECTORS_MAX) {
		all->full = true;
		free(text);
		return;
	}
	if (all->used == all->room) {
		unsigned int room = all->room ? all->room * 2 : 64;
		struct config_entry *grown =
			reallocarray(all->entries, room, sizeof(struct config_entry));

		if (grown) {
			all->entries = grown;
			all->room = room;
		}
	}
	if (!text || all->used == all->room) {
		all->failed = true;
		free(text);
		return;
	}
	all->entries[all->used].value = text;
	all->entries[all->used++].index = index;
}

/* One spelling of a network or address, so that equal ones compare equal. */
static bool spell(const char *text, char spelled[64])
{
	struct config_net net;
	char address[INET6_ADDRSTRLEN];
	bool plain = !strchr(text, '/');

	if (plain ? config_address_parse(text, &net.address) : config_net_parse(text, &net))
		return false;
	if (plain)
		net.prefix = net.address.family == AF_INET ? 32 : 128;
	config_net_mask(&net);
	inet_ntop(net.address.family, net.address.octet, address, sizeof(address));
	snprintf(spelled, 64, "%s/%u", address, net.prefix);
	return true;
}

static void add_pair(struct selectors *all, const struct config_esp *esp, const char *from,
		     const char *to, unsigned int index)
{
	char source[64], destination[64];
	char extra[64] = "";
	char *text;

	/* a bad or missing one has its own report; families that differ never meet */
	if (!from || !to || !strchr(from, ':') != !strchr(to, ':') || !spell(from, source) ||
	    !spell(to, destination))
		return;
	if (esp->mark_mask || esp->if_id)
		snprintf(extra, sizeof(extra), " mark 0x%x/0x%x if_id %u", esp->mark,
			 esp->mark_mask, esp->if_id);
	if (asprintf(&text, "%s to %s%s", source, destination, extra) < 0)
		text = NULL;
	add_selector(all, text, index);
}

static void add_channel(struct selectors *all, const struct config_channel *channel,
			unsigned int index)
{
	const struct config_esp *esp = channel->esp;

	if (!esp || channel->kind == QKD_KIND_MACSEC)
		return;
	if (channel->kind == QKD_KIND_ESP_TRANSPORT)
		add_pair(all, esp, esp->local, esp->remote, index);
	else
		for (unsigned int i = 0; i < esp->local_nets_count && !all->full; i++)
			for (unsigned int j = 0; j < esp->remote_nets_count && !all->full; j++)
				add_pair(all, esp, esp->local_nets[i], esp->remote_nets[j], index);
}

void config_check_selectors(const struct config *config, const struct config_node *list,
			    struct config_reports *reports)
{
	struct selectors all = {0};

	for (unsigned int i = 0; i < config->channels_count && !all.failed && !all.full; i++)
		add_channel(&all, &config->channels[i], i);
	if (all.failed)
		config_report_line(reports, 0, "out of memory");
	else if (all.full)
		config_report_line(
			reports, 0,
			"the channels need more than %d policies (pairs of local_nets and "
			"remote_nets); sum networks up",
			SELECTORS_MAX);
	else
		config_check_unique(all.entries, all.used, list, "esp", "traffic", reports);
	for (unsigned int i = 0; i < all.used; i++)
		free((char *)all.entries[i].value);
	free(all.entries);
}
