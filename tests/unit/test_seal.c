// SPDX-License-Identifier: GPL-2.0-or-later
/* Sealing and the master key's file. */
#include "km/seal.h"
#include "km_helpers.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char directory[PATH_BYTES];
static char file[PATH_BYTES + 16];
static char message[512];

static int set_up(void **state)
{
	make_directory(directory);
	snprintf(file, sizeof(file), "%s/master.key", directory);
	return 0;
}

static int tear_down(void **state)
{
	remove_directory(directory);
	return 0;
}

static void test_make(void **state)
{
	struct seal *seal;
	struct stat st;

	assert_int_equal(seal_make_master_key(file), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(seal_make_master_key(file), -EEXIST);
	assert_int_equal(seal_create(file, &seal, message, sizeof(message)), 0);
	seal_destroy(seal);
	seal_destroy(NULL);
	assert_int_equal(seal_make_master_key("/nonexistent/master.key"), -ENOENT);
}

/** Expects seal_create() to refuse @file with @err and @text in the message. */
static void refused(int err, const char *text)
{
	struct seal *seal;

	assert_int_equal(seal_create(file, &seal, message, sizeof(message)), err);
	assert_null(seal);
	if (!strstr(message, text) || !strstr(message, file))
		fail_msg("message \"%s\" lacks \"%s\"", message, text);
}

static void test_file_refused(void **state)
{
	uint8_t octets[33] = {1, 2, 3};

	refused(-ENOENT, "no master key; make one");
	write_file(file, octets, 31);
	refused(-EINVAL, "has 31 octets, 32 expected");
	write_file(file, octets, 33);
	refused(-EINVAL, "has 33 octets, 32 expected");
	write_file(file, octets, 32);
	chmod(file, 0640);
	refused(-EPERM, "mode 0640");
	chmod(file, 0604);
	refused(-EPERM, "mode 0604");
	chmod(file, 0400);
	memset(octets, 0, sizeof(octets));
	unlink(file);
	write_file(file, octets, 32);
	refused(-EINVAL, "all zero");
	unlink(file);
	mkdir(file, 0700);
	refused(-EINVAL, "not a regular file");
	rmdir(file);
	mkfifo(file, 0600); /* must not hang */
	refused(-EINVAL, "not a regular file");
	unlink(file);
	if (geteuid() != 0)
		return;
	octets[0] = 1;
	write_file(file, octets, 32);
	assert_int_equal(chown(file, 1234, 1234), 0);
	refused(-EPERM, "belongs to user 1234");
}

static struct seal *some_seal(void)
{
	struct seal *seal;

	assert_int_equal(seal_make_master_key(file), 0);
	assert_int_equal(seal_create(file, &seal, message, sizeof(message)), 0);
	return seal;
}

static void test_there_and_back(void **state)
{
	uint8_t value[SEAL_VALUE_MAX], sealed[SEAL_VALUE_MAX + SEAL_EXTRA_BYTES];
	uint8_t again[sizeof(sealed)], back[SEAL_VALUE_MAX];
	struct seal *seal = some_seal(), *second;

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 7 + 1);
	for (size_t len = 1; len <= sizeof(value); len++) {
		assert_int_equal(seal_value(seal, "ctx", 3, value, len, sealed), 0);
		assert_int_equal(seal_open(seal, "ctx", 3, sealed, len + SEAL_EXTRA_BYTES, back),
				 0);
		assert_memory_equal(back, value, len);
	}
	assert_null(memmem(sealed, sizeof(sealed), value, 16));
	/* Never the same twice. */
	assert_int_equal(seal_value(seal, "ctx", 3, value, sizeof(value), again), 0);
	assert_memory_not_equal(again + SEAL_SALT_BYTES, sealed + SEAL_SALT_BYTES,
				SEAL_NONCE_BYTES);
	assert_int_equal(seal_value(seal, "", 0, value, 0, sealed), -EINVAL);
	assert_int_equal(seal_value(seal, "", 0, value, SEAL_VALUE_MAX + 1, sealed), -EINVAL);
	/* Another run, with the same master key and another salt, opens it. */
	assert_int_equal(seal_create(file, &second, message, sizeof(message)), 0);
	memset(back, 0, sizeof(back));
	assert_int_equal(seal_open(second, "ctx", 3, again, sizeof(again), back), 0);
	assert_memory_equal(back, value, sizeof(value));
	assert_memory_equal(seal_fingerprint_secret(seal), seal_fingerprint_secret(second),
			    KM_KEY_FINGERPRINT_BYTES);
	seal_destroy(second);
	seal_destroy(seal);
}

static void test_changed(void **state)
{
	uint8_t value[32] = {9, 8, 7}, sealed[32 + SEAL_EXTRA_BYTES], back[32];
	static const uint8_t zero[32];
	struct seal *seal = some_seal(), *other;

	assert_int_equal(seal_value(seal, "ctx", 3, value, sizeof(value), sealed), 0);
	for (size_t i = 0; i < sizeof(sealed) * 8; i++) {
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
		memset(back, 1, sizeof(back));
		assert_int_equal(seal_open(seal, "ctx", 3, sealed, sizeof(sealed), back), -EBADMSG);
		assert_memory_equal(back, zero, sizeof(back));
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(seal_open(seal, "ctX", 3, sealed, sizeof(sealed), back), -EBADMSG);
	assert_int_equal(seal_open(seal, "ctx", 2, sealed, sizeof(sealed), back), -EBADMSG);
	assert_int_equal(seal_open(seal, "ctx", 3, sealed, sizeof(sealed) - 1, back), -EBADMSG);
	assert_int_equal(seal_open(seal, "ctx", 3, sealed, SEAL_EXTRA_BYTES, back), -EBADMSG);
	assert_int_equal(seal_open(seal, "ctx", 3, sealed, 0, back), -EBADMSG);
	unlink(file);
	other = some_seal();
	assert_int_equal(seal_open(other, "ctx", 3, sealed, sizeof(sealed), back), -EBADMSG);
	seal_destroy(other);
	assert_int_equal(seal_open(seal, "ctx", 3, sealed, sizeof(sealed), back), 0);
	assert_memory_equal(back, value, sizeof(value));
	seal_destroy(seal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_make, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
