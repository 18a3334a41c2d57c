/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sparse arrays of pointers (API of 6.12): the plain, unmarked part of the interface.
 * Differs from Linux: a tree behind a lock of its own; xa_lock is only for the caller's own exclusion, the functions
 * with two underscores expect it held and the others do not take it. No marks except that of an allocating array.
 * Rust owner: `xarray.rs`.
 */
#ifndef UMC_LINUX_XARRAY_H
#define UMC_LINUX_XARRAY_H

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kconfig.h>
#include <linux/limits.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/* umc: shared */
struct xarray {
	spinlock_t xa_lock;
	gfp_t xa_flags;
	/* The table of idr.rs. */
	unsigned long __umc[4];
};

/* umc: shared */
struct xa_limit {
	u32 max;
	u32 min;
};

#define XA_LIMIT(lowest, highest) (struct xa_limit) { .min = (lowest), .max = (highest) }
#define xa_limit_32b XA_LIMIT(0, UINT_MAX)
#define xa_limit_31b XA_LIMIT(0, INT_MAX)
#define xa_limit_16b XA_LIMIT(0, USHRT_MAX)

typedef unsigned int xa_mark_t;
#define XA_PRESENT 8U

#define XA_FLAGS_LOCK_IRQ 1U
#define XA_FLAGS_LOCK_BH 2U
#define XA_FLAGS_TRACK_FREE 4U
#define XA_FLAGS_ZERO_BUSY 8U
#define XA_FLAGS_ALLOC_WRAPPED 16U
#define XA_FLAGS_ACCOUNT 32U
#define XA_FLAGS_ALLOC (XA_FLAGS_TRACK_FREE)
#define XA_FLAGS_ALLOC1 (XA_FLAGS_TRACK_FREE | XA_FLAGS_ZERO_BUSY)

#define XARRAY_INIT(name, flags) \
	{ .xa_lock = __SPIN_LOCK_UNLOCKED((name).xa_lock), .xa_flags = (flags) }
#define DEFINE_XARRAY_FLAGS(name, flags) struct xarray name = XARRAY_INIT(name, flags)
#define DEFINE_XARRAY(name) DEFINE_XARRAY_FLAGS(name, 0)
#define DEFINE_XARRAY_ALLOC(name) DEFINE_XARRAY_FLAGS(name, XA_FLAGS_ALLOC)
#define DEFINE_XARRAY_ALLOC1(name) DEFINE_XARRAY_FLAGS(name, XA_FLAGS_ALLOC1)

/* Integers as entries. */
#define xa_mk_value(value) ((void *)(((unsigned long)(value) << 1) | 1))
#define xa_to_value(entry) ((unsigned long)(entry) >> 1)
#define xa_is_value(entry) (((unsigned long)(entry) & 1) != 0)
#define xa_mk_internal(value) ((void *)(((unsigned long)(value) << 2) | 2))
#define xa_is_internal(entry) (((unsigned long)(entry) & 3) == 2)
/* Errors as entries: a negative number, marked as internal. */
#define xa_is_err(entry) \
	(xa_is_internal(entry) && (unsigned long)(entry) >= (unsigned long)xa_mk_internal(-MAX_ERRNO))
#define xa_err(entry) (xa_is_err(entry) ? (int)((long)(entry) >> 2) : 0)

extern void *xa_load(struct xarray *xa, unsigned long index);
extern void *__xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
extern void *__xa_erase(struct xarray *xa, unsigned long index);
extern void *__xa_cmpxchg(struct xarray *xa, unsigned long index, void *old, void *entry, gfp_t gfp);
extern int __must_check __xa_insert(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp);
extern int __must_check __xa_alloc(struct xarray *xa, u32 *id, void *entry, struct xa_limit limit,
				   gfp_t gfp);
extern int __must_check __xa_alloc_cyclic(struct xarray *xa, u32 *id, void *entry,
					  struct xa_limit limit, u32 *next, gfp_t gfp);
/* `filter` is XA_PRESENT: other marks do not exist here. */
extern void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t filter);
extern void *xa_find_after(struct xarray *xa, unsigned long *index, unsigned long max,
			   xa_mark_t filter);
extern bool xa_empty(const struct xarray *xa);
extern void xa_destroy(struct xarray *xa);

static inline void xa_init_flags(struct xarray *xa, gfp_t flags)
{
	spin_lock_init(&xa->xa_lock);
	xa->xa_flags = flags;
	for (int i = 0; i < 4; i++)
		xa->__umc[i] = 0;
}

static inline void xa_init(struct xarray *xa)
{
	xa_init_flags(xa, 0);
}

#define xa_trylock(xa) spin_trylock(&(xa)->xa_lock)
#define xa_lock(xa) spin_lock(&(xa)->xa_lock)
#define xa_unlock(xa) spin_unlock(&(xa)->xa_lock)
#define xa_lock_bh(xa) spin_lock_bh(&(xa)->xa_lock)
#define xa_unlock_bh(xa) spin_unlock_bh(&(xa)->xa_lock)
#define xa_lock_irq(xa) spin_lock_irq(&(xa)->xa_lock)
#define xa_unlock_irq(xa) spin_unlock_irq(&(xa)->xa_lock)
#define xa_lock_irqsave(xa, flags) spin_lock_irqsave(&(xa)->xa_lock, flags)
#define xa_unlock_irqrestore(xa, flags) spin_unlock_irqrestore(&(xa)->xa_lock, flags)

/* The same under xa_lock. */
#define UMC_XA_LOCKED(type, xa, call)                                                         \
	type umc_result_;                                                                     \
	xa_lock(xa);                                                                          \
	umc_result_ = call;                                                                   \
	xa_unlock(xa);                                                                        \
	return umc_result_

static inline void *xa_store(struct xarray *xa, unsigned long index, void *entry, gfp_t gfp)
{
	UMC_XA_LOCKED(void *, xa, __xa_store(xa, index, entry, gfp));
}

static inline void *xa_erase(struct xarray *xa, unsigned long index)
{
	UMC_XA_LOCKED(void *, xa, __xa_erase(xa, index));
}

static inline void *xa_cmpxchg(struct xarray *xa, unsigned long index, void *old, void *entry,
			       gfp_t gfp)
{
	UMC_XA_LOCKED(void *, xa, __xa_cmpxchg(xa, index, old, entry, gfp));
}

static inline int __must_check xa_insert(struct xarray *xa, unsigned long index, void *entry,
					 gfp_t gfp)
{
	UMC_XA_LOCKED(int, xa, __xa_insert(xa, index, entry, gfp));
}

static inline int __must_check xa_alloc(struct xarray *xa, u32 *id, void *entry,
					struct xa_limit limit, gfp_t gfp)
{
	UMC_XA_LOCKED(int, xa, __xa_alloc(xa, id, entry, limit, gfp));
}

static inline int __must_check xa_alloc_cyclic(struct xarray *xa, u32 *id, void *entry,
					       struct xa_limit limit, u32 *next, gfp_t gfp)
{
	UMC_XA_LOCKED(int, xa, __xa_alloc_cyclic(xa, id, entry, limit, next, gfp));
}

#define xa_for_each_range(xa, index, entry, start, last)                                      \
	for ((index) = (start), (entry) = xa_find(xa, &(index), last, XA_PRESENT); (entry);   \
	     (entry) = xa_find_after(xa, &(index), last, XA_PRESENT))
#define xa_for_each_start(xa, index, entry, start) \
	xa_for_each_range(xa, index, entry, start, ULONG_MAX)
#define xa_for_each(xa, index, entry) xa_for_each_start(xa, index, entry, 0)

#endif
