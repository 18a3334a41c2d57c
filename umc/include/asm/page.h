/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages: sizes and address arithmetic (API of Linux 6.12).
 * "Physical memory" is one reserved range of the process, with an array of struct page over it. The arithmetic is
 * signed and total: page_address(virt_to_page(x)) gives back the page of x even where x is an ordinary allocation.
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_ASM_PAGE_H
#define UMC_ASM_PAGE_H

#include <linux/types.h>
#include <linux/compiler.h>

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))

struct page;

/* The range, its array of pages and the number of pages in it; set before any driver is loaded. */
extern char *umc_page_area;
extern struct page *umc_mem_map;
extern unsigned long umc_max_mapnr;

#define page_to_pfn(page)	((unsigned long)((page) - umc_mem_map))
#define pfn_to_page(pfn)	(umc_mem_map + (long)(pfn))
#define pfn_valid(pfn)		((unsigned long)(pfn) < umc_max_mapnr)
#define virt_to_pfn(kaddr)	((unsigned long)(((long)(kaddr) - (long)umc_page_area) >> PAGE_SHIFT))
#define pfn_to_virt(pfn)	((void *)((long)umc_page_area + ((long)(pfn) << PAGE_SHIFT)))
#define pfn_to_kaddr(pfn)	pfn_to_virt(pfn)
#define virt_to_page(kaddr)	pfn_to_page(virt_to_pfn(kaddr))
#define virt_addr_valid(kaddr)	pfn_valid(virt_to_pfn(kaddr))

#define __pa(kaddr)		((unsigned long)((long)(kaddr) - (long)umc_page_area))
#define __va(paddr)		((void *)((long)umc_page_area + (long)(paddr)))
#define virt_to_phys(kaddr)	__pa(kaddr)
#define phys_to_virt(paddr)	__va(paddr)
#define page_to_phys(page)	((phys_addr_t)page_to_pfn(page) << PAGE_SHIFT)
#define phys_to_page(paddr)	pfn_to_page((paddr) >> PAGE_SHIFT)

#define clear_page(page)	((void)__builtin_memset((page), 0, PAGE_SIZE))
#define copy_page(to, from)	((void)__builtin_memcpy((to), (from), PAGE_SIZE))

/* The order of the smallest block of pages that holds size bytes. */
static inline __attribute_const__ int get_order(unsigned long size)
{
	unsigned long last = (size - 1) >> PAGE_SHIFT;

	return last ? 64 - __builtin_clzl(last) : 0;
}

#endif
