/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QKDCTL_COLUMNS_H
#define QKDCTL_COLUMNS_H

#include "qkdctl.h"

extern const struct section status_sections[2];
extern const struct section link_sections[2];
extern const struct section channel_sections[1];
extern const struct section show_sections[1];
extern const struct section key_sections[1];
extern const struct section sa_sections[1];

#endif
