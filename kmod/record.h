/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of the ABI's records, field by field, before anything uses them.
 * Pure: also compiled into the unit tests and the fuzzer. The caller passes
 * its own copy, which nobody else can change between the check and the use.
 */
#ifndef QKD_RECORD_H
#define QKD_RECORD_H

#include "qkd_uapi.h"

/** Limits that QKD_CMD_HELLO reports. */
#define QKD_MAX_BATCH		 256
#define QKD_MAX_CHANNELS	 131072
#define QKD_MAX_LOOKAHEAD	 256
#define QKD_MAX_LOOKAHEAD_MACSEC 256

/** Association numbers of a MACsec secure channel, IEEE 802.1AE-2018 clause 7.1.3. */
#define QKD_MACSEC_ANS 4

/*
 * Each returns 0 or -EINVAL for a record as it comes in. Whether the channel
 * or the epoch exists is not their matter; nor is a watermark's range, which
 * qkd_epochs_watermark() checks.
 */
int qkd_record_check_hello(const struct qkd_hello *r);
int qkd_record_check_channel_add(const struct qkd_channel *r);
int qkd_record_check_channel_delete(const struct qkd_channel *r);
int qkd_record_check_channel_list(const struct qkd_channel *r);
int qkd_record_check_key(const struct qkd_key *r);
int qkd_record_check_watermark(const struct qkd_watermark *r);
int qkd_record_check_rollover(const struct qkd_rollover *r);
int qkd_record_check_retire(const struct qkd_retire *r);
int qkd_record_check_counters(const struct qkd_counters *r);
int qkd_record_check_epoch_list(const struct qkd_epoch *r);

/**
 * qkd_record_check_salt - whether the salts are as long as @cipher's
 * @cipher: of the channel that @r names, enum qkd_cipher
 */
int qkd_record_check_salt(const struct qkd_key *r, __u8 cipher);

/**
 * qkd_record_spent_status - the status of a KEY_PUT whose epoch is spent
 * @err: why it could not be installed; negative
 *
 * The kernel's own reasons must not look like a status that says that the epoch
 * is not spent; the event has them as they are.
 */
int qkd_record_spent_status(int err);

#endif
