// SPDX-License-Identifier: GPL-2.0-or-later
/* `qkdsim ctl`: the words of a person to the JSON of control.h, and back. */
#include "control.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Exit codes, as qkdctl has them. */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
};

static int usage(void)
{
	fputs("usage: qkdsim ctl SOCKET VERB\n"
	      "  status               how the simulated link is, in JSON\n"
	      "  cut                  cut the fibre: stored keys are served, none are added\n"
	      "  restore              mend it\n"
	      "  qber VALUE|off       an eavesdropper: error rate 0.08 or 8%; above 11% no\n"
	      "                       keys are made\n"
	      "  delay MS             wait before each answer; 0: no more\n"
	      "  error CODE [COUNT]   answer this HTTP status to the next COUNT requests, or\n"
	      "                       to all (no COUNT, or 0) until:\n"
	      "  error off            answer in order again\n",
	      stderr);
	return EXIT_USAGE;
}

static bool read_long(const char *text, long *value)
{
	char *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	return !errno && end != text && !*end;
}

/* "0.08", "8%" */
static bool read_share(const char *text, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	if (errno || end == text)
		return false;
	if (strcmp(end, "%") == 0)
		*value /= 100;
	else if (*end)
		return false;
	return true;
}

static json_t *qber_request(const char *value)
{
	double share;

	if (strcmp(value, "off") == 0)
		return json_pack("{s:s, s:n}", "verb", "qber", "value");
	return read_share(value, &share) ? json_pack("{s:s, s:f}", "verb", "qber", "value", share)
					 : NULL;
}

static json_t *error_request(const char *code_text, const char *count_text)
{
	long code = 0;
	long count = 0;

	if (strcmp(code_text, "off") != 0 && !read_long(code_text, &code))
		return NULL;
	if (count_text && !read_long(count_text, &count))
		return NULL;
	return json_pack("{s:s, s:I, s:I}", "verb", "error", "code", (json_int_t)code, "count",
			 (json_int_t)count);
}

/* NULL: the words make no sense. */
static json_t *request_of(int words, char **word)
{
	long ms;

	if (words == 1 && (strcmp(word[0], "cut") == 0 || strcmp(word[0], "restore") == 0 ||
			   strcmp(word[0], "status") == 0))
		return json_pack("{s:s}", "verb", word[0]);
	if (words == 2 && strcmp(word[0], "qber") == 0)
		return qber_request(word[1]);
	if (words == 2 && strcmp(word[0], "delay") == 0 && read_long(word[1], &ms))
		return json_pack("{s:s, s:I}", "verb", "delay", "ms", (json_int_t)ms);
	if ((words == 2 || words == 3) && strcmp(word[0], "error") == 0)
		return error_request(word[1], words == 3 ? word[2] : NULL);
	return NULL;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;
	int rc;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static json_t *converse(int fd, const json_t *request)
{
	FILE *file = fdopen(fd, "r+");
	json_t *answer = NULL;
	char *line = NULL;
	size_t size = 0;

	if (!file) {
		close(fd);
		return NULL;
	}
	if (json_dumpf(request, file, JSON_COMPACT) == 0 && fputc('\n', file) != EOF &&
	    fflush(file) == 0 && getline(&line, &size, file) > 0)
		answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	free(line);
	fclose(file);
	return answer;
}

static int print_answer(json_t *answer, bool show)
{
	if (!json_is_true(json_object_get(answer, "ok"))) {
		const char *message = json_string_value(json_object_get(answer, "message"));

		fprintf(stderr, "qkdsim ctl: %s\n", message ? message : "no answer");
		return EXIT_FAILED;
	}
	if (!show)
		return EXIT_DONE;
	json_object_del(answer, "ok");
	json_dumpf(answer, stdout, JSON_INDENT(2));
	return putchar('\n') == EOF ? EXIT_FAILED : EXIT_DONE;
}

int control_client(int argc, char **argv)
{
	json_t *request;
	json_t *answer;
	int fd;
	int rc;

	request = argc >= 2 ? request_of(argc - 1, argv + 1) : NULL;
	if (!request)
		return usage();
	fd = connect_to(argv[0]);
	if (fd < 0) {
		fprintf(stderr, "qkdsim ctl: no simulator answers at %s: %s\n", argv[0],
			strerror(-fd));
		json_decref(request);
		return EXIT_UNREACHABLE;
	}
	answer = converse(fd, request);
	rc = print_answer(answer, strcmp(argv[1], "status") == 0);
	json_decref(request);
	json_decref(answer);
	return rc;
}
