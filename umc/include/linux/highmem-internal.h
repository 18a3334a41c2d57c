/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapping of pages (API of Linux 6.12): every page is always mapped, so a mapping is its address.
 * kmap_atomic() does not forbid sleeping here: there is no preemption to switch off.
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_LINUX_HIGHMEM_INTERNAL_H
#define UMC_LINUX_HIGHMEM_INTERNAL_H

#include <linux/mm.h>

static inline void *kmap(struct page *page)
{
	return page_address(page);
}

static inline void kunmap(struct page *page)
{
	(void)page;
}

extern inline __attribute__((__gnu_inline__, __always_inline__)) void *kmap_local_page(struct page *page)
{
	return page_address(page);
}

static inline void *kmap_local_folio(struct folio *folio, size_t offset)
{
	return (char *)folio_address(folio) + offset;
}

static inline void *kmap_local_pfn(unsigned long pfn)
{
	return pfn_to_virt(pfn);
}

static inline void *kmap_atomic(struct page *page)
{
	return page_address(page);
}

static inline struct page *kmap_to_page(void *addr)
{
	return virt_to_page(addr);
}

extern inline __attribute__((__gnu_inline__, __always_inline__)) void kunmap_local(const void *addr)
{
	(void)addr;
}

/* Taking a page instead of its address is a mistake that compiles without this check. */
#define kunmap_local(addr)						\
	do {								\
		_Static_assert(!__builtin_types_compatible_p(typeof(addr), struct page *), \
			       "kunmap_local() takes an address");	\
		(kunmap_local)(addr);					\
	} while (0)
#define kunmap_atomic(addr)	kunmap_local(addr)

static inline void kmap_flush_unused(void) { }

#endif
