/* SPDX-License-Identifier: GPL-2.0-only */
/* Rounding to powers of two (API of 6.12). */
#ifndef UMC_LINUX_ALIGN_H
#define UMC_LINUX_ALIGN_H

#include <linux/const.h>

#define __ALIGN_MASK(x, mask) __ALIGN_KERNEL_MASK((x), (mask))
#define ALIGN(x, a) __ALIGN_KERNEL((x), (a))
#define ALIGN_DOWN(x, a) __ALIGN_KERNEL((x) - ((a) - 1), (a))
#define PTR_ALIGN(p, a) ((typeof(p))ALIGN((unsigned long)(p), (a)))
#define PTR_ALIGN_DOWN(p, a) ((typeof(p))ALIGN_DOWN((unsigned long)(p), (a)))
#define IS_ALIGNED(x, a) (((x) & ((typeof(x))(a) - 1)) == 0)

#endif
