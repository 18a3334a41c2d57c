/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flags of a page (API of Linux 6.12). They mean what their owner makes of them: there is no page cache.
 * Differs: PageSlab() is true for everything outside the range of pages, since kmalloc memory has no struct page.
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_LINUX_PAGE_FLAGS_H
#define UMC_LINUX_PAGE_FLAGS_H

#include <linux/types.h>
#include <linux/bitops.h>
#include <linux/mm_types.h>
#include <asm/page.h>

enum pageflags {
	PG_locked,
	PG_writeback,
	PG_referenced,
	PG_uptodate,
	PG_dirty,
	PG_lru,
	PG_head,
	PG_waiters,
	PG_active,
	PG_workingset,
	PG_owner_priv_1,
	PG_owner_2,
	PG_arch_1,
	PG_reserved,
	PG_private,
	PG_private_2,
	PG_reclaim,
	PG_swapbacked,
	PG_unevictable,
	__NR_PAGEFLAGS,
	PG_readahead = PG_reclaim,
	PG_checked = PG_owner_priv_1,
};

#define UMC_PAGE_FLAG(Name, bit)						\
static inline int Page##Name(const struct page *page)				\
{										\
	return test_bit(bit, &page->flags);					\
}										\
static inline void SetPage##Name(struct page *page)				\
{										\
	set_bit(bit, &page->flags);						\
}										\
static inline void ClearPage##Name(struct page *page)				\
{										\
	clear_bit(bit, &page->flags);						\
}										\
static inline int TestSetPage##Name(struct page *page)				\
{										\
	return test_and_set_bit(bit, &page->flags);				\
}										\
static inline int TestClearPage##Name(struct page *page)			\
{										\
	return test_and_clear_bit(bit, &page->flags);				\
}

UMC_PAGE_FLAG(Locked, PG_locked)
UMC_PAGE_FLAG(Writeback, PG_writeback)
UMC_PAGE_FLAG(Referenced, PG_referenced)
UMC_PAGE_FLAG(Uptodate, PG_uptodate)
UMC_PAGE_FLAG(Dirty, PG_dirty)
UMC_PAGE_FLAG(LRU, PG_lru)
UMC_PAGE_FLAG(Active, PG_active)
UMC_PAGE_FLAG(Workingset, PG_workingset)
UMC_PAGE_FLAG(OwnerPriv1, PG_owner_priv_1)
UMC_PAGE_FLAG(Owner2, PG_owner_2)
UMC_PAGE_FLAG(Checked, PG_checked)
UMC_PAGE_FLAG(Reserved, PG_reserved)
UMC_PAGE_FLAG(Private, PG_private)
UMC_PAGE_FLAG(Private2, PG_private_2)
UMC_PAGE_FLAG(Reclaim, PG_reclaim)
UMC_PAGE_FLAG(SwapBacked, PG_swapbacked)
UMC_PAGE_FLAG(Unevictable, PG_unevictable)

static inline int PageHead(const struct page *page)
{
	return test_bit(PG_head, &page->flags);
}

static inline int PageTail(const struct page *page)
{
	return page->compound_head & 1;
}

static inline int PageCompound(const struct page *page)
{
	return PageHead(page) || PageTail(page);
}

static inline int PageSlab(const struct page *page)
{
	return !pfn_valid(page_to_pfn(page));
}

static inline int PageHighMem(const struct page *page)
{
	(void)page;
	return 0;
}

static inline struct page *umc_compound_head(const struct page *page)
{
	unsigned long head = page->compound_head;

	return (head & 1) ? (struct page *)(head - 1) : (struct page *)page;
}

#define compound_head(page)	((typeof(page))umc_compound_head(page))
#define page_folio(p)		((struct folio *)umc_compound_head(p))
#define folio_page(folio, n)	(&(folio)->page + (n))

#endif
