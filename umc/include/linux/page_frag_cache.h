/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pieces of pages (API of Linux 6.12): a block of pages is given out from its end down, each piece keeps all of it, and the cache
 * keeps the one that it takes pieces from. Who shares a cache takes turns.
 * Differs: a block whose pieces are all back is freed, never begun again.
 */
#ifndef UMC_LINUX_PAGE_FRAG_CACHE_H
#define UMC_LINUX_PAGE_FRAG_CACHE_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/types.h>

#define PAGE_FRAG_CACHE_MAX_ORDER	3
#define PAGE_FRAG_CACHE_MAX_SIZE	(PAGE_SIZE << PAGE_FRAG_CACHE_MAX_ORDER)

/* umc: shared */
struct page_frag_cache {
	void *va;
	unsigned int offset;
};

static inline void page_frag_cache_init(struct page_frag_cache *nc)
{
	nc->va = NULL;
	nc->offset = 0;
}

/* Any context, as page_frag_free. */
static inline void page_frag_cache_drain(struct page_frag_cache *nc)
{
	if (nc->va)
		put_page(virt_to_page(nc->va));
	page_frag_cache_init(nc);
}

/* NULL without memory, or for more than a block. In the context of the flags. */
static inline void *__page_frag_alloc_align(struct page_frag_cache *nc, unsigned int size, gfp_t gfp,
					    unsigned int align_mask)
{
	struct page *page;

	if (size > PAGE_FRAG_CACHE_MAX_SIZE)
		return NULL;
	if (!nc->va || nc->offset < size) {
		page = alloc_pages(gfp | __GFP_COMP, PAGE_FRAG_CACHE_MAX_ORDER);
		if (!page)
			return NULL;
		page_frag_cache_drain(nc);
		nc->va = page_address(page);
		nc->offset = PAGE_FRAG_CACHE_MAX_SIZE;
	}
	nc->offset = (nc->offset - size) & align_mask;
	get_page(virt_to_page(nc->va));
	return (char *)nc->va + nc->offset;
}

static inline void *page_frag_alloc(struct page_frag_cache *nc, unsigned int size, gfp_t gfp)
{
	return __page_frag_alloc_align(nc, size, gfp, ~0u);
}

static inline void *page_frag_alloc_align(struct page_frag_cache *nc, unsigned int size, gfp_t gfp, unsigned int align)
{
	return __page_frag_alloc_align(nc, size, gfp, -align);
}

static inline void page_frag_free(void *addr)
{
	put_page(virt_to_page(addr));
}

#endif
