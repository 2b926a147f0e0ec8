// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands on their way to /dev/qkd: in order, alike ones together. */
#include "unp/device_queue.h"
#include "unp/backend_ops.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

static struct device_queue queue;

static int setup(void **state)
{
	device_queue_init(&queue);
	return 0;
}

static void add(uint32_t cmd, uint32_t channel)
{
	union {
		struct qkd_channel channel;
		struct qkd_key key;
		struct qkd_retire retire;
	} record;

	memset(&record, 0, sizeof(record));
	record.retire.channel = channel; /* behind the status, as in every record */
	assert_non_null(device_queue_add(&queue, cmd, &record));
}

/* "13": the next batch has these channels, in this order. */
static void batch_is(size_t max, uint32_t cmd, const char *channels)
{
	struct device_entry *entry, *next;
	size_t n = device_queue_take(&queue, max, &entry), i;

	assert_int_equal(n, strlen(channels));
	for (i = 0; i < n; i++, entry = next) {
		assert_non_null(entry);
		next = entry->next;
		assert_int_equal(entry->cmd, cmd);
		assert_int_equal(((struct qkd_retire *)entry->record)->channel,
				 (uint32_t)(channels[i] - '0'));
		device_entry_free(entry);
	}
	assert_null(entry);
}

static void empty(void **state)
{
	batch_is(10, 0, "");
}

static void neighbours_travel_together(void **state)
{
	add(QKD_CMD_KEY_PUT, 1);
	add(QKD_CMD_KEY_PUT, 2);
	add(QKD_CMD_RETIRE, 3);
	add(QKD_CMD_KEY_PUT, 4);
	batch_is(10, QKD_CMD_KEY_PUT, "12");
	batch_is(10, QKD_CMD_RETIRE, "3");
	add(QKD_CMD_KEY_PUT, 5);
	batch_is(10, QKD_CMD_KEY_PUT, "45");
	batch_is(10, 0, "");
	add(QKD_CMD_RETIRE, 6);
	batch_is(10, QKD_CMD_RETIRE, "6");
}

static void batches_have_a_limit(void **state)
{
	uint32_t i;

	for (i = 1; i <= 5; i++)
		add(QKD_CMD_WATERMARK, i);
	batch_is(2, QKD_CMD_WATERMARK, "12");
	batch_is(2, QKD_CMD_WATERMARK, "34");
	batch_is(2, QKD_CMD_WATERMARK, "5");
	batch_is(2, 0, "");
}

static void lists_go_alone(void **state)
{
	assert_true(device_cmd_lists(QKD_CMD_CHANNEL_LIST));
	assert_true(device_cmd_lists(QKD_CMD_EPOCH_LIST));
	assert_false(device_cmd_lists(QKD_CMD_COUNTERS));
	add(QKD_CMD_EPOCH_LIST, 1);
	add(QKD_CMD_EPOCH_LIST, 2);
	batch_is(10, QKD_CMD_EPOCH_LIST, "1");
	batch_is(10, QKD_CMD_EPOCH_LIST, "2");
}

static void sizes_are_in_the_numbers(void **state)
{
	assert_int_equal(backend_record_size(QKD_CMD_KEY_PUT), sizeof(struct qkd_key));
	assert_int_equal(backend_record_size(QKD_CMD_CHANNEL_ADD), sizeof(struct qkd_channel));
	assert_int_equal(backend_record_size(QKD_CMD_HELLO), sizeof(struct qkd_hello));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty, setup),
		cmocka_unit_test_setup(neighbours_travel_together, setup),
		cmocka_unit_test_setup(batches_have_a_limit, setup),
		cmocka_unit_test_setup(lists_go_alone, setup),
		cmocka_unit_test_setup(sizes_are_in_the_numbers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
