// SPDX-License-Identifier: GPL-2.0-or-later
/* Key IDs, key checks, fingerprints, locked memory. */
#include "km/hkdf.h"
#include "km/key_check.h"
#include "km/secret.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_id_text(void **state)
{
	static const char text[] = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
	char upper[KM_KEY_ID_TEXT], back[KM_KEY_ID_TEXT];
	struct km_key_id id, other;

	assert_int_equal(km_key_id_parse(text, &id), 0);
	assert_int_equal(id.octet[0], 0x0f);
	assert_int_equal(id.octet[15], 0xf0);
	km_key_id_format(&id, back);
	assert_string_equal(back, text);
	for (size_t i = 0; i < sizeof(text); i++)
		upper[i] = text[i] >= 'a' && text[i] <= 'f' ? text[i] - 32 : text[i];
	assert_int_equal(km_key_id_parse(upper, &other), 0);
	assert_memory_equal(&id, &other, sizeof(id));
}

static void test_id_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f",
		"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f00",
		"0f1e2d3c4b5a-6978-8796-a5b4c3d2e1f0-",
		"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1fg",
		"{0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f",
		"0f1e2d3c04b5a06978087960a5b4c3d2e1f0",
		" f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
		"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f\n",
	};
	struct km_key_id id;

	memset(&id, 0x77, sizeof(id));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(km_key_id_parse(bad[i], &id), -EINVAL);
	assert_int_equal(km_key_id_parse(NULL, &id), -EINVAL);
	assert_int_equal(id.octet[0], 0x77); /* untouched */
}

/** RFC 5869, test case 1: the library does what we think. */
static void test_hkdf_vector(void **state)
{
	static const uint8_t okm[] = {
		0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36,
		0x2f, 0x2a, 0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56,
		0xec, 0xc4, 0xc5, 0xbf, 0x34, 0x00, 0x72, 0x08, 0xd5, 0xb8, 0x87, 0x18, 0x58, 0x65};
	uint8_t ikm[22], salt[13], info[10], out[sizeof(okm)];

	memset(ikm, 0x0b, sizeof(ikm));
	for (size_t i = 0; i < sizeof(salt); i++)
		salt[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(info); i++)
		info[i] = (uint8_t)(0xf0 + i);
	assert_int_equal(
		km_hkdf(ikm, sizeof(ikm), salt, sizeof(salt), info, sizeof(info), out, sizeof(out)),
		0);
	assert_memory_equal(out, okm, sizeof(okm));
}

static void test_check(void **state)
{
	struct km_key a = {.value = {1, 2, 3}}, b;
	uint8_t check[3][KM_KEY_CHECK_BYTES];

	a.id.octet[3] = 9;
	b = a;
	assert_int_equal(km_key_check(&a, check[0]), 0);
	assert_int_equal(km_key_check(&b, check[1]), 0);
	assert_memory_equal(check[0], check[1], sizeof(check[0]));
	b.value[31] ^= 1;
	assert_int_equal(km_key_check(&b, check[1]), 0);
	assert_memory_not_equal(check[0], check[1], sizeof(check[0]));
	b = a;
	b.id.octet[15] ^= 1;
	assert_int_equal(km_key_check(&b, check[2]), 0);
	assert_memory_not_equal(check[0], check[2], sizeof(check[0]));
}

/** docs/kx.md gives this example: the peer may be another implementation. */
static void test_check_example(void **state)
{
	static const uint8_t expected[KM_KEY_CHECK_BYTES] = {0x10, 0x3b, 0x37, 0x66, 0xdb, 0xeb,
							     0x62, 0x4b, 0x24, 0x81, 0x96, 0x67,
							     0x21, 0x7d, 0x96, 0xe3};
	uint8_t check[KM_KEY_CHECK_BYTES];
	struct km_key key = {0};

	for (size_t i = 0; i < sizeof(key.value); i++)
		key.value[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(key.id); i++)
		key.id.octet[i] = (uint8_t)(0x10 * i);
	assert_int_equal(km_key_check(&key, check), 0);
	assert_memory_equal(check, expected, sizeof(check));
}

static void test_fingerprint(void **state)
{
	uint8_t secret[KM_KEY_FINGERPRINT_BYTES] = {5}, other[KM_KEY_FINGERPRINT_BYTES] = {6};
	char a[KM_KEY_FINGERPRINT_TEXT], b[KM_KEY_FINGERPRINT_TEXT];
	struct km_key key = {.value = {42}};

	assert_int_equal(km_key_fingerprint(secret, &key, a), 0);
	assert_int_equal(strspn(a, "0123456789abcdef"), 8);
	assert_int_equal(strlen(a), 8);
	assert_int_equal(km_key_fingerprint(secret, &key, b), 0);
	assert_string_equal(a, b);
	assert_int_equal(km_key_fingerprint(other, &key, b), 0);
	assert_string_not_equal(a, b);
	key.value[0]++;
	assert_int_equal(km_key_fingerprint(secret, &key, b), 0);
	assert_string_not_equal(a, b);
}

static bool all_zero(const uint8_t *octets, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (octets[i])
			return false;
	return true;
}

static void test_secret_blocks(void **state)
{
	static const size_t sizes[] = {1, 48, 49, 4096, 32752, 32753, 300000};
	uint8_t *blocks[7];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 7; i++) {
			blocks[i] = secret_alloc(sizes[i]);
			assert_non_null(blocks[i]);
			assert_int_equal((uintptr_t)blocks[i] % 16, 0);
			assert_true(all_zero(blocks[i], sizes[i]));
			memset(blocks[i], 0xa5, sizes[i]);
		}
		for (size_t i = 0; i < 7; i++)
			secret_free(blocks[i]);
	}
	secret_free(NULL);
	assert_null(secret_alloc(SIZE_MAX));
}

/** What the kernel says of the mapping that holds @address: VmFlags. */
static void vm_flags(const void *address, char flags[512])
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool here = false;
	char line[512];

	assert_non_null(file);
	flags[0] = '\0';
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)address >= from && (uintptr_t)address < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			memcpy(flags, line, sizeof(line));
	}
	fclose(file);
}

static void test_secret_flags(void **state)
{
	size_t sizes[] = {32, 100000};

	for (int i = 0; i < 2; i++) {
		void *block = secret_alloc(sizes[i]);
		char flags[512];

		assert_non_null(block);
		vm_flags(block, flags);
		assert_non_null(strstr(flags, " lo ")); /* locked */
		assert_non_null(strstr(flags, " dd ")); /* not in core dumps */
		assert_non_null(strstr(flags, " wf ")); /* wiped on fork */
		secret_free(block);
	}
}

static void test_secret_fork(void **state)
{
	uint8_t *block = secret_alloc(64);
	int status;
	pid_t pid;

	memset(block, 0x5a, 64);
	pid = fork();
	if (pid == 0) {
		uint8_t *own;

		if (!all_zero(block, 64))
			_exit(1);
		own = secret_alloc(64); /* the child can go on with its own */
		if (!own)
			_exit(2);
		memset(own, 1, 64);
		secret_free(own);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(block[63], 0x5a);
	secret_free(block);
}

/** In a child: without room to lock, the sentence names limit and way out. */
static void test_secret_limit(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		const struct rlimit small = {4096, 4096};
		char error[400] = "";

		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		if (setrlimit(RLIMIT_MEMLOCK, &small) < 0)
			_exit(2);
		if (secret_init(error, sizeof(error)) >= 0)
			_exit(3);
		if (!strstr(error, "RLIMIT_MEMLOCK is 4 KiB") || !strstr(error, "LimitMEMLOCK="))
			_exit(4);
		_exit(secret_alloc(32) ? 5 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(WIFEXITED(status));
}

static void test_lockdown(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit core;

		if (secret_process_lockdown() < 0)
			_exit(1);
		getrlimit(RLIMIT_CORE, &core);
		if (core.rlim_cur || core.rlim_max)
			_exit(2);
		_exit(access("/proc/self/environ", F_OK) ? 3 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_id_text),	      cmocka_unit_test(test_id_refused),
		cmocka_unit_test(test_hkdf_vector),   cmocka_unit_test(test_check),
		cmocka_unit_test(test_check_example), cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_secret_blocks), cmocka_unit_test(test_secret_flags),
		cmocka_unit_test(test_secret_fork),   cmocka_unit_test(test_secret_limit),
		cmocka_unit_test(test_lockdown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
