// SPDX-License-Identifier: GPL-2.0-or-later
/* Checks of single fields, used by config_check*.c. */
#include "config/config_parts.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool config_check_given(const char *value, const struct config_node *map, const char *field,
			const char *what, struct config_reports *reports)
{
	if (value && *value)
		return true;
	config_report(reports, map, field, "%s; %s", value ? "is empty" : "is missing", what);
	return false;
}

bool config_check_name(const char *value, const struct config_node *map, const char *field,
		       struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];

	if (!config_check_given(value, map, field, "give a name of 1 to 31 characters", reports))
		return false;
	if (strlen(value) > CONFIG_NAME_MAX) {
		config_report(reports, map, field, "%s has %zu octets; a name may have at most %u",
			      config_quote(value, quoted), strlen(value), CONFIG_NAME_MAX);
		return false;
	}
	for (const char *c = value; *c; c++) {
		if (*c > 0x20 && *c < 0x7f)
			continue;
		config_report(reports, map, field,
			      "%s is no name; use printable ASCII without spaces",
			      config_quote(value, quoted));
		return false;
	}
	return true;
}

bool config_check_path(const char *value, const struct config_node *map, const char *field,
		       const char *what, struct config_reports *reports)
{
	char quoted[CONFIG_QUOTE];

	if (!config_check_given(value, map, field, what, reports))
		return false;
	if (value[0] == '/')
		return true;
	config_report(reports, map, field,
		      "%s is a relative path; write it from / on, since a service has no folder "
		      "of its own",
		      config_quote(value, quoted));
	return false;
}

bool config_check_range(uint32_t value, uint32_t low, uint32_t high, const char *unit,
			const struct config_node *map, const char *field,
			struct config_reports *reports)
{
	if (!config_node_get(map, field) || (value >= low && value <= high))
		return true;
	config_report(reports, map, field,
		      "%" PRIu32 " is out of range; it must be from %" PRIu32 " to %" PRIu32 "%s%s",
		      value, low, high, *unit ? " " : "", unit);
	return false;
}

void config_check_tls(const struct config_tls *tls, const struct config_node *map,
		      struct config_reports *reports)
{
	config_check_path(tls->certificate, map, "certificate",
			  "give the PEM file of our certificate", reports);
	config_check_path(tls->key, map, "key", "give the PEM file of our private key", reports);
	config_check_path(tls->ca, map, "ca",
			  "give the PEM file of the authority that signed the other end's "
			  "certificate",
			  reports);
}

bool config_default_text(char **value, const char *fallback, struct config_reports *reports)
{
	if (*value)
		return true;
	*value = strdup(fallback);
	if (*value)
		return true;
	config_report_line(reports, 0, "out of memory");
	return false;
}
