/* SPDX-License-Identifier: GPL-2.0-only */
/* Keys (API of Linux 6.12): the types that other interfaces pass through; there is no key ring. */
#ifndef UMC_LINUX_KEY_H
#define UMC_LINUX_KEY_H

#include <linux/types.h>

typedef int32_t key_serial_t;
typedef uint32_t key_perm_t;

/* umc: handle */
struct key;

#endif
