/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation flags (values of Linux 6.12).
 * Owner: umc/src/mm.rs. What the allocators look at: __GFP_ZERO, __GFP_DIRECT_RECLAIM, __GFP_NOFAIL, __GFP_COMP.
 */
#ifndef UMC_LINUX_GFP_TYPES_H
#define UMC_LINUX_GFP_TYPES_H

#include <linux/types.h>

#define ___GFP_DMA		(1u << 0)
#define ___GFP_HIGHMEM		(1u << 1)
#define ___GFP_DMA32		(1u << 2)
#define ___GFP_MOVABLE		(1u << 3)
#define ___GFP_RECLAIMABLE	(1u << 4)
#define ___GFP_HIGH		(1u << 5)
#define ___GFP_IO		(1u << 6)
#define ___GFP_FS		(1u << 7)
#define ___GFP_ZERO		(1u << 8)
#define ___GFP_DIRECT_RECLAIM	(1u << 10)
#define ___GFP_KSWAPD_RECLAIM	(1u << 11)
#define ___GFP_WRITE		(1u << 12)
#define ___GFP_NOWARN		(1u << 13)
#define ___GFP_RETRY_MAYFAIL	(1u << 14)
#define ___GFP_NOFAIL		(1u << 15)
#define ___GFP_NORETRY		(1u << 16)
#define ___GFP_MEMALLOC		(1u << 17)
#define ___GFP_COMP		(1u << 18)
#define ___GFP_NOMEMALLOC	(1u << 19)
#define ___GFP_HARDWALL		(1u << 20)
#define ___GFP_THISNODE		(1u << 21)
#define ___GFP_ACCOUNT		(1u << 22)
#define ___GFP_ZEROTAGS		(1u << 23)
#define ___GFP_SKIP_ZERO	0
#define ___GFP_SKIP_KASAN	0
#define ___GFP_NOLOCKDEP	0

#define __GFP_DMA		((__force gfp_t)___GFP_DMA)
#define __GFP_HIGHMEM		((__force gfp_t)___GFP_HIGHMEM)
#define __GFP_DMA32		((__force gfp_t)___GFP_DMA32)
#define __GFP_MOVABLE		((__force gfp_t)___GFP_MOVABLE)
#define __GFP_RECLAIMABLE	((__force gfp_t)___GFP_RECLAIMABLE)
#define __GFP_HIGH		((__force gfp_t)___GFP_HIGH)
#define __GFP_IO		((__force gfp_t)___GFP_IO)
#define __GFP_FS		((__force gfp_t)___GFP_FS)
#define __GFP_ZERO		((__force gfp_t)___GFP_ZERO)
#define __GFP_DIRECT_RECLAIM	((__force gfp_t)___GFP_DIRECT_RECLAIM)
#define __GFP_KSWAPD_RECLAIM	((__force gfp_t)___GFP_KSWAPD_RECLAIM)
#define __GFP_RECLAIM		((__force gfp_t)(___GFP_DIRECT_RECLAIM | ___GFP_KSWAPD_RECLAIM))
#define __GFP_WRITE		((__force gfp_t)___GFP_WRITE)
#define __GFP_NOWARN		((__force gfp_t)___GFP_NOWARN)
#define __GFP_RETRY_MAYFAIL	((__force gfp_t)___GFP_RETRY_MAYFAIL)
#define __GFP_NOFAIL		((__force gfp_t)___GFP_NOFAIL)
#define __GFP_NORETRY		((__force gfp_t)___GFP_NORETRY)
#define __GFP_MEMALLOC		((__force gfp_t)___GFP_MEMALLOC)
#define __GFP_COMP		((__force gfp_t)___GFP_COMP)
#define __GFP_NOMEMALLOC	((__force gfp_t)___GFP_NOMEMALLOC)
#define __GFP_HARDWALL		((__force gfp_t)___GFP_HARDWALL)
#define __GFP_THISNODE		((__force gfp_t)___GFP_THISNODE)
#define __GFP_ACCOUNT		((__force gfp_t)___GFP_ACCOUNT)
#define __GFP_ZEROTAGS		((__force gfp_t)___GFP_ZEROTAGS)
#define __GFP_SKIP_ZERO		((__force gfp_t)___GFP_SKIP_ZERO)
#define __GFP_SKIP_KASAN	((__force gfp_t)___GFP_SKIP_KASAN)
#define __GFP_NOLOCKDEP		((__force gfp_t)___GFP_NOLOCKDEP)

#define GFP_ZONEMASK		(__GFP_DMA | __GFP_HIGHMEM | __GFP_DMA32 | __GFP_MOVABLE)

#define GFP_ATOMIC		(__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL		(__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOWAIT		(__GFP_KSWAPD_RECLAIM | __GFP_NOWARN)
#define GFP_NOIO		(__GFP_RECLAIM)
#define GFP_NOFS		(__GFP_RECLAIM | __GFP_IO)
#define GFP_USER		(__GFP_RECLAIM | __GFP_IO | __GFP_FS | __GFP_HARDWALL)
#define GFP_DMA			__GFP_DMA
#define GFP_DMA32		__GFP_DMA32
#define GFP_HIGHUSER		(GFP_USER | __GFP_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE	(GFP_HIGHUSER | __GFP_MOVABLE | __GFP_SKIP_KASAN)

#endif
