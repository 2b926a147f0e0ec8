// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * qkdload MODULE.ko NAME
 *
 * Loads the module over and over, each time with another of the allocations refused
 * that its own start makes. It must then say that there is no memory, and not be there.
 * Prints TAP; needs a kernel with fail-nth (tests/vm/debug/load.sh).
 *
 * Most of the allocations of a load are the loader's, and come before. So this begins
 * with the last one and goes back, until the loader has not come to the start.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "qkdarm.h"

#define TRACING "/sys/kernel/tracing/"
#define TRIES	3

static const char *name;
static struct {
	void *bytes;
	size_t size;
} image;

static void read_image(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		arm_die(path);
	image.size = (size_t)st.st_size;
	image.bytes = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (image.bytes == MAP_FAILED)
		arm_die(path);
	close(fd);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		arm_die(path);
	close(fd);
}

static bool is_there(void)
{
	char path[300];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return !access(path, F_OK);
}

/* The kernel traces that it has loaded a module just before it starts it. */
static bool has_started(void)
{
	FILE *f = fopen(TRACING "trace", "re");
	char line[300];
	bool started = false;

	if (!f)
		arm_die(TRACING "trace");
	while (fgets(line, sizeof(line), f))
		started = started || strstr(line, "module_load:");
	fclose(f);
	return started;
}

/* Return: 0 or a negative errno. */
static int load(unsigned int nth, struct arm_count *count)
{
	int err;

	write_to(TRACING "trace", "");
	arm(ARM_SELF, nth);
	err = syscall(SYS_init_module, image.bytes, image.size, "") ? -errno : 0;
	*count = disarm();
	return err;
}

static bool unload(void)
{
	int tries = 50;

	while (syscall(SYS_delete_module, name, O_NONBLOCK) && --tries)
		usleep(100000);
	if (!tries)
		printf("# the module does not unload: %s\n", strerror(errno));
	return tries;
}

static unsigned int count_all(void)
{
	struct arm_count count;
	int err = load(ARM_NEVER, &count);

	if (err) {
		errno = -err;
		arm_die("init_module");
	}
	if (!unload() || !count.made)
		exit(2);
	return count.made;
}

/* With @nth refused. Return: whether that ended as it should. */
static bool is_good(unsigned int nth, int err, bool refused)
{
	bool there = is_there();

	if (err ? !there && refused : there && unload())
		return !err || err == -ENOMEM;
	printf("# allocation %u refused: %s, and the module is%s there\n", nth,
	       err ? strerror(-err) : "success", there ? "" : " not");
	return false;
}

int main(int argc, char **argv)
{
	unsigned int made, nth, runs = 0, told = 0;
	struct arm_count count;
	bool good = true, started = true;
	int err;

	if (argc != 3) {
		fputs("usage: qkdload MODULE.ko NAME\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	name = argv[2];
	read_image(argv[1]);
	write_to(TRACING "events/module/module_load/enable", "1");
	made = count_all();
	for (nth = made + TRIES; good && started && nth; nth--) {
		err = load(nth, &count);
		started = has_started();
		if (!started)
			continue;
		good = is_good(nth, err, count.refused);
		runs += count.refused;
		told += err < 0;
	}
	good = good && !load(ARM_NEVER, &count) && unload();
	printf("%s 1 - %u allocations counted, %u of the module's start refused, %u errors; then "
	       "it loads\n",
	       good && !started && told ? "ok" : "not ok", made, runs, told);
	puts("1..1");
	return !good;
}
