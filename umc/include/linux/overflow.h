/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arithmetic that notices an overflow; sizes that saturate at SIZE_MAX, so that an allocation of them fails
 * (API of 6.12).
 */
#ifndef UMC_LINUX_OVERFLOW_H
#define UMC_LINUX_OVERFLOW_H

#include <linux/compiler.h>
#include <linux/const.h>
#include <linux/limits.h>

#define __type_half_max(type) ((type)1 << (8 * sizeof(type) - 1 - is_signed_type(type)))
#define type_max(t) ((typeof(t))((__type_half_max(typeof(t)) - 1) + __type_half_max(typeof(t))))
#define type_min(t) ((typeof(t))((typeof(t))-type_max(t) - (typeof(t))1))
#define __type_max(t) type_max(t)
#define __type_min(t) type_min(t)
#define is_non_negative(a) ((a) > 0 || (a) == 0)
#define is_negative(a) (!is_non_negative(a))

static inline bool __must_check __must_check_overflow(bool overflow)
{
	return unlikely(overflow);
}

#define check_add_overflow(a, b, d) __must_check_overflow(__builtin_add_overflow(a, b, d))
#define check_sub_overflow(a, b, d) __must_check_overflow(__builtin_sub_overflow(a, b, d))
#define check_mul_overflow(a, b, d) __must_check_overflow(__builtin_mul_overflow(a, b, d))
#define UMC_WRAPPING(type, op, a, b) \
	({ type umc_wrapped_; (void)__builtin_##op##_overflow(a, b, &umc_wrapped_); umc_wrapped_; })
#define wrapping_add(type, a, b) UMC_WRAPPING(type, add, a, b)
#define wrapping_sub(type, a, b) UMC_WRAPPING(type, sub, a, b)
#define wrapping_mul(type, a, b) UMC_WRAPPING(type, mul, a, b)
#define wrapping_assign_add(var, n) ((var) = wrapping_add(typeof(var), var, n))
#define wrapping_assign_sub(var, n) ((var) = wrapping_sub(typeof(var), var, n))

/* True when `a << s` does not fit `*d`, or `s` is no valid shift; `*d` holds the low bits then. */
#define check_shl_overflow(a, s, d)                                                           \
	__must_check_overflow(({                                                              \
		typeof(a) umc_a_ = (a);                                                       \
		typeof(s) umc_s_ = (s);                                                       \
		typeof(d) umc_d_ = (d);                                                       \
		u64 umc_full_ = (u64)umc_a_;                                                  \
		unsigned int umc_shift_ =                                                     \
			is_non_negative(umc_s_) && umc_s_ < 8 * sizeof(*(d)) ? umc_s_ : 0;    \
		*umc_d_ = (typeof(*(d)))(umc_full_ << umc_shift_);                            \
		umc_shift_ != (unsigned int)umc_s_ || is_negative(*umc_d_) ||                 \
			is_negative(umc_a_) || ((u64)*umc_d_ >> umc_shift_) != umc_full_;     \
	}))

/* Whether the value `n` is out of the range of `T`, a type or a variable. */
#define overflows_type(n, T)                                                                  \
	({                                                                                    \
		typeof(T) umc_narrow_;                                                        \
		__builtin_add_overflow((n), 0, &umc_narrow_);                                 \
	})
#define castable_to_type(n, T)                                                                \
	__builtin_choose_expr(__is_constexpr(n), !overflows_type(n, T), __same_type(n, T))
#define range_overflows(start, size, max)                                                     \
	({                                                                                    \
		typeof(start) umc_start_ = (start);                                           \
		typeof(size) umc_size_ = (size);                                              \
		typeof(max) umc_max_ = (max);                                                 \
		umc_start_ >= umc_max_ || umc_size_ > umc_max_ - umc_start_;                  \
	})
#define range_overflows_t(type, start, size, max) \
	range_overflows((type)(start), (type)(size), (type)(max))

static inline size_t __must_check size_mul(size_t a, size_t b)
{
	size_t product;

	return check_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

static inline size_t __must_check size_add(size_t a, size_t b)
{
	size_t sum;

	return check_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

/* SIZE_MAX is infinite: nothing can be taken from it. */
static inline size_t __must_check size_sub(size_t a, size_t b)
{
	size_t rest;

	if (a == SIZE_MAX || b == SIZE_MAX || check_sub_overflow(a, b, &rest))
		return SIZE_MAX;
	return rest;
}

#define array_size(a, b) size_mul(a, b)
#define array3_size(a, b, c) size_mul(size_mul(a, b), c)
#define UMC_SIZE_MUL(a, b) \
	__builtin_choose_expr(__is_constexpr(b), (size_t)(a) * (b), size_mul(a, b))
#define UMC_SIZE_ADD(a, b, constant) \
	__builtin_choose_expr(__is_constexpr(constant), (a) + (b), size_add(a, b))
#define flex_array_size(p, member, count)                                                     \
	UMC_SIZE_MUL(sizeof(*(p)->member) + __must_be_array((p)->member), count)
#define struct_size(p, member, count) \
	UMC_SIZE_ADD(sizeof(*(p)), flex_array_size(p, member, count), count)
#define struct_size_t(type, member, count) struct_size((type *)NULL, member, count)

/* A struct with `count` elements of its flexible array, on the stack, all zero. */
#define DEFINE_RAW_FLEX(type, name, member, count)                                            \
	union {                                                                               \
		u8 bytes[struct_size_t(type, member, count)];                                 \
		type obj;                                                                     \
	} name##_u = { { 0 } };                                                               \
	type *name = (type *)&name##_u
#define DEFINE_FLEX(type, name, member, counter, count)                                       \
	DEFINE_RAW_FLEX(type, name, member, count);                                           \
	name->counter = (count)

#endif
