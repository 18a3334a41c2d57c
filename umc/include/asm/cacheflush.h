/* SPDX-License-Identifier: GPL-2.0-only */
/* Caches are coherent on every host this project runs on: nothing to flush. */
#ifndef UMC_ASM_CACHEFLUSH_H
#define UMC_ASM_CACHEFLUSH_H

#include <linux/types.h>

#endif
