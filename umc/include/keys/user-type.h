/* SPDX-License-Identifier: GPL-2.0-only */
/* Kinds of keys: there is no key ring (linux/key.h). API of 6.12. */
#ifndef UMC_KEYS_USER_TYPE_H
#define UMC_KEYS_USER_TYPE_H

#include <linux/key.h>

#endif
