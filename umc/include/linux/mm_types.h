/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct page (API of Linux 6.12): 64 bytes, an array of them covers the range of pages.
 * Differs: no page cache and no mappings; _mapcount and memcg data do not exist.
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_LINUX_MM_TYPES_H
#define UMC_LINUX_MM_TYPES_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/rbtree.h>

struct address_space;
struct page_pool;

/* umc: handle */
struct mm_struct;
/* umc: handle */
struct vm_area_struct;
/* umc: handle */
struct vm_fault;

typedef unsigned int vm_fault_t;

/* umc: shared */
struct page {
	unsigned long flags;
	union {
		struct {
			struct list_head lru;
			struct address_space *mapping;
			unsigned long index;
			unsigned long private;
		};
		struct {
			unsigned long pp_magic;
			struct page_pool *pp;
			unsigned long _pp_mapping_pad;
			unsigned long dma_addr;
			unsigned long pp_ref_count;
		};
		/* Pages after the first of a compound page: the first one's address + 1. */
		unsigned long compound_head;
		struct rcu_head rcu_head;
	};
	unsigned int page_type;
	atomic_t _refcount;
	/* The allocator's: order of a compound or free block, and what the block is. */
	unsigned int umc_order;
	unsigned int umc_state;
} __attribute__((aligned(16)));

_Static_assert(sizeof(struct page) == 64, "arithmetic on umc_mem_map counts on it");

/* umc: shared */
struct folio {
	union {
		struct {
			unsigned long flags;
			struct list_head lru;
			struct address_space *mapping;
			unsigned long index;
			void *private;
			unsigned int page_type;
			atomic_t _refcount;
		};
		struct page page;
	};
};

/* umc: shared */
struct page_frag {
	struct page *page;
	__u32 offset;
	__u32 size;
};

#define page_private(page)	((page)->private)

static inline void set_page_private(struct page *page, unsigned long private)
{
	page->private = private;
}

static inline void *folio_get_private(struct folio *folio)
{
	return folio->private;
}

#endif
