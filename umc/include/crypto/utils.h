/* SPDX-License-Identifier: GPL-2.0-only */
/* Small helps of ciphers. API of 6.12. */
#ifndef UMC_CRYPTO_UTILS_H
#define UMC_CRYPTO_UTILS_H

#include <linux/types.h>

static inline void crypto_xor_cpy(u8 *dst, const u8 *src1, const u8 *src2, unsigned int size)
{
	while (size--)
		*dst++ = *src1++ ^ *src2++;
}

static inline void crypto_xor(u8 *dst, const u8 *src, unsigned int size)
{
	crypto_xor_cpy(dst, dst, src, size);
}

/* Not 0 where they differ, in a time that says nothing of where. */
static inline int crypto_memneq(const void *a, const void *b, size_t size)
{
	const volatile u8 *left = a, *right = b;
	u8 differ = 0;

	while (size--)
		differ |= *left++ ^ *right++;
	return differ != 0;
}

#endif
