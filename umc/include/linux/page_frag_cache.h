/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pieces of pages (API of Linux 6.12).
 * Differs: each piece has memory of its own, which comes from kmalloc; a cache holds nothing. So a piece has no reference count:
 * page_frag_free ends it.
 */
#ifndef UMC_LINUX_PAGE_FRAG_CACHE_H
#define UMC_LINUX_PAGE_FRAG_CACHE_H

#include <linux/align.h>
#include <linux/slab.h>
#include <linux/types.h>

/* umc: shared */
struct page_frag_cache {
	unsigned long umc_pieces;
};

static inline void page_frag_cache_init(struct page_frag_cache *nc)
{
	nc->umc_pieces = 0;
}

static inline void page_frag_cache_drain(struct page_frag_cache *nc)
{
}

/* NULL without memory. In the context of the flags. */
static inline void *page_frag_alloc(struct page_frag_cache *nc, unsigned int size, gfp_t gfp)
{
	nc->umc_pieces++;
	return kmalloc(size, gfp);
}

/* Any context. */
static inline void page_frag_free(void *addr)
{
	kfree(addr);
}

#endif
