// SPDX-License-Identifier: GPL-2.0-or-later
/* Loads the configuration: see config_parts.h for the steps. */
#include "config/config.h"
#include "config/config_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Keeps the first thing that libcyaml says; config_shape() should leave it nothing to say. */
struct cyaml_words {
	char text[160];
};

__attribute__((format(printf, 3, 0))) static void keep_words(cyaml_log_t level, void *arg,
							     const char *fmt, va_list ap)
{
	struct cyaml_words *words = arg;

	if (level < CYAML_LOG_ERROR || words->text[0])
		return;
	vsnprintf(words->text, sizeof(words->text), fmt, ap);
	words->text[strcspn(words->text, "\r\n")] = '\0';
}

static cyaml_config_t loader(struct cyaml_words *words)
{
	cyaml_config_t config = {
		.log_fn = words ? keep_words : NULL,
		.log_ctx = words,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};

	return config;
}

/* Tree and structure of @text. The tree is freed by the caller, also on errors. */
static int load_text(const char *text, size_t len, const struct cyaml_schema_value *schema,
		     struct config_reports *reports, struct config_node **root, void **data)
{
	struct cyaml_words words = {""};
	cyaml_config_t config = loader(&words);
	cyaml_err_t err;

	*data = NULL;
	*root = config_locate(text, len, reports);
	if (!*root)
		return -EINVAL;
	config_shape(*root, schema, reports);
	if (reports->count)
		return -EINVAL;
	err = cyaml_load_data((const uint8_t *)text, len, &config, schema, data, NULL);
	if (err == CYAML_ERR_OOM) {
		config_report_line(reports, 0, "out of memory");
		return -ENOMEM;
	}
	if (err != CYAML_OK || !*data) {
		config_report_line(reports, 0, "%s",
				   *words.text ? words.text : cyaml_strerror(err));
		return -EINVAL;
	}
	return 0;
}

static int read_open(int fd, struct config_reports *reports, char **text, size_t *len)
{
	struct stat st;
	char *buf;
	ssize_t n;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		config_report_line(reports, 0, "is not a regular file");
		return -EINVAL;
	}
	if (st.st_size > CONFIG_FILE_MAX) {
		config_report_line(reports, 0, "is larger than %u MiB", CONFIG_FILE_MAX >> 20);
		return -EFBIG;
	}
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	*len = 0;
	while (*len < (size_t)st.st_size) {
		n = read(fd, buf + *len, (size_t)st.st_size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;

			free(buf);
			return err;
		}
		if (!n)
			break;
		*len += (size_t)n;
	}
	buf[*len] = '\0';
	*text = buf;
	return 0;
}

static int read_file(const char *path, struct config_reports *reports, char **text, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err = fd < 0 ? -errno : 0;

	if (!err) {
		err = read_open(fd, reports, text, len);
		close(fd);
	}
	if (err && !reports->count)
		config_report_line(reports, 0, "cannot be read: %s", strerror(-err));
	return err;
}

int config_load(const char *path, void (*report)(const char *line, void *arg), void *arg,
		struct config **config)
{
	struct config_reports reports = {.origin = path, .report = report, .arg = arg};
	struct config_node *root = NULL;
	void *data = NULL;
	char *text = NULL;
	size_t len = 0;
	int err;

	*config = NULL;
	err = read_file(path, &reports, &text, &len);
	if (err)
		return err;
	err = load_text(text, len, &config_schema, &reports, &root, &data);
	if (!err) {
		config_check(data, root, &reports);
		err = reports.count ? -EINVAL : 0;
	}
	config_node_free(root);
	free(text);
	if (err)
		config_free(data);
	else
		*config = data;
	return err;
}

void config_free(struct config *config)
{
	cyaml_config_t free_config = loader(NULL);

	if (config)
		cyaml_free(&free_config, &config_schema, config, 0);
}

int config_channel_load(const struct config *config, const char *yaml, size_t len,
			const char *origin, void (*report)(const char *line, void *arg), void *arg,
			struct config_channel **channel)
{
	struct config_reports reports = {.origin = origin, .report = report, .arg = arg};
	struct config_node *root = NULL;
	void *data = NULL;
	int err;

	*channel = NULL;
	err = load_text(yaml, len, &config_channel_schema, &reports, &root, &data);
	if (!err) {
		config_check_channel(config, data, root, &reports);
		err = reports.count ? -EINVAL : 0;
	}
	config_node_free(root);
	if (err)
		config_channel_free(data);
	else
		*channel = data;
	return err;
}

void config_channel_free(struct config_channel *channel)
{
	cyaml_config_t free_config = loader(NULL);

	if (channel)
		cyaml_free(&free_config, &config_channel_schema, channel, 0);
}

const struct config_peer *config_find_peer(const struct config *config, const char *name)
{
	for (unsigned int i = 0; i < config->peers_count; i++)
		if (config->peers[i].name && !strcmp(config->peers[i].name, name))
			return &config->peers[i];
	return NULL;
}

const struct config_link *config_find_link(const struct config *config, const char *name)
{
	for (unsigned int i = 0; i < config->links_count; i++)
		if (config->links[i].name && !strcmp(config->links[i].name, name))
			return &config->links[i];
	return NULL;
}
