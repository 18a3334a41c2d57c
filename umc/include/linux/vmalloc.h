/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Large allocations (API of Linux 6.12): page aligned allocations of the host.
 * Owner: umc/src/mm/vmalloc.rs
 */
#ifndef UMC_LINUX_VMALLOC_H
#define UMC_LINUX_VMALLOC_H

#include <linux/types.h>
#include <linux/gfp_types.h>
#include <linux/list.h>
#include <linux/err.h>
#include <linux/overflow.h>
#include <asm/page.h>

struct page;

/* may sleep */
void *vmalloc(unsigned long size);
void *vzalloc(unsigned long size);
void *vmalloc_user(unsigned long size);
void *vmalloc_node(unsigned long size, int node);
void *vzalloc_node(unsigned long size, int node);
void *vmalloc_32(unsigned long size);
void *__vmalloc(unsigned long size, gfp_t gfp_mask);
void *vmalloc_array(size_t n, size_t size);
void *vcalloc(size_t n, size_t size);
void *__vmalloc_array(size_t n, size_t size, gfp_t flags);
void *__vcalloc(size_t n, size_t size, gfp_t flags);
void vfree(const void *addr);
void vfree_atomic(const void *addr);

/* How much there is room for: x86-64. The addresses lie elsewhere. */
#define VMALLOC_START	0xffffc90000000000UL
#define VMALLOC_END	0xffffe8ffffffffffUL
#define VMALLOC_TOTAL	(VMALLOC_END - VMALLOC_START)

/*
 * Pages in a row: themselves where they lie so, else a copy, which vunmap() writes back as far as it was changed. So nobody
 * else may write to the pages meanwhile. May sleep. Owner: umc/src/mm/vmap.rs.
 */
#define VM_MAP		0x4
#define PAGE_KERNEL	0
void *vmap(struct page **pages, unsigned int count, unsigned long flags, int protection);
void vunmap(const void *addr);

/* any context */
bool is_vmalloc_addr(const void *x);
struct page *vmalloc_to_page(const void *addr);
unsigned long vmalloc_to_pfn(const void *addr);

#endif
