/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory barriers, as __atomic fences (API of 6.12).
 * Rust owner: none. Rust code uses `core::sync::atomic`.
 */
#ifndef UMC_ASM_BARRIER_H
#define UMC_ASM_BARRIER_H

#include <linux/compiler.h>
#include <asm/vdso/processor.h>

#define mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define __smp_mb() mb()
#define __smp_rmb() rmb()
#define __smp_wmb() wmb()
#define smp_mb() mb()
#define smp_rmb() rmb()
#define smp_wmb() wmb()
#define dma_mb() mb()
#define dma_rmb() rmb()
#define dma_wmb() wmb()
#define virt_mb() mb()
#define virt_rmb() rmb()
#define virt_wmb() wmb()
#define smp_read_barrier_depends() barrier()
#define smp_mb__before_atomic() mb()
#define smp_mb__after_atomic() mb()
#define smp_mb__after_spinlock() mb()
#define smp_mb__after_unlock_lock() mb()
#define smp_acquire__after_ctrl_dep() rmb()
#define array_index_nospec(index, size) (index)
#define barrier_nospec() barrier()

/* Plain members, no atomic type: the fences make them orderly, the volatile access makes them single. */
#define smp_store_release(p, value)                                                           \
	do {                                                                                  \
		__atomic_thread_fence(__ATOMIC_RELEASE);                                      \
		WRITE_ONCE(*(p), value);                                                      \
	} while (0)
#define smp_load_acquire(p)                                                                   \
	({                                                                                    \
		__unqual_scalar_typeof(*(p)) umc_loaded_ = READ_ONCE(*(p));                   \
		__atomic_thread_fence(__ATOMIC_ACQUIRE);                                      \
		(typeof(*(p)))umc_loaded_;                                                    \
	})
#define smp_store_mb(var, value)                                                              \
	do {                                                                                  \
		WRITE_ONCE(var, value);                                                       \
		smp_mb();                                                                     \
	} while (0)

#define smp_cond_load_relaxed(ptr, condition)                                                 \
	({                                                                                    \
		typeof(ptr) umc_ptr_ = (ptr);                                                 \
		__unqual_scalar_typeof(*(ptr)) VAL;                                           \
		while (VAL = READ_ONCE(*umc_ptr_), !(condition))                              \
			cpu_relax();                                                          \
		(typeof(*(ptr)))VAL;                                                          \
	})
#define smp_cond_load_acquire(ptr, condition)                                                 \
	({                                                                                    \
		__unqual_scalar_typeof(*(ptr)) umc_value_ =                                   \
			smp_cond_load_relaxed(ptr, condition);                                \
		smp_acquire__after_ctrl_dep();                                                \
		(typeof(*(ptr)))umc_value_;                                                   \
	})

#endif
