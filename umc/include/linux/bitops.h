/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bits of words and of arrays (API of 6.12).
 * Rust owner: none, pure data.
 */
#ifndef UMC_LINUX_BITOPS_H
#define UMC_LINUX_BITOPS_H

#include <asm/types.h>
#include <linux/bits.h>
#include <linux/typecheck.h>
#include <uapi/linux/kernel.h>
#include <asm/bitops.h>
#include <asm/cmpxchg.h>

#define BITS_TO_LONGS(nr) __KERNEL_DIV_ROUND_UP(nr, BITS_PER_TYPE(long))
#define BITS_TO_U64(nr) __KERNEL_DIV_ROUND_UP(nr, BITS_PER_TYPE(u64))
#define BITS_TO_U32(nr) __KERNEL_DIV_ROUND_UP(nr, BITS_PER_TYPE(u32))
#define BITS_TO_BYTES(nr) __KERNEL_DIV_ROUND_UP(nr, BITS_PER_TYPE(char))
#define BYTES_TO_BITS(nb) ((nb) * BITS_PER_BYTE)

static __always_inline __u64 rol64(__u64 word, unsigned int shift)
{
	return (word << (shift & 63)) | (word >> ((-shift) & 63));
}

static __always_inline __u64 ror64(__u64 word, unsigned int shift)
{
	return (word >> (shift & 63)) | (word << ((-shift) & 63));
}

static __always_inline __u32 rol32(__u32 word, unsigned int shift)
{
	return (word << (shift & 31)) | (word >> ((-shift) & 31));
}

static __always_inline __u32 ror32(__u32 word, unsigned int shift)
{
	return (word >> (shift & 31)) | (word << ((-shift) & 31));
}

static inline __u16 rol16(__u16 word, unsigned int shift)
{
	return (__u16)((word << (shift & 15)) | (word >> ((-shift) & 15)));
}

static inline __u16 ror16(__u16 word, unsigned int shift)
{
	return (__u16)((word >> (shift & 15)) | (word << ((-shift) & 15)));
}

static inline __u8 rol8(__u8 word, unsigned int shift)
{
	return (__u8)((word << (shift & 7)) | (word >> ((-shift) & 7)));
}

static inline __u8 ror8(__u8 word, unsigned int shift)
{
	return (__u8)((word >> (shift & 7)) | (word << ((-shift) & 7)));
}

/* Bit `index` is the sign. */
static __always_inline __s32 sign_extend32(__u32 value, int index)
{
	int shift = 31 - index;

	return (__s32)(value << shift) >> shift;
}

static __always_inline __s64 sign_extend64(__u64 value, int index)
{
	int shift = 63 - index;

	return (__s64)(value << shift) >> shift;
}

static inline int get_bitmask_order(unsigned int count)
{
	return fls(count);
}

/* Smallest order with (1 << order) >= count; -1 for zero. */
static inline int get_count_order(unsigned int count)
{
	return count ? fls(--count) : -1;
}

static inline int get_count_order_long(unsigned long count)
{
	return count ? (int)fls_long(--count) : -1;
}

static inline unsigned int __ffs64(u64 word)
{
	return __builtin_ctzll(word);
}

/* Position of set bit number `n`, counted from zero; BITS_PER_LONG when there are fewer. */
static inline unsigned int fns(unsigned long word, unsigned int n)
{
	while (word && n--)
		word &= word - 1;
	return word ? __ffs(word) : BITS_PER_LONG;
}

static inline unsigned long parity8(u8 value)
{
	return hweight8(value) & 1;
}

#define assign_bit(nr, addr, value) ((value) ? set_bit((nr), (addr)) : clear_bit((nr), (addr)))
#define __assign_bit(nr, addr, value) \
	((value) ? __set_bit((nr), (addr)) : __clear_bit((nr), (addr)))
#define __ptr_set_bit(nr, addr) __set_bit(nr, (unsigned long *)(addr))
#define __ptr_clear_bit(nr, addr) __clear_bit(nr, (unsigned long *)(addr))
#define __ptr_test_bit(nr, addr) test_bit(nr, (unsigned long *)(addr))

/* Replaces the bits of `mask` by `bits` in one step; gives the old word. */
#define set_mask_bits(ptr, mask, bits)                                                        \
	({                                                                                    \
		typeof(*(ptr)) umc_old_ = READ_ONCE(*(ptr)), umc_next_;                       \
		do {                                                                          \
			umc_next_ = (umc_old_ & ~(mask)) | (bits);                            \
		} while (!try_cmpxchg(ptr, &umc_old_, umc_next_));                            \
		umc_old_;                                                                     \
	})
/* Clears `clear` in one step unless a bit of `test` is set; true when it did. */
#define bit_clear_unless(ptr, clear, test)                                                    \
	({                                                                                    \
		typeof(*(ptr)) umc_old_ = READ_ONCE(*(ptr));                                  \
		do {                                                                          \
			if (umc_old_ & (test))                                                \
				break;                                                        \
		} while (!try_cmpxchg(ptr, &umc_old_, umc_old_ & ~(clear)));                  \
		!(umc_old_ & (test));                                                         \
	})

#endif
