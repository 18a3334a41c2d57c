/* SPDX-License-Identifier: GPL-2.0-only */
/* Kinds of keys: there is no key ring (linux/key.h). API of 6.12. */
#ifndef UMC_LINUX_KEY_TYPE_H
#define UMC_LINUX_KEY_TYPE_H

#include <linux/key.h>

#endif
