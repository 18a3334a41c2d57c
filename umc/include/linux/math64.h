/* SPDX-License-Identifier: GPL-2.0-only */
/* 64-bit division as functions; plain arithmetic on a 64-bit host (API of 6.12). */
#ifndef UMC_LINUX_MATH64_H
#define UMC_LINUX_MATH64_H

#include <linux/types.h>
#include <linux/math.h>
#include <asm/div64.h>

#define div64_long(x, y) div64_s64((x), (y))
#define div64_ul(x, y) div64_u64((x), (y))

static inline u64 div_u64_rem(u64 dividend, u32 divisor, u32 *remainder)
{
	*remainder = dividend % divisor;
	return dividend / divisor;
}

static inline s64 div_s64_rem(s64 dividend, s32 divisor, s32 *remainder)
{
	*remainder = dividend % divisor;
	return dividend / divisor;
}

static inline u64 div64_u64_rem(u64 dividend, u64 divisor, u64 *remainder)
{
	*remainder = dividend % divisor;
	return dividend / divisor;
}

static inline u64 div64_u64(u64 dividend, u64 divisor)
{
	return dividend / divisor;
}

static inline s64 div64_s64(s64 dividend, s64 divisor)
{
	return dividend / divisor;
}

static inline u64 div_u64(u64 dividend, u32 divisor)
{
	return dividend / divisor;
}

static inline s64 div_s64(s64 dividend, s32 divisor)
{
	return dividend / divisor;
}

static inline u64 mul_u32_u32(u32 a, u32 b)
{
	return (u64)a * b;
}

static inline u64 mul_u64_u32_shr(u64 a, u32 mul, unsigned int shift)
{
	return (u64)(((unsigned __int128)a * mul) >> shift);
}

static inline u64 mul_u64_u64_shr(u64 a, u64 mul, unsigned int shift)
{
	return (u64)(((unsigned __int128)a * mul) >> shift);
}

static inline u64 mul_u64_u32_div(u64 a, u32 mul, u32 divisor)
{
	return (u64)((unsigned __int128)a * mul / divisor);
}

static inline u64 mul_u64_u64_div_u64(u64 a, u64 mul, u64 divisor)
{
	return (u64)((unsigned __int128)a * mul / divisor);
}

#define DIV64_U64_ROUND_UP(n, d)                                                              \
	({                                                                                    \
		u64 umc_d_ = (d);                                                             \
		div64_u64((n) + umc_d_ - 1, umc_d_);                                          \
	})
#define DIV_U64_ROUND_UP(n, d)                                                                \
	({                                                                                    \
		u32 umc_d_ = (d);                                                             \
		div_u64((n) + umc_d_ - 1, umc_d_);                                            \
	})
#define DIV64_U64_ROUND_CLOSEST(n, d)                                                         \
	({                                                                                    \
		u64 umc_d_ = (d);                                                             \
		div64_u64((n) + umc_d_ / 2, umc_d_);                                          \
	})
#define DIV_U64_ROUND_CLOSEST(n, d)                                                           \
	({                                                                                    \
		u32 umc_d_ = (d);                                                             \
		div_u64((u64)(n) + umc_d_ / 2, umc_d_);                                       \
	})

#endif
