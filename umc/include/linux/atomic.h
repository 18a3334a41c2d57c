/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Atomic integers: atomic_t, atomic64_t and atomic_long_t (API of 6.12).
 * Functions that return a value are fully ordered, or as their suffix says; those that return nothing, and plain
 * reads and sets, order nothing. All arithmetic wraps.
 * Rust owner: none. Rust code views the counter as `AtomicI32` or `AtomicI64`.
 */
#ifndef UMC_LINUX_ATOMIC_H
#define UMC_LINUX_ATOMIC_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/cmpxchg.h>

/*
 * Every operation of one type. `A` is the prefix of the functions, `T` the struct, `V` the type of a value.
 * Operations that return something come in four orderings.
 */
#define UMC_ATOMIC_ORDERS(MAKE, ...)                                                          \
	MAKE(__VA_ARGS__, , __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)                               \
	MAKE(__VA_ARGS__, _acquire, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)                       \
	MAKE(__VA_ARGS__, _release, __ATOMIC_RELEASE, __ATOMIC_RELAXED)                       \
	MAKE(__VA_ARGS__, _relaxed, __ATOMIC_RELAXED, __ATOMIC_RELAXED)

#define UMC_ATOMIC_RETURN(A, T, V, op, SUF, ORDER, FAILED)                                    \
	static __always_inline V A##_##op##_return##SUF(V i, T *v)                            \
	{                                                                                     \
		return __atomic_##op##_fetch(&v->counter, i, ORDER);                          \
	}
#define UMC_ATOMIC_FETCH(A, T, V, op, SUF, ORDER, FAILED)                                     \
	static __always_inline V A##_fetch_##op##SUF(V i, T *v)                               \
	{                                                                                     \
		return __atomic_fetch_##op(&v->counter, i, ORDER);                            \
	}
#define UMC_ATOMIC_OP(A, T, V, op)                                                            \
	static __always_inline void A##_##op(V i, T *v)                                       \
	{                                                                                     \
		(void)__atomic_fetch_##op(&v->counter, i, __ATOMIC_RELAXED);                  \
	}                                                                                     \
	UMC_ATOMIC_ORDERS(UMC_ATOMIC_FETCH, A, T, V, op)
#define UMC_ATOMIC_SPECIAL(A, T, V, SUF, ORDER, FAILED)                                       \
	static __always_inline V A##_inc_return##SUF(T *v)                                    \
	{                                                                                     \
		return __atomic_add_fetch(&v->counter, 1, ORDER);                             \
	}                                                                                     \
	static __always_inline V A##_dec_return##SUF(T *v)                                    \
	{                                                                                     \
		return __atomic_sub_fetch(&v->counter, 1, ORDER);                             \
	}                                                                                     \
	static __always_inline V A##_fetch_inc##SUF(T *v)                                     \
	{                                                                                     \
		return __atomic_fetch_add(&v->counter, 1, ORDER);                             \
	}                                                                                     \
	static __always_inline V A##_fetch_dec##SUF(T *v)                                     \
	{                                                                                     \
		return __atomic_fetch_sub(&v->counter, 1, ORDER);                             \
	}                                                                                     \
	static __always_inline V A##_fetch_andnot##SUF(V i, T *v)                             \
	{                                                                                     \
		return __atomic_fetch_and(&v->counter, ~i, ORDER);                            \
	}                                                                                     \
	static __always_inline V A##_xchg##SUF(T *v, V i)                                     \
	{                                                                                     \
		return __atomic_exchange_n(&v->counter, i, ORDER);                            \
	}                                                                                     \
	static __always_inline bool A##_try_cmpxchg##SUF(T *v, V *old, V new)                 \
	{                                                                                     \
		return __atomic_compare_exchange_n(&v->counter, (typeof(v->counter) *)old,    \
						   new, 0, ORDER, FAILED);                    \
	}                                                                                     \
	static __always_inline V A##_cmpxchg##SUF(T *v, V old, V new)                         \
	{                                                                                     \
		typeof(v->counter) seen = old;                                                \
                                                                                              \
		(void)__atomic_compare_exchange_n(&v->counter, &seen, new, 0, ORDER, FAILED); \
		return seen;                                                                  \
	}                                                                                     \
	static __always_inline bool A##_add_negative##SUF(V i, T *v)                          \
	{                                                                                     \
		return __atomic_add_fetch(&v->counter, i, ORDER) < 0;                         \
	}

/* Changes the value only while `condition` holds for it, which is seen as `c`. */
#define UMC_ATOMIC_UNLESS(A, T, V, name, params, condition, next)                             \
	static __always_inline bool A##_##name params                                         \
	{                                                                                     \
		V c = __atomic_load_n(&v->counter, __ATOMIC_RELAXED);                         \
                                                                                              \
		do {                                                                          \
			if (!(condition))                                                     \
				return false;                                                 \
		} while (!A##_try_cmpxchg(v, &c, next));                                      \
		return true;                                                                  \
	}

#define UMC_ATOMIC_TYPE(A, T, V)                                                              \
	static __always_inline V A##_read(const T *v)                                         \
	{                                                                                     \
		return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);                        \
	}                                                                                     \
	static __always_inline V A##_read_acquire(const T *v)                                 \
	{                                                                                     \
		return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE);                        \
	}                                                                                     \
	static __always_inline void A##_set(T *v, V i)                                        \
	{                                                                                     \
		__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);                           \
	}                                                                                     \
	static __always_inline void A##_set_release(T *v, V i)                                \
	{                                                                                     \
		__atomic_store_n(&v->counter, i, __ATOMIC_RELEASE);                           \
	}                                                                                     \
	UMC_ATOMIC_OP(A, T, V, add)                                                           \
	UMC_ATOMIC_OP(A, T, V, sub)                                                           \
	UMC_ATOMIC_OP(A, T, V, and)                                                           \
	UMC_ATOMIC_OP(A, T, V, or)                                                            \
	UMC_ATOMIC_OP(A, T, V, xor)                                                           \
	UMC_ATOMIC_ORDERS(UMC_ATOMIC_RETURN, A, T, V, add)                                    \
	UMC_ATOMIC_ORDERS(UMC_ATOMIC_RETURN, A, T, V, sub)                                    \
	UMC_ATOMIC_ORDERS(UMC_ATOMIC_SPECIAL, A, T, V)                                        \
	static __always_inline void A##_andnot(V i, T *v)                                     \
	{                                                                                     \
		(void)__atomic_fetch_and(&v->counter, ~i, __ATOMIC_RELAXED);                  \
	}                                                                                     \
	static __always_inline void A##_inc(T *v)                                             \
	{                                                                                     \
		(void)__atomic_fetch_add(&v->counter, 1, __ATOMIC_RELAXED);                   \
	}                                                                                     \
	static __always_inline void A##_dec(T *v)                                             \
	{                                                                                     \
		(void)__atomic_fetch_sub(&v->counter, 1, __ATOMIC_RELAXED);                   \
	}                                                                                     \
	static __always_inline bool A##_sub_and_test(V i, T *v)                               \
	{                                                                                     \
		return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST) == 0;             \
	}                                                                                     \
	static __always_inline bool A##_dec_and_test(T *v)                                    \
	{                                                                                     \
		return __atomic_sub_fetch(&v->counter, 1, __ATOMIC_SEQ_CST) == 0;             \
	}                                                                                     \
	static __always_inline bool A##_inc_and_test(T *v)                                    \
	{                                                                                     \
		return __atomic_add_fetch(&v->counter, 1, __ATOMIC_SEQ_CST) == 0;             \
	}                                                                                     \
	UMC_ATOMIC_UNLESS(A, T, V, add_unless, (T *v, V a, V u), c != u,                      \
			  (V)(UMC_WRAP_ADD(V, c, a)))                                         \
	UMC_ATOMIC_UNLESS(A, T, V, inc_not_zero, (T *v), c != 0, (V)(UMC_WRAP_ADD(V, c, 1)))  \
	UMC_ATOMIC_UNLESS(A, T, V, inc_unless_negative, (T *v), c >= 0,                       \
			  (V)(UMC_WRAP_ADD(V, c, 1)))                                         \
	UMC_ATOMIC_UNLESS(A, T, V, dec_unless_positive, (T *v), c <= 0,                       \
			  (V)(UMC_WRAP_ADD(V, c, -1)))                                        \
	static __always_inline V A##_fetch_add_unless(T *v, V a, V u)                         \
	{                                                                                     \
		V c = __atomic_load_n(&v->counter, __ATOMIC_RELAXED);                         \
                                                                                              \
		while (c != u && !A##_try_cmpxchg(v, &c, (V)(UMC_WRAP_ADD(V, c, a))))         \
			;                                                                     \
		return c;                                                                     \
	}                                                                                     \
	static __always_inline V A##_dec_if_positive(T *v)                                    \
	{                                                                                     \
		V c = __atomic_load_n(&v->counter, __ATOMIC_RELAXED);                         \
                                                                                              \
		while (c > 0 && !A##_try_cmpxchg(v, &c, c - 1))                               \
			;                                                                     \
		return (V)(UMC_WRAP_ADD(V, c, -1));                                           \
	}

/* Sum that wraps whatever the flags of the compiler say. */
#define UMC_WRAP_ADD(V, a, b) \
	({ V umc_sum_; (void)__builtin_add_overflow((V)(a), (V)(b), &umc_sum_); umc_sum_; })

UMC_ATOMIC_TYPE(atomic, atomic_t, int)
UMC_ATOMIC_TYPE(atomic64, atomic64_t, s64)
UMC_ATOMIC_TYPE(atomic_long, atomic_long_t, long)

#define atomic_cond_read_acquire(v, c) smp_cond_load_acquire(&(v)->counter, (c))
#define atomic_cond_read_relaxed(v, c) smp_cond_load_relaxed(&(v)->counter, (c))
#define atomic64_cond_read_acquire(v, c) smp_cond_load_acquire(&(v)->counter, (c))
#define atomic64_cond_read_relaxed(v, c) smp_cond_load_relaxed(&(v)->counter, (c))
#define atomic_long_cond_read_acquire(v, c) smp_cond_load_acquire(&(v)->counter, (c))
#define atomic_long_cond_read_relaxed(v, c) smp_cond_load_relaxed(&(v)->counter, (c))

#endif
