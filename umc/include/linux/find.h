/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Searches in bit maps (API of 6.12). All give `size` when they find nothing.
 * Rust owner: none, pure data.
 */
#ifndef UMC_LINUX_FIND_H
#define UMC_LINUX_FIND_H

#include <linux/bitops.h>

/*
 * The first bit at or after `start` that is set in WORD(i), an expression over the index of a word.
 * Words beyond the last one that holds a bit below `size` are never read.
 */
#define UMC_FIND(WORD, size, start)                                                           \
	({                                                                                    \
		unsigned long umc_end_ = (size), umc_at_ = (start), umc_bits_, i;             \
		if (umc_at_ < umc_end_) {                                                     \
			i = umc_at_ / BITS_PER_LONG;                                          \
			umc_bits_ = (WORD) & (~0UL << (umc_at_ % BITS_PER_LONG));             \
			while (!umc_bits_ && (i + 1) * BITS_PER_LONG < umc_end_) {            \
				i++;                                                          \
				umc_bits_ = (WORD);                                           \
			}                                                                     \
			umc_at_ = umc_bits_ ? i * BITS_PER_LONG + __ffs(umc_bits_) : umc_end_;\
			if (umc_at_ > umc_end_)                                               \
				umc_at_ = umc_end_;                                           \
		} else {                                                                      \
			umc_at_ = umc_end_;                                                   \
		}                                                                             \
		umc_at_;                                                                      \
	})

static inline unsigned long find_next_bit(const unsigned long *addr, unsigned long size,
					  unsigned long offset)
{
	return UMC_FIND(addr[i], size, offset);
}

static inline unsigned long find_next_zero_bit(const unsigned long *addr, unsigned long size,
					       unsigned long offset)
{
	return UMC_FIND(~addr[i], size, offset);
}

static inline unsigned long find_next_and_bit(const unsigned long *addr1, const unsigned long *addr2,
					      unsigned long size, unsigned long offset)
{
	return UMC_FIND(addr1[i] & addr2[i], size, offset);
}

static inline unsigned long find_next_andnot_bit(const unsigned long *addr1,
						 const unsigned long *addr2, unsigned long size,
						 unsigned long offset)
{
	return UMC_FIND(addr1[i] & ~addr2[i], size, offset);
}

static inline unsigned long find_next_or_bit(const unsigned long *addr1, const unsigned long *addr2,
					     unsigned long size, unsigned long offset)
{
	return UMC_FIND(addr1[i] | addr2[i], size, offset);
}

static inline unsigned long find_first_bit(const unsigned long *addr, unsigned long size)
{
	return find_next_bit(addr, size, 0);
}

static inline unsigned long find_first_zero_bit(const unsigned long *addr, unsigned long size)
{
	return find_next_zero_bit(addr, size, 0);
}

static inline unsigned long find_first_and_bit(const unsigned long *addr1,
					       const unsigned long *addr2, unsigned long size)
{
	return find_next_and_bit(addr1, addr2, size, 0);
}

static inline unsigned long find_first_andnot_bit(const unsigned long *addr1,
						  const unsigned long *addr2, unsigned long size)
{
	return find_next_andnot_bit(addr1, addr2, size, 0);
}

static inline unsigned long find_last_bit(const unsigned long *addr, unsigned long size)
{
	unsigned long at = size;

	while (at) {
		at--;
		if (test_bit(at, addr))
			return at;
		if (at % BITS_PER_LONG == BITS_PER_LONG - 1 && !addr[at / BITS_PER_LONG])
			at -= BITS_PER_LONG - 1;
	}
	return size;
}

/* What a search below `end` found, or `size` when it found nothing. */
static inline unsigned long umc_found(unsigned long bit, unsigned long end, unsigned long size)
{
	return bit >= end ? size : bit;
}

/* Once round the map: from `offset` to its end, then from its start to `offset`. */
static inline unsigned long find_next_bit_wrap(const unsigned long *addr, unsigned long size,
					       unsigned long offset)
{
	unsigned long ahead = find_next_bit(addr, size, offset);

	return ahead < size ? ahead : umc_found(find_first_bit(addr, offset), offset, size);
}

static inline unsigned long find_next_and_bit_wrap(const unsigned long *addr1,
						   const unsigned long *addr2, unsigned long size,
						   unsigned long offset)
{
	unsigned long ahead = find_next_and_bit(addr1, addr2, size, offset);

	return ahead < size ? ahead :
			      umc_found(find_first_and_bit(addr1, addr2, offset), offset, size);
}

/* The set bit behind `bit` on the way round that began at `start`. */
static inline unsigned long umc_next_round(const unsigned long *addr, unsigned long size,
					   unsigned long start, unsigned long bit)
{
	if (bit < start)
		return umc_found(find_next_bit(addr, start, bit + 1), start, size);
	bit = find_next_bit(addr, size, bit + 1);
	return bit < size ? bit : umc_found(find_first_bit(addr, start), start, size);
}

/* Set bit number `n`, counted from zero. */
static inline unsigned long find_nth_bit(const unsigned long *addr, unsigned long size,
					 unsigned long n)
{
	unsigned long bit = find_first_bit(addr, size);

	while (bit < size && n--)
		bit = find_next_bit(addr, size, bit + 1);
	return bit;
}

static inline unsigned long find_next_bit_le(const void *addr, unsigned long size,
					     unsigned long offset)
{
	return find_next_bit(addr, size, offset);
}

static inline unsigned long find_next_zero_bit_le(const void *addr, unsigned long size,
						  unsigned long offset)
{
	return find_next_zero_bit(addr, size, offset);
}

static inline unsigned long find_first_zero_bit_le(const void *addr, unsigned long size)
{
	return find_next_zero_bit(addr, size, 0);
}

#define _find_next_bit find_next_bit
#define _find_next_zero_bit find_next_zero_bit
#define _find_first_bit find_first_bit
#define _find_first_zero_bit find_first_zero_bit

#define for_each_set_bit_from(bit, addr, size) \
	for (; (bit) = find_next_bit((addr), (size), (bit)), (bit) < (size); (bit)++)
#define for_each_set_bit(bit, addr, size)                                                     \
	for ((bit) = 0; (bit) = find_next_bit((addr), (size), (bit)), (bit) < (size); (bit)++)
#define for_each_clear_bit_from(bit, addr, size) \
	for (; (bit) = find_next_zero_bit((addr), (size), (bit)), (bit) < (size); (bit)++)
#define for_each_clear_bit(bit, addr, size)                                                   \
	for ((bit) = 0; (bit) = find_next_zero_bit((addr), (size), (bit)), (bit) < (size); (bit)++)
#define for_each_and_bit(bit, addr1, addr2, size)                                             \
	for ((bit) = 0; (bit) = find_next_and_bit((addr1), (addr2), (size), (bit)),           \
	    (bit) < (size); (bit)++)
#define for_each_andnot_bit(bit, addr1, addr2, size)                                          \
	for ((bit) = 0; (bit) = find_next_andnot_bit((addr1), (addr2), (size), (bit)),        \
	    (bit) < (size); (bit)++)
#define for_each_or_bit(bit, addr1, addr2, size)                                              \
	for ((bit) = 0; (bit) = find_next_or_bit((addr1), (addr2), (size), (bit)),            \
	    (bit) < (size); (bit)++)
#define for_each_set_bit_wrap(bit, addr, size, start)                                         \
	for ((bit) = find_next_bit_wrap((addr), (size), (start)); (bit) < (size);             \
	     (bit) = umc_next_round((addr), (size), (start), (bit)))
/* Runs of set bits [b, e), and of clear ones. */
#define for_each_set_bitrange(b, e, addr, size)                                               \
	for ((b) = 0; (b) = find_next_bit((addr), (size), (b)),                               \
	    (e) = find_next_zero_bit((addr), (size), (b) + 1), (b) < (size); (b) = (e) + 1)
#define for_each_clear_bitrange(b, e, addr, size)                                             \
	for ((b) = 0; (b) = find_next_zero_bit((addr), (size), (b)),                          \
	    (e) = find_next_bit((addr), (size), (b) + 1), (b) < (size); (b) = (e) + 1)

#endif
