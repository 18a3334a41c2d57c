/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bits of arrays of longs (API of 6.12).
 * set_bit, clear_bit and change_bit are atomic and order nothing; the test_and_ forms are atomic and fully ordered;
 * the forms with two underscores are plain memory accesses.
 * Rust owner: none. Rust code views the words as `AtomicUsize`.
 */
#ifndef UMC_ASM_BITOPS_H
#define UMC_ASM_BITOPS_H

#include <linux/bits.h>
#include <linux/types.h>
#include <linux/compiler.h>
#include <asm/barrier.h>

static __always_inline unsigned long *umc_bit_word(long nr, volatile unsigned long *addr)
{
	return (unsigned long *)addr + (nr >> 6);
}

static __always_inline void set_bit(long nr, volatile unsigned long *addr)
{
	(void)__atomic_fetch_or(umc_bit_word(nr, addr), BIT(nr & 63), __ATOMIC_RELAXED);
}

static __always_inline void clear_bit(long nr, volatile unsigned long *addr)
{
	(void)__atomic_fetch_and(umc_bit_word(nr, addr), ~BIT(nr & 63), __ATOMIC_RELAXED);
}

static __always_inline void change_bit(long nr, volatile unsigned long *addr)
{
	(void)__atomic_fetch_xor(umc_bit_word(nr, addr), BIT(nr & 63), __ATOMIC_RELAXED);
}

static __always_inline bool test_and_set_bit(long nr, volatile unsigned long *addr)
{
	unsigned long bit = BIT(nr & 63);

	return (__atomic_fetch_or(umc_bit_word(nr, addr), bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static __always_inline bool test_and_clear_bit(long nr, volatile unsigned long *addr)
{
	unsigned long bit = BIT(nr & 63);

	return (__atomic_fetch_and(umc_bit_word(nr, addr), ~bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static __always_inline bool test_and_change_bit(long nr, volatile unsigned long *addr)
{
	unsigned long bit = BIT(nr & 63);

	return (__atomic_fetch_xor(umc_bit_word(nr, addr), bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static __always_inline bool test_bit(unsigned long nr, const volatile unsigned long *addr)
{
	return (addr[nr >> 6] >> (nr & 63)) & 1;
}

static __always_inline bool test_bit_acquire(unsigned long nr, const volatile unsigned long *addr)
{
	return (__atomic_load_n(addr + (nr >> 6), __ATOMIC_ACQUIRE) >> (nr & 63)) & 1;
}

/* Locks made of one bit: acquire on taking, release on giving. */
static __always_inline bool test_and_set_bit_lock(long nr, volatile unsigned long *addr)
{
	unsigned long bit = BIT(nr & 63);

	return (__atomic_fetch_or(umc_bit_word(nr, addr), bit, __ATOMIC_ACQUIRE) & bit) != 0;
}

static __always_inline void clear_bit_unlock(long nr, volatile unsigned long *addr)
{
	(void)__atomic_fetch_and(umc_bit_word(nr, addr), ~BIT(nr & 63), __ATOMIC_RELEASE);
}

static __always_inline void __clear_bit_unlock(long nr, volatile unsigned long *addr)
{
	clear_bit_unlock(nr, addr);
}

static __always_inline bool xor_unlock_is_negative_byte(unsigned long mask, volatile unsigned long *p)
{
	return (__atomic_fetch_xor((unsigned long *)p, mask, __ATOMIC_RELEASE) & BIT(7)) != 0;
}

static __always_inline void __set_bit(unsigned long nr, volatile unsigned long *addr)
{
	*umc_bit_word(nr, addr) |= BIT(nr & 63);
}

static __always_inline void __clear_bit(unsigned long nr, volatile unsigned long *addr)
{
	*umc_bit_word(nr, addr) &= ~BIT(nr & 63);
}

static __always_inline void __change_bit(unsigned long nr, volatile unsigned long *addr)
{
	*umc_bit_word(nr, addr) ^= BIT(nr & 63);
}

static __always_inline bool __test_and_set_bit(unsigned long nr, volatile unsigned long *addr)
{
	unsigned long *word = umc_bit_word(nr, addr), bit = BIT(nr & 63), old = *word;

	*word = old | bit;
	return (old & bit) != 0;
}

static __always_inline bool __test_and_clear_bit(unsigned long nr, volatile unsigned long *addr)
{
	unsigned long *word = umc_bit_word(nr, addr), bit = BIT(nr & 63), old = *word;

	*word = old & ~bit;
	return (old & bit) != 0;
}

static __always_inline bool __test_and_change_bit(unsigned long nr, volatile unsigned long *addr)
{
	unsigned long *word = umc_bit_word(nr, addr), bit = BIT(nr & 63), old = *word;

	*word = old ^ bit;
	return (old & bit) != 0;
}

#define ___set_bit __set_bit
#define ___clear_bit __clear_bit

/* Position of the lowest and the highest set bit; the word must not be zero. */
static __always_inline unsigned long __ffs(unsigned long word)
{
	return __builtin_ctzl(word);
}

static __always_inline unsigned long ffz(unsigned long word)
{
	return __builtin_ctzl(~word);
}

static __always_inline unsigned long __fls(unsigned long word)
{
	return BITS_PER_LONG - 1 - __builtin_clzl(word);
}

/* The same counted from one, and zero for zero. */
static __always_inline int ffs(int x)
{
	return __builtin_ffs(x);
}

static __always_inline int fls(unsigned int x)
{
	return x ? 32 - __builtin_clz(x) : 0;
}

static __always_inline int fls64(__u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static __always_inline unsigned int fls_long(unsigned long word)
{
	return fls64(word);
}

/* Number of set bits: sums of pairs, of nibbles, of bytes. The builtin may need a library that modules do not have. */
static __always_inline unsigned long hweight64(__u64 word)
{
	word -= (word >> 1) & 0x5555555555555555ULL;
	word = (word & 0x3333333333333333ULL) + ((word >> 2) & 0x3333333333333333ULL);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (word * 0x0101010101010101ULL) >> 56;
}

static __always_inline unsigned long hweight_long(unsigned long word)
{
	return hweight64(word);
}

static __always_inline unsigned int hweight32(unsigned int word)
{
	return hweight64(word);
}

static __always_inline unsigned int hweight16(unsigned int word)
{
	return hweight64(word & 0xffff);
}

static __always_inline unsigned int hweight8(unsigned int word)
{
	return hweight64(word & 0xff);
}

#define __sw_hweight8(word) hweight8(word)
#define __sw_hweight16(word) hweight16(word)
#define __sw_hweight32(word) hweight32(word)
#define __sw_hweight64(word) hweight64(word)

/* Little-endian bit maps are the native ones here. */
#define BITOP_LE_SWIZZLE 0

static inline int test_bit_le(int nr, const void *addr)
{
	return test_bit(nr, addr);
}

static inline void set_bit_le(int nr, void *addr)
{
	set_bit(nr, addr);
}

static inline void clear_bit_le(int nr, void *addr)
{
	clear_bit(nr, addr);
}

static inline void __set_bit_le(int nr, void *addr)
{
	__set_bit(nr, addr);
}

static inline void __clear_bit_le(int nr, void *addr)
{
	__clear_bit(nr, addr);
}

static inline int test_and_set_bit_le(int nr, void *addr)
{
	return test_and_set_bit(nr, addr);
}

static inline int test_and_clear_bit_le(int nr, void *addr)
{
	return test_and_clear_bit(nr, addr);
}

static inline int __test_and_set_bit_le(int nr, void *addr)
{
	return __test_and_set_bit(nr, addr);
}

static inline int __test_and_clear_bit_le(int nr, void *addr)
{
	return __test_and_clear_bit(nr, addr);
}

#endif
