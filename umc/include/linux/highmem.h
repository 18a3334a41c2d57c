/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copying from, to and between pages (API of Linux 6.12).
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_LINUX_HIGHMEM_H
#define UMC_LINUX_HIGHMEM_H

#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/bug.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <linux/highmem-internal.h>

#define clear_user_highpage(page, vaddr)	clear_highpage(page)

static inline void flush_dcache_page(struct page *page)
{
	(void)page;
}

static inline void flush_kernel_vmap_range(void *vaddr, int size)
{
	(void)vaddr;
	(void)size;
}

static inline void invalidate_kernel_vmap_range(void *vaddr, int size)
{
	(void)vaddr;
	(void)size;
}

static inline void clear_highpage(struct page *page)
{
	clear_page(page_address(page));
}

static inline void copy_highpage(struct page *to, struct page *from)
{
	copy_page(page_address(to), page_address(from));
}

static inline void memcpy_from_page(char *to, struct page *page, size_t offset, size_t len)
{
	__builtin_memcpy(to, (char *)page_address(page) + offset, len);
}

static inline void memcpy_to_page(struct page *page, size_t offset, const char *from, size_t len)
{
	__builtin_memcpy((char *)page_address(page) + offset, from, len);
}

static inline void memcpy_page(struct page *dst_page, size_t dst_off, struct page *src_page,
			       size_t src_off, size_t len)
{
	__builtin_memcpy((char *)page_address(dst_page) + dst_off,
			 (char *)page_address(src_page) + src_off, len);
}

static inline void memset_page(struct page *page, size_t offset, int val, size_t len)
{
	__builtin_memset((char *)page_address(page) + offset, val, len);
}

static inline void memzero_page(struct page *page, size_t offset, size_t len)
{
	memset_page(page, offset, 0, len);
}

static inline void zero_user_segment(struct page *page, unsigned int start, unsigned int end)
{
	memset_page(page, start, 0, end - start);
}

static inline void zero_user(struct page *page, unsigned int start, unsigned int size)
{
	memset_page(page, start, 0, size);
}

static inline void zero_user_segments(struct page *page, unsigned int start1, unsigned int end1,
				      unsigned int start2, unsigned int end2)
{
	memset_page(page, start1, 0, end1 - start1);
	if (end2 > start2)
		memset_page(page, start2, 0, end2 - start2);
}

#endif
