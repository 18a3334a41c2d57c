/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Minimum, maximum and clamping; each argument is evaluated once (API of 6.12).
 * min() and its relatives refuse to compare a signed with an unsigned value, unless one is a constant >= 0 or fits
 * into a wider signed type.
 */
#ifndef UMC_LINUX_MINMAX_H
#define UMC_LINUX_MINMAX_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/const.h>
#include <linux/types.h>

/* Signedness after the integer promotions; a pointer counts as unsigned. */
#define UMC_IS_SIGNED(x) \
	(is_signed_type(typeof(__builtin_choose_expr(__builtin_classify_type(x) == 5, 0ul, (x)) + 0)))
#define UMC_IS_CONST_NONNEG(x) (__builtin_choose_expr(__is_constexpr(x), (x), -1) >= 0)
#define UMC_CMP_OK(x, y)                                                                      \
	(UMC_IS_SIGNED(x) == UMC_IS_SIGNED(y) || UMC_IS_CONST_NONNEG(x) ||                    \
	 UMC_IS_CONST_NONNEG(y))

#define UMC_PICK_ONCE(op, x, y, ux, uy)                                                       \
	({                                                                                    \
		__auto_type ux = (x);                                                         \
		__auto_type uy = (y);                                                         \
		_Static_assert(UMC_CMP_OK(x, y), "signed and unsigned values are compared");  \
		ux op uy ? ux : uy;                                                           \
	})
#define UMC_PICK(op, x, y) UMC_PICK_ONCE(op, x, y, __UNIQUE_ID(x_), __UNIQUE_ID(y_))
#define UMC_PICK_TYPED(type, op, x, y, ux, uy)                                                \
	({                                                                                    \
		type ux = (x);                                                                \
		type uy = (y);                                                                \
		ux op uy ? ux : uy;                                                           \
	})

#define min(x, y) UMC_PICK(<, x, y)
#define max(x, y) UMC_PICK(>, x, y)
#define min3(x, y, z) min(min(x, y), z)
#define max3(x, y, z) max(max(x, y), z)
#define min_t(type, x, y) UMC_PICK_TYPED(type, <, x, y, __UNIQUE_ID(x_), __UNIQUE_ID(y_))
#define max_t(type, x, y) UMC_PICK_TYPED(type, >, x, y, __UNIQUE_ID(x_), __UNIQUE_ID(y_))
/* As unsigned values, whatever the types are. */
#define UMC_UNSIGNED(x) ((x) + 0u + 0ul + 0ull)
#define umin(x, y) min_t(unsigned long long, UMC_UNSIGNED(x), UMC_UNSIGNED(y))
#define umax(x, y) max_t(unsigned long long, UMC_UNSIGNED(x), UMC_UNSIGNED(y))
/* The smaller one that is not zero. */
#define UMC_MIN_NOT_ZERO(x, y, ux, uy)                                                        \
	({                                                                                    \
		__auto_type ux = (x);                                                         \
		__auto_type uy = (y);                                                         \
		_Static_assert(UMC_CMP_OK(x, y), "signed and unsigned values are compared");  \
		ux == 0 ? uy : (uy == 0 ? ux : (ux < uy ? ux : uy));                          \
	})
#define min_not_zero(x, y) UMC_MIN_NOT_ZERO(x, y, __UNIQUE_ID(x_), __UNIQUE_ID(y_))

#define clamp(val, lo, hi) min((typeof(val))max(val, lo), hi)
#define clamp_t(type, val, lo, hi) min_t(type, max_t(type, val, lo), hi)
#define clamp_val(val, lo, hi) clamp_t(typeof(val), val, lo, hi)

#define UMC_PICK_ARRAY(op, array, len)                                                        \
	({                                                                                    \
		typeof(&(array)[0]) umc_array_ = (array);                                     \
		size_t umc_len_ = (len);                                                      \
		__unqual_scalar_typeof(umc_array_[0]) umc_best_ = umc_array_[--umc_len_];     \
		while (umc_len_--)                                                            \
			if (umc_array_[umc_len_] op umc_best_)                                \
				umc_best_ = umc_array_[umc_len_];                             \
		umc_best_;                                                                    \
	})
#define min_array(array, len) UMC_PICK_ARRAY(<, array, len)
#define max_array(array, len) UMC_PICK_ARRAY(>, array, len)

static inline bool in_range64(u64 val, u64 start, u64 len)
{
	return val - start < len;
}

static inline bool in_range32(u32 val, u32 start, u32 len)
{
	return val - start < len;
}

#define in_range(val, start, len)                                                             \
	((sizeof(start) | sizeof(len) | sizeof(val)) <= sizeof(u32)                           \
		 ? in_range32(val, start, len)                                                \
		 : in_range64(val, start, len))

#define UMC_SWAP(a, b, tmp) do { typeof(a) tmp = (a); (a) = (b); (b) = tmp; } while (0)
#define swap(a, b) UMC_SWAP(a, b, __UNIQUE_ID(swap_))

/* Constant expressions: arguments may be evaluated twice. */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN_T(type, a, b) MIN((type)(a), (type)(b))
#define MAX_T(type, a, b) MAX((type)(a), (type)(b))

#endif
