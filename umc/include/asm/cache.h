/* SPDX-License-Identifier: GPL-2.0-only */
/* Cache line size. */
#ifndef UMC_ASM_CACHE_H
#define UMC_ASM_CACHE_H

#include <linux/cache.h>

#endif
