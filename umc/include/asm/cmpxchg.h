/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exchange and compare-and-exchange on words of 1 to 8 bytes, pointers included (API of 6.12).
 * The plain forms are fully ordered, the suffixed ones as their names say.
 * Rust owner: none.
 */
#ifndef UMC_ASM_CMPXCHG_H
#define UMC_ASM_CMPXCHG_H

#include <linux/compiler.h>
#include <linux/types.h>

#define UMC_XCHG(ptr, value, order)                                                           \
	({                                                                                    \
		typeof(*(ptr)) umc_new_ = (typeof(*(ptr)))(value);                            \
		typeof(*(ptr)) umc_seen_;                                                     \
		__atomic_exchange((ptr), &umc_new_, &umc_seen_, order);                       \
		umc_seen_;                                                                    \
	})
#define xchg(ptr, value) UMC_XCHG(ptr, value, __ATOMIC_SEQ_CST)
#define xchg_acquire(ptr, value) UMC_XCHG(ptr, value, __ATOMIC_ACQUIRE)
#define xchg_release(ptr, value) UMC_XCHG(ptr, value, __ATOMIC_RELEASE)
#define xchg_relaxed(ptr, value) UMC_XCHG(ptr, value, __ATOMIC_RELAXED)

/* The value that was seen: equal to `old` when the exchange took place. */
#define UMC_CMPXCHG(ptr, old, new, order, order_failed)                                       \
	({                                                                                    \
		typeof(*(ptr)) umc_seen_ = (typeof(*(ptr)))(old);                             \
		typeof(*(ptr)) umc_new_ = (typeof(*(ptr)))(new);                              \
		(void)__atomic_compare_exchange((ptr), &umc_seen_, &umc_new_, 0, order,       \
						order_failed);                                \
		umc_seen_;                                                                    \
	})
#define cmpxchg(ptr, old, new) UMC_CMPXCHG(ptr, old, new, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define cmpxchg_acquire(ptr, old, new) \
	UMC_CMPXCHG(ptr, old, new, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)
#define cmpxchg_release(ptr, old, new) \
	UMC_CMPXCHG(ptr, old, new, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define cmpxchg_relaxed(ptr, old, new) \
	UMC_CMPXCHG(ptr, old, new, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define cmpxchg64(ptr, old, new) cmpxchg(ptr, old, new)
#define cmpxchg64_relaxed(ptr, old, new) cmpxchg_relaxed(ptr, old, new)
#define cmpxchg_local(ptr, old, new) cmpxchg(ptr, old, new)
#define sync_cmpxchg(ptr, old, new) cmpxchg(ptr, old, new)

/* True when the exchange took place; else `*oldp` becomes the value that was seen. */
#define UMC_TRY_CMPXCHG(ptr, oldp, new, order, order_failed)                                  \
	({                                                                                    \
		typeof(*(ptr)) umc_new_ = (typeof(*(ptr)))(new);                              \
		__atomic_compare_exchange((ptr), (oldp), &umc_new_, 0, order, order_failed);  \
	})
#define try_cmpxchg(ptr, oldp, new) \
	UMC_TRY_CMPXCHG(ptr, oldp, new, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define try_cmpxchg_acquire(ptr, oldp, new) \
	UMC_TRY_CMPXCHG(ptr, oldp, new, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)
#define try_cmpxchg_release(ptr, oldp, new) \
	UMC_TRY_CMPXCHG(ptr, oldp, new, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define try_cmpxchg_relaxed(ptr, oldp, new) \
	UMC_TRY_CMPXCHG(ptr, oldp, new, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define try_cmpxchg64(ptr, oldp, new) try_cmpxchg(ptr, oldp, new)

#endif
