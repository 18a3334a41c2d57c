/* SPDX-License-Identifier: GPL-2.0-only */
/* Hints to load a cache line (API of 6.12). */
#ifndef UMC_LINUX_PREFETCH_H
#define UMC_LINUX_PREFETCH_H

#include <linux/types.h>
#include <linux/cache.h>

#define prefetch(x) __builtin_prefetch(x)
#define prefetchw(x) __builtin_prefetch(x, 1)
#define spin_lock_prefetch(x) prefetchw(x)

static inline void prefetch_range(void *addr, size_t len)
{
	for (size_t at = 0; at < len; at += L1_CACHE_BYTES)
		prefetch((char *)addr + at);
}

#endif
