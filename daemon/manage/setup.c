// SPDX-License-Identifier: GPL-2.0-or-later
#include "manage/setup.h"
#include "km/store.h"
#include "km/sync.h"
#include "log.h"
#include "loop/stream.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_STATE "/var/lib/qkdkeyd"
#define SERVICE_USER  "qkdkeyd"

static int failed(const char *what, const char *path)
{
	int err = -errno;

	log_err("%s %s: %s", path, what, strerror(-err));
	return err;
}

/* The service's own folder belongs to the service, also when root makes it. */
static int give_to_service(const char *path)
{
	const struct passwd *user = getpwnam(SERVICE_USER);

	if (geteuid() || strcmp(path, DEFAULT_STATE) || !user)
		return 0;
	if (chown(path, user->pw_uid, user->pw_gid))
		return failed("cannot be given to user " SERVICE_USER, path);
	return 0;
}

static int make_state_directory(const char *path, struct stat *st)
{
	if (!mkdir(path, 0700)) {
		int err = km_sync_parent(path);

		if (err) {
			log_err("%s cannot be made durable: %s", path, strerror(-err));
			rmdir(path);
			return err;
		}
		err = give_to_service(path);
		if (err)
			return err;
		printf("made %s\n", path);
	} else if (errno != EEXIST) {
		return failed(errno == ENOENT ? "cannot be made; make the folder above it first"
					      : "cannot be made",
			      path);
	}
	if (stat(path, st))
		return failed("cannot be looked at", path);
	if (S_ISDIR(st->st_mode))
		return 0;
	log_err("%s is not a folder; state_directory must be one", path);
	return -ENOTDIR;
}

/* Opened without following links: root must not be led to give away another file. */
static int give_key(const char *path, const struct stat *owner)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return failed("cannot be opened", path);
	if (fchown(fd, owner->st_uid, owner->st_gid))
		err = failed("cannot be given to the owner of state_directory", path);
	close(fd);
	return err;
}

int setup_init(const struct config *config)
{
	struct stat st = {0};
	int err = make_state_directory(config->state_directory, &st);

	if (err)
		return err;
	err = store_make_master_key(config->master_key);
	if (err == -EEXIST) {
		printf("kept the master key %s\n", config->master_key);
		return 0;
	}
	if (err) {
		log_err("the master key %s cannot be made: %s", config->master_key, strerror(-err));
		return err;
	}
	if (!geteuid() && st.st_uid)
		err = give_key(config->master_key, &st);
	if (!err)
		printf("made the master key %s: keep a copy offline, without it the key store is "
		       "lost\n",
		       config->master_key);
	return err;
}

struct checker {
	void (*report)(const char *line, void *arg);
	void *arg;
	int bad;
};

__attribute__((format(printf, 2, 3))) static void complain(struct checker *checker, const char *fmt,
							   ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	checker->bad++;
	checker->report(line, checker->arg);
}

static void check_tls(struct checker *checker, const struct config_tls *tls,
		      enum tls_version version, const char *field)
{
	const struct tls_files files = {
		.certificate = tls->certificate,
		.key = tls->key,
		.ca = tls->ca,
	};
	struct tls_context *context;
	char error[384];

	if (tls_context_create(&files, version, NULL, &context, error, sizeof(error)))
		complain(checker, "%s: %s", field, error);
	else
		tls_context_destroy(context);
}

static void check_master_key(struct checker *checker, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		complain(checker, "master_key: %s: %s%s", path, strerror(errno),
			 errno == ENOENT ? "; run qkdkeyd --init" : "");
	else if (!S_ISREG(st.st_mode) || st.st_size != 32)
		complain(checker, "master_key: %s is not a file of 32 octets", path);
	else if (st.st_mode & 077)
		complain(checker, "master_key: %s can be read by others than its owner; chmod 600",
			 path);
}

int setup_check(const struct config *config, void (*report)(const char *line, void *arg), void *arg)
{
	struct checker checker = {.report = report, .arg = arg};
	char field[96];

	check_master_key(&checker, config->master_key);
	check_tls(&checker, &config->kx.tls, TLS_1_3_ONLY, "kx.tls");
	for (unsigned int i = 0; i < config->links_count; i++) {
		snprintf(field, sizeof(field), "links[%u].source.tls (%s)", i,
			 config->links[i].name);
		check_tls(&checker, &config->links[i].source.tls, TLS_1_2_OR_NEWER, field);
	}
	return checker.bad;
}
