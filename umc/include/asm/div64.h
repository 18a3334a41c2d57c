/* SPDX-License-Identifier: GPL-2.0-only */
/* Division of 64-bit values; plain arithmetic on a 64-bit host (API of 6.12). */
#ifndef UMC_ASM_DIV64_H
#define UMC_ASM_DIV64_H

#include <linux/types.h>

/* Divides `n` in place and gives the remainder. */
#define do_div(n, base)                                                                       \
	({                                                                                    \
		u32 umc_base_ = (base);                                                       \
		u32 umc_rem_ = (u32)((u64)(n) % umc_base_);                                   \
		(n) = (u64)(n) / umc_base_;                                                   \
		umc_rem_;                                                                     \
	})

#endif
