/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kmalloc and caches of objects (API of Linux 6.12).
 * Differs: every object is an allocation of the host's malloc, so that sanitizers see each overrun and each use
 * after free; a cache counts its objects and runs its constructor on each allocation.
 * Owner: umc/src/mm/slab.rs
 */
#ifndef UMC_LINUX_SLAB_H
#define UMC_LINUX_SLAB_H

#include <linux/cache.h>
#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/overflow.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/cleanup.h>

typedef unsigned int slab_flags_t;

#define SLAB_CONSISTENCY_CHECKS	(1u << 0)
#define SLAB_RED_ZONE		(1u << 1)
#define SLAB_POISON		(1u << 2)
#define SLAB_KMALLOC		(1u << 3)
#define SLAB_HWCACHE_ALIGN	(1u << 4)
#define SLAB_CACHE_DMA		(1u << 5)
#define SLAB_CACHE_DMA32	(1u << 6)
#define SLAB_STORE_USER		(1u << 7)
#define SLAB_PANIC		(1u << 8)
#define SLAB_TYPESAFE_BY_RCU	(1u << 9)
#define SLAB_TRACE		(1u << 10)
#define SLAB_DEBUG_OBJECTS	0u
#define SLAB_NOLEAKTRACE	(1u << 12)
#define SLAB_NO_MERGE		(1u << 13)
#define SLAB_FAILSLAB		0u
#define SLAB_ACCOUNT		(1u << 15)
#define SLAB_KASAN		0u
#define SLAB_NO_USER_FLAGS	(1u << 17)
#define SLAB_SKIP_KFENCE	0u
#define SLAB_RECLAIM_ACCOUNT	(1u << 19)
#define SLAB_TEMPORARY		SLAB_RECLAIM_ACCOUNT

#define ZERO_SIZE_PTR		((void *)16)
#define ZERO_OR_NULL_PTR(x)	((unsigned long)(x) <= (unsigned long)ZERO_SIZE_PTR)

#define ARCH_KMALLOC_MINALIGN	16
#define ARCH_DMA_MINALIGN	8
#define ARCH_SLAB_MINALIGN	8
#define KMALLOC_MIN_SIZE	8
#define KMALLOC_SHIFT_MAX	(MAX_PAGE_ORDER + PAGE_SHIFT)
#define KMALLOC_MAX_SIZE	(1UL << KMALLOC_SHIFT_MAX)
#define KMALLOC_MAX_CACHE_SIZE	(2UL << PAGE_SHIFT)

/* umc: handle */
struct kmem_cache;

/* umc: shared */
struct kmem_cache_args {
	unsigned int align;
	unsigned int useroffset;
	unsigned int usersize;
	unsigned int freeptr_offset;
	bool use_freeptr_offset;
	void (*ctor)(void *);
};

/* may sleep */
struct kmem_cache *__kmem_cache_create_args(const char *name, unsigned int object_size,
					    struct kmem_cache_args *args, slab_flags_t flags);
void kmem_cache_destroy(struct kmem_cache *s);

static inline struct kmem_cache *
__kmem_cache_create(const char *name, unsigned int size, unsigned int align, slab_flags_t flags,
		    void (*ctor)(void *))
{
	struct kmem_cache_args args = { .align = align, .ctor = ctor };

	return __kmem_cache_create_args(name, size, &args, flags);
}

static inline struct kmem_cache *
__kmem_cache_default_args(const char *name, unsigned int size, struct kmem_cache_args *args,
			  slab_flags_t flags)
{
	struct kmem_cache_args none = { 0 };

	(void)args;
	return __kmem_cache_create_args(name, size, &none, flags);
}

static inline struct kmem_cache *
kmem_cache_create_usercopy(const char *name, unsigned int size, unsigned int align,
			   slab_flags_t flags, unsigned int useroffset, unsigned int usersize,
			   void (*ctor)(void *))
{
	struct kmem_cache_args args = {
		.align = align, .ctor = ctor, .useroffset = useroffset, .usersize = usersize,
	};

	return __kmem_cache_create_args(name, size, &args, flags);
}

/* (name, size, struct kmem_cache_args *, flags), or (name, size, align, flags, ctor) */
#define kmem_cache_create(name, size, args, ...)			\
	_Generic((args),						\
		struct kmem_cache_args *: __kmem_cache_create_args,	\
		void *: __kmem_cache_default_args,			\
		default: __kmem_cache_create)(name, size, args, __VA_ARGS__)

#define KMEM_CACHE(__struct, __flags)					\
	__kmem_cache_create_args(#__struct, sizeof(struct __struct),	\
		&(struct kmem_cache_args){ .align = __alignof__(struct __struct) }, (__flags))
#define KMEM_CACHE_USERCOPY(__struct, __flags, __field)	KMEM_CACHE(__struct, __flags)

/* any context */
void *kmem_cache_alloc(struct kmem_cache *s, gfp_t flags);
void kmem_cache_free(struct kmem_cache *s, void *objp);
void kmem_cache_free_bulk(struct kmem_cache *s, size_t size, void **p);
int kmem_cache_alloc_bulk(struct kmem_cache *s, gfp_t flags, size_t size, void **p);
unsigned int kmem_cache_size(struct kmem_cache *s);
int kmem_cache_shrink(struct kmem_cache *s);

#define kmem_cache_alloc_node(s, flags, node)	((void)(node), kmem_cache_alloc(s, flags))
#define kmem_cache_zalloc(s, flags)		kmem_cache_alloc(s, (flags) | __GFP_ZERO)

/* any context */
void *kmalloc(size_t size, gfp_t flags);
void *kzalloc(size_t size, gfp_t flags);
void *kmalloc_array(size_t n, size_t size, gfp_t flags);
void *kcalloc(size_t n, size_t size, gfp_t flags);
void *krealloc(const void *objp, size_t new_size, gfp_t flags);
void *krealloc_array(void *p, size_t new_n, size_t new_size, gfp_t flags);
void kfree(const void *objp);
void kfree_const(const void *x);
void kfree_sensitive(const void *objp);
size_t ksize(const void *objp);
size_t kmalloc_size_roundup(size_t size);

#define kmalloc_node(size, flags, node)		((void)(node), kmalloc(size, flags))
#define kzalloc_node(size, flags, node)		((void)(node), kzalloc(size, flags))
#define kmalloc_array_node(n, size, flags, node) ((void)(node), kmalloc_array(n, size, flags))
#define kcalloc_node(n, size, flags, node)	((void)(node), kcalloc(n, size, flags))
#define kmalloc_track_caller(size, flags)	kmalloc(size, flags)

/* may sleep */
void *kvmalloc(size_t size, gfp_t flags);
void *kvzalloc(size_t size, gfp_t flags);
void *kvmalloc_array(size_t n, size_t size, gfp_t flags);
void *kvcalloc(size_t n, size_t size, gfp_t flags);
void *kvrealloc(const void *p, size_t size, gfp_t flags);
void kvfree(const void *addr);
void kvfree_sensitive(const void *addr, size_t len);

#define kvmalloc_node(size, flags, node)	((void)(node), kvmalloc(size, flags))
#define kvzalloc_node(size, flags, node)	((void)(node), kvzalloc(size, flags))

/* Typed allocation, of kernels newer than 6.12. */
#define kmalloc_obj(obj, ...)	((typeof(obj) *)kmalloc(sizeof(obj), umc_gfp_or_kernel(__VA_ARGS__)))
#define kzalloc_obj(obj, ...)	((typeof(obj) *)kzalloc(sizeof(obj), umc_gfp_or_kernel(__VA_ARGS__)))
#define kmalloc_objs(obj, n, ...) \
	((typeof(obj) *)kmalloc_array(n, sizeof(obj), umc_gfp_or_kernel(__VA_ARGS__)))
#define kzalloc_objs(obj, n, ...) \
	((typeof(obj) *)kcalloc(n, sizeof(obj), umc_gfp_or_kernel(__VA_ARGS__)))
#define kzalloc_flex(obj, member, count, ...) \
	((typeof(obj) *)kzalloc(struct_size((typeof(obj) *)NULL, member, count), \
				umc_gfp_or_kernel(__VA_ARGS__)))
#define umc_gfp_or_kernel(...)	umc_gfp_or_kernel_(, ##__VA_ARGS__, GFP_KERNEL)
#define umc_gfp_or_kernel_(none, gfp, ...)	(gfp)

DEFINE_FREE(kfree, void *, if (!IS_ERR_OR_NULL(_T)) kfree(_T))
DEFINE_FREE(kvfree, void *, if (!IS_ERR_OR_NULL(_T)) kvfree(_T))

#endif
