/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation of pages (API of Linux 6.12).
 * Differs: one node, one zone; memory that runs out gives NULL at once, nothing is reclaimed.
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_LINUX_GFP_H
#define UMC_LINUX_GFP_H

#include <linux/gfp_types.h>
#include <linux/mmzone.h>
#include <linux/topology.h>

struct page;

static inline bool gfpflags_allow_blocking(const gfp_t gfp_flags)
{
	return !!(gfp_flags & __GFP_DIRECT_RECLAIM);
}

static inline bool gfpflags_allow_spinning(const gfp_t gfp_flags)
{
	return !!(gfp_flags & __GFP_RECLAIM);
}

/* any context */
struct page *alloc_pages(gfp_t gfp, unsigned int order);
unsigned long __get_free_pages(gfp_t gfp_mask, unsigned int order);
unsigned long get_zeroed_page(gfp_t gfp_mask);
void __free_pages(struct page *page, unsigned int order);
void free_pages(unsigned long addr, unsigned int order);
void *alloc_pages_exact(size_t size, gfp_t gfp_mask);
void free_pages_exact(void *virt, size_t size);
void split_page(struct page *page, unsigned int order);

#define alloc_page(gfp_mask)			alloc_pages(gfp_mask, 0)
#define alloc_pages_node(nid, gfp, order)	((void)(nid), alloc_pages(gfp, order))
#define alloc_pages_node_noprof(nid, gfp, order) alloc_pages_node(nid, gfp, order)
#define __get_free_page(gfp_mask)		__get_free_pages((gfp_mask), 0)
#define __get_dma_pages(gfp_mask, order)	__get_free_pages((gfp_mask) | GFP_DMA, (order))
#define __free_page(page)			__free_pages((page), 0)
#define free_page(addr)				free_pages((addr), 0)

/* Compatibility masks of memalloc_noio_save() and friends: no reclaim exists that could recurse. */
static inline gfp_t current_gfp_context(gfp_t flags)
{
	return flags;
}

#endif
