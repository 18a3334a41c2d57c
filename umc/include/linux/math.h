/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rounding, division, absolute values (API of 6.12).
 * Rust owner: `math.rs` (`int_pow`, `int_sqrt`, `gcd`, `lcm`).
 */
#ifndef UMC_LINUX_MATH_H
#define UMC_LINUX_MATH_H

#include <linux/types.h>
#include <asm/div64.h>
#include <uapi/linux/kernel.h>

/* To powers of two. */
#define __round_mask(x, y) ((typeof(x))((y) - 1))
#define round_up(x, y) ((((x) - 1) | __round_mask(x, y)) + 1)
#define round_down(x, y) ((x) & ~__round_mask(x, y))
/* To anything. */
#define roundup(x, y)                                                                         \
	({                                                                                    \
		typeof(y) umc_unit_ = (y);                                                    \
		(((x) + (umc_unit_ - 1)) / umc_unit_) * umc_unit_;                            \
	})
#define rounddown(x, y)                                                                       \
	({                                                                                    \
		typeof(x) umc_value_ = (x);                                                   \
		umc_value_ - (umc_value_ % (y));                                              \
	})

#define DIV_ROUND_UP __KERNEL_DIV_ROUND_UP
#define DIV_ROUND_UP_POW2(n, d) ((n) / (d) + !!((n) & ((d) - 1)))
#define DIV_ROUND_DOWN_ULL(n, d) ((unsigned long long)(n) / (d))
#define DIV_ROUND_UP_ULL(n, d) DIV_ROUND_DOWN_ULL((unsigned long long)(n) + (d) - 1, (d))
#define DIV_ROUND_UP_SECTOR_T(n, d) DIV_ROUND_UP_ULL(n, d)
/* Half is rounded away from zero. */
#define DIV_ROUND_CLOSEST(x, divisor)                                                         \
	({                                                                                    \
		typeof(x) umc_n_ = (x);                                                       \
		typeof(divisor) umc_d_ = (divisor);                                           \
		(((typeof(x))-1) > 0 || ((typeof(divisor))-1) > 0 ||                          \
		 ((umc_n_ > 0) == (umc_d_ > 0)))                                              \
			? ((umc_n_ + (umc_d_ / 2)) / umc_d_)                                  \
			: ((umc_n_ - (umc_d_ / 2)) / umc_d_);                                 \
	})
#define DIV_ROUND_CLOSEST_ULL(x, divisor)                                                     \
	({                                                                                    \
		unsigned long long umc_n_ = (x);                                              \
		typeof(divisor) umc_d_ = (divisor);                                           \
		(umc_n_ + umc_d_ / 2) / umc_d_;                                               \
	})
#define mult_frac(x, n, d)                                                                    \
	({                                                                                    \
		typeof(x) umc_x_ = (x);                                                       \
		typeof(n) umc_n_ = (n);                                                       \
		typeof(d) umc_d_ = (d);                                                       \
		umc_x_ / umc_d_ * umc_n_ + umc_x_ % umc_d_ * umc_n_ / umc_d_;                 \
	})
#define sector_div(n, base) do_div(n, base)

/* The result has the promoted type of the argument. */
#define abs(x)                                                                                \
	({                                                                                    \
		typeof((x) + 0) umc_abs_ = (x);                                               \
		umc_abs_ < 0 ? -umc_abs_ : umc_abs_;                                          \
	})
#define abs_diff(a, b)                                                                        \
	({                                                                                    \
		typeof(a) umc_a_ = (a);                                                       \
		typeof(b) umc_b_ = (b);                                                       \
		umc_a_ > umc_b_ ? umc_a_ - umc_b_ : umc_b_ - umc_a_;                          \
	})

static inline u32 reciprocal_scale(u32 val, u32 ep_ro)
{
	return (u32)(((u64)val * ep_ro) >> 32);
}

extern u64 int_pow(u64 base, unsigned int exp);
extern unsigned long int_sqrt(unsigned long x);

static inline u32 int_sqrt64(u64 x)
{
	return (u32)int_sqrt(x);
}

#endif
