/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ABI header, by one name for kernel and user space builds. The build
 * adds -I include/uapi; a kernel that ships its own <linux/qkd.h> changes
 * this line only.
 */
#include <linux/qkd.h>
