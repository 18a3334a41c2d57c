/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pools with a guaranteed number of elements (API of Linux 6.12).
 * Owner: umc/src/mm/mempool.rs
 */
#ifndef UMC_LINUX_MEMPOOL_H
#define UMC_LINUX_MEMPOOL_H

#include <linux/types.h>
#include <linux/gfp_types.h>
#include <linux/numa.h>
#include <linux/wait.h>

struct kmem_cache;

typedef void *(mempool_alloc_t)(gfp_t gfp_mask, void *pool_data);
typedef void (mempool_free_t)(void *element, void *pool_data);

/* umc: opaque. A pool that nobody waits for may be copied, and then only the copy is used; the `wait` of Linux is there for
 * who initializes it then, and unused. */
typedef struct mempool_s {
	unsigned long umc_opaque[4];
	struct wait_queue_head wait;
} mempool_t;

/* may sleep */
int mempool_init(mempool_t *pool, int min_nr, mempool_alloc_t *alloc_fn, mempool_free_t *free_fn,
		 void *pool_data);
int mempool_init_node(mempool_t *pool, int min_nr, mempool_alloc_t *alloc_fn,
		      mempool_free_t *free_fn, void *pool_data, gfp_t gfp_mask, int node_id);
mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc_fn, mempool_free_t *free_fn,
			  void *pool_data);
mempool_t *mempool_create_node(int min_nr, mempool_alloc_t *alloc_fn, mempool_free_t *free_fn,
			       void *pool_data, gfp_t gfp_mask, int nid);
int mempool_resize(mempool_t *pool, int new_min_nr);
void mempool_exit(mempool_t *pool);
void mempool_destroy(mempool_t *pool);

/* may sleep if gfp_mask has __GFP_DIRECT_RECLAIM, and then never fails */
void *mempool_alloc(mempool_t *pool, gfp_t gfp_mask);

/* any context */
void *mempool_alloc_preallocated(mempool_t *pool);
void mempool_free(void *element, mempool_t *pool);
bool mempool_initialized(mempool_t *pool);
bool mempool_is_saturated(mempool_t *pool);

void *mempool_alloc_slab(gfp_t gfp_mask, void *pool_data);
void mempool_free_slab(void *element, void *pool_data);
void *mempool_kmalloc(gfp_t gfp_mask, void *pool_data);
void mempool_kfree(void *element, void *pool_data);
void *mempool_kvmalloc(gfp_t gfp_mask, void *pool_data);
void mempool_kvfree(void *element, void *pool_data);
void *mempool_alloc_pages(gfp_t gfp_mask, void *pool_data);
void mempool_free_pages(void *element, void *pool_data);

#define mempool_init_slab_pool(pool, min_nr, kc)	\
	mempool_init(pool, (min_nr), mempool_alloc_slab, mempool_free_slab, (void *)(kc))
#define mempool_create_slab_pool(min_nr, kc)		\
	mempool_create((min_nr), mempool_alloc_slab, mempool_free_slab, (void *)(kc))
#define mempool_init_kmalloc_pool(pool, min_nr, size)	\
	mempool_init(pool, (min_nr), mempool_kmalloc, mempool_kfree, (void *)(unsigned long)(size))
#define mempool_create_kmalloc_pool(min_nr, size)	\
	mempool_create((min_nr), mempool_kmalloc, mempool_kfree, (void *)(unsigned long)(size))
#define mempool_init_kvmalloc_pool(pool, min_nr, size)	\
	mempool_init(pool, (min_nr), mempool_kvmalloc, mempool_kvfree, (void *)(unsigned long)(size))
#define mempool_create_kvmalloc_pool(min_nr, size)	\
	mempool_create((min_nr), mempool_kvmalloc, mempool_kvfree, (void *)(unsigned long)(size))
#define mempool_init_page_pool(pool, min_nr, order)	\
	mempool_init(pool, (min_nr), mempool_alloc_pages, mempool_free_pages, (void *)(long)(order))
#define mempool_create_page_pool(min_nr, order)		\
	mempool_create((min_nr), mempool_alloc_pages, mempool_free_pages, (void *)(long)(order))

#endif
