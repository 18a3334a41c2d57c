/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hints, barriers and checks of the compiler (API of 6.12).
 * Differs from Linux: no branch profiling, no objtool annotations.
 * Rust owner: none, compile-time only.
 */
#ifndef UMC_LINUX_COMPILER_H
#define UMC_LINUX_COMPILER_H

#include <linux/compiler_types.h>

#ifndef __ASSEMBLY__

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define likely_notrace(x) likely(x)
#define unlikely_notrace(x) unlikely(x)

#define barrier() __asm__ __volatile__("" : : : "memory")
#define barrier_data(ptr) __asm__ __volatile__("" : : "r"(ptr) : "memory")
#define barrier_before_unreachable() __asm__ __volatile__("")
#define unreachable() __builtin_unreachable()
#define prevent_tail_call_optimization() barrier()
#define OPTIMIZER_HIDE_VAR(var) __asm__("" : "=r"(var) : "0"(var))
#define RELOC_HIDE(ptr, offset)                                                               \
	({                                                                                    \
		unsigned long umc_base_ = (unsigned long)(ptr);                               \
		OPTIMIZER_HIDE_VAR(umc_base_);                                                \
		(typeof(ptr))(umc_base_ + (offset));                                          \
	})
#define absolute_pointer(value) RELOC_HIDE((void *)(value), 0)
#define data_race(expr) (expr)
#define __UNIQUE_ID(prefix) __PASTE(__PASTE(__UNIQUE_ID_, prefix), __COUNTER__)
#define __ADDRESSABLE(symbol)                                                                 \
	static void *__used __section(".discard.addressable")                                 \
		__PASTE(__UNIQUE_ID___addressable_##symbol, __COUNTER__) = (void *)&symbol;

/* One exactly when `x` is an integer constant expression: only then is the pointer below the null pointer constant, which
 * leaves the other branch its type. */
struct umc_not_constant;
#define __is_constexpr(x)                                                                     \
	_Generic(0 ? (void *)(0L & (long)(x)) : (struct umc_not_constant *)0,                 \
		struct umc_not_constant *: 1, void *: 0)
#define statically_true(x) (__builtin_constant_p(x) && (x))
#define is_signed_type(type) ((type)-1 < (type)1)
#define is_unsigned_type(type) (!is_signed_type(type))

/* Zero; does not compile when the argument is a pointer, or is no string array. */
#define UMC_ZERO_OR_ERROR(bad, message)                                                       \
	((int)(sizeof(struct { _Static_assert(!(bad), message); int umc_unused_; }) * 0))
#define __must_be_array(a) UMC_ZERO_OR_ERROR(__same_type((a), &(a)[0]), "must be an array")
#define __must_be_cstr(p) (0)

#include <asm/rwonce.h>

#endif /* __ASSEMBLY__ */

#endif
