/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory management (API of Linux 6.12): what drivers do with pages.
 * Differs: no address spaces of processes, hence no mmap and no page faults. A page whose last reference goes is freed.
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_LINUX_MM_H
#define UMC_LINUX_MM_H

#include <linux/errno.h>
#include <linux/mmdebug.h>
#include <linux/gfp.h>
#include <linux/bug.h>
#include <linux/list.h>
#include <linux/mmzone.h>
#include <linux/atomic.h>
#include <linux/mm_types.h>
#include <linux/err.h>
#include <linux/page-flags.h>
#include <linux/page_ref.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <asm/page.h>

#define PAGE_ALIGN(addr)	(((addr) + PAGE_SIZE - 1) & PAGE_MASK)
#define PAGE_ALIGN_DOWN(addr)	((addr) & PAGE_MASK)
#define PAGE_ALIGNED(addr)	(((unsigned long)(addr) & (PAGE_SIZE - 1)) == 0)
#define offset_in_page(p)	((unsigned long)(p) & ~PAGE_MASK)
#define page_address(page)	pfn_to_virt(page_to_pfn(page))
#define page_to_virt(page)	page_address(page)
#define lowmem_page_address(page) page_address(page)
#define nth_page(page, n)	((page) + (n))
#define lru_to_page(head)	(list_entry((head)->prev, struct page, lru))
#define page_to_nid(page)	((void)(page), 0)
#define folio_address(folio)	page_address(&(folio)->page)

#define VM_READ		0x00000001UL
#define VM_WRITE	0x00000002UL
#define VM_EXEC		0x00000004UL
#define VM_SHARED	0x00000008UL

/* any context */
void put_page(struct page *page);
unsigned long totalram_pages(void);
/* All memory is mapped. */
#define totalhigh_pages() 0UL
unsigned long si_mem_available(void);

static inline void get_page(struct page *page)
{
	page_ref_inc(umc_compound_head(page));
}

static inline bool get_page_unless_zero(struct page *page)
{
	return page_ref_add_unless(page, 1, 0);
}

static inline bool try_get_page(struct page *page)
{
	return get_page_unless_zero(umc_compound_head(page));
}

static inline int put_page_testzero(struct page *page)
{
	return page_ref_dec_and_test(page);
}

static inline unsigned int compound_order(struct page *page)
{
	return PageHead(page) ? page->umc_order : 0;
}

static inline unsigned long compound_nr(struct page *page)
{
	return 1UL << compound_order(page);
}

static inline unsigned long page_size(struct page *page)
{
	return PAGE_SIZE << compound_order(page);
}

static inline unsigned int folio_order(struct folio *folio)
{
	return compound_order(&folio->page);
}

static inline size_t folio_size(struct folio *folio)
{
	return page_size(&folio->page);
}

static inline bool folio_test_large(struct folio *folio)
{
	return PageHead(&folio->page);
}

static inline long folio_nr_pages(struct folio *folio)
{
	return (long)compound_nr(&folio->page);
}

static inline void folio_get(struct folio *folio)
{
	page_ref_inc(&folio->page);
}

static inline void folio_put(struct folio *folio)
{
	put_page(&folio->page);
}

/* A page of zeroes that nobody may write to. */
extern struct page *umc_zero_page(void);
#define ZERO_PAGE(address)	umc_zero_page()

static inline bool is_vm_hugetlb_page(struct vm_area_struct *vma)
{
	(void)vma;
	return false;
}

/* linux/vmalloc.h */
bool is_vmalloc_addr(const void *x);
struct page *vmalloc_to_page(const void *addr);
unsigned long vmalloc_to_pfn(const void *addr);

static inline bool is_vmalloc_or_module_addr(const void *x)
{
	return is_vmalloc_addr(x);
}

#endif
