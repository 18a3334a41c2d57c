/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bit maps of a given number of bits (API of 6.12).
 * Bits beyond that number in the last word are undefined on input; functions that fill a map leave them clear.
 * Rust owner: `bitmap.rs` (parsing, printing, allocation).
 */
#ifndef UMC_LINUX_BITMAP_H
#define UMC_LINUX_BITMAP_H

#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/find.h>
#include <linux/limits.h>
#include <linux/string.h>
#include <linux/types.h>

#define BITMAP_FIRST_WORD_MASK(start) (~0UL << ((start) & (BITS_PER_LONG - 1)))
#define BITMAP_LAST_WORD_MASK(nbits) (~0UL >> (-(nbits) & (BITS_PER_LONG - 1)))
#define bitmap_size(nbits) (ALIGN(nbits, BITS_PER_LONG) / BITS_PER_BYTE)
#define BITMAP_FROM_U64(n) (n)

/* May sleep when the flags say so. */
extern unsigned long *bitmap_alloc(unsigned int nbits, gfp_t flags);
extern unsigned long *bitmap_zalloc(unsigned int nbits, gfp_t flags);
extern void bitmap_free(const unsigned long *bitmap);

extern int bitmap_parse(const char *buf, unsigned int buflen, unsigned long *dst, int nbits);
extern int bitmap_parselist(const char *buf, unsigned long *dst, int nbits);
extern int bitmap_print_to_pagebuf(bool list, char *buf, const unsigned long *map, int nbits);
extern unsigned long bitmap_find_next_zero_area_off(unsigned long *map, unsigned long size,
						    unsigned long start, unsigned int nr,
						    unsigned long align_mask,
						    unsigned long align_offset);

static inline unsigned long *bitmap_alloc_node(unsigned int nbits, gfp_t flags, int node)
{
	(void)node;
	return bitmap_alloc(nbits, flags);
}

static inline unsigned long *bitmap_zalloc_node(unsigned int nbits, gfp_t flags, int node)
{
	(void)node;
	return bitmap_zalloc(nbits, flags);
}

static inline unsigned long bitmap_find_next_zero_area(unsigned long *map, unsigned long size,
						       unsigned long start, unsigned int nr,
						       unsigned long align_mask)
{
	return bitmap_find_next_zero_area_off(map, size, start, nr, align_mask, 0);
}

static inline void bitmap_zero(unsigned long *dst, unsigned int nbits)
{
	memset(dst, 0, bitmap_size(nbits));
}

/* The bits of word `i` that belong to a map of `nbits`. */
static inline unsigned long umc_bitmap_mask(unsigned int i, unsigned int nbits)
{
	return (i + 1) * BITS_PER_LONG <= nbits ? ~0UL : BITMAP_LAST_WORD_MASK(nbits);
}

#define UMC_BITMAP_WORDS(i, nbits) for (unsigned int i = 0; i < BITS_TO_LONGS(nbits); i++)

static inline void bitmap_fill(unsigned long *dst, unsigned int nbits)
{
	UMC_BITMAP_WORDS(i, nbits)
		dst[i] = umc_bitmap_mask(i, nbits);
}

static inline void bitmap_copy(unsigned long *dst, const unsigned long *src, unsigned int nbits)
{
	memcpy(dst, src, bitmap_size(nbits));
}

static inline void bitmap_copy_clear_tail(unsigned long *dst, const unsigned long *src,
					  unsigned int nbits)
{
	UMC_BITMAP_WORDS(i, nbits)
		dst[i] = src[i] & umc_bitmap_mask(i, nbits);
}

static inline bool bitmap_and(unsigned long *dst, const unsigned long *src1,
			      const unsigned long *src2, unsigned int nbits)
{
	unsigned long any = 0;

	UMC_BITMAP_WORDS(i, nbits)
		any |= dst[i] = src1[i] & src2[i] & umc_bitmap_mask(i, nbits);
	return any != 0;
}

static inline bool bitmap_andnot(unsigned long *dst, const unsigned long *src1,
				 const unsigned long *src2, unsigned int nbits)
{
	unsigned long any = 0;

	UMC_BITMAP_WORDS(i, nbits)
		any |= dst[i] = src1[i] & ~src2[i] & umc_bitmap_mask(i, nbits);
	return any != 0;
}

static inline void bitmap_or(unsigned long *dst, const unsigned long *src1,
			     const unsigned long *src2, unsigned int nbits)
{
	UMC_BITMAP_WORDS(i, nbits)
		dst[i] = (src1[i] | src2[i]) & umc_bitmap_mask(i, nbits);
}

static inline void bitmap_xor(unsigned long *dst, const unsigned long *src1,
			      const unsigned long *src2, unsigned int nbits)
{
	UMC_BITMAP_WORDS(i, nbits)
		dst[i] = (src1[i] ^ src2[i]) & umc_bitmap_mask(i, nbits);
}

static inline void bitmap_complement(unsigned long *dst, const unsigned long *src,
				     unsigned int nbits)
{
	UMC_BITMAP_WORDS(i, nbits)
		dst[i] = ~src[i] & umc_bitmap_mask(i, nbits);
}

static inline bool bitmap_equal(const unsigned long *src1, const unsigned long *src2,
				unsigned int nbits)
{
	UMC_BITMAP_WORDS(i, nbits)
		if ((src1[i] ^ src2[i]) & umc_bitmap_mask(i, nbits))
			return false;
	return true;
}

static inline bool bitmap_intersects(const unsigned long *src1, const unsigned long *src2,
				     unsigned int nbits)
{
	UMC_BITMAP_WORDS(i, nbits)
		if (src1[i] & src2[i] & umc_bitmap_mask(i, nbits))
			return true;
	return false;
}

static inline bool bitmap_subset(const unsigned long *src1, const unsigned long *src2,
				 unsigned int nbits)
{
	UMC_BITMAP_WORDS(i, nbits)
		if (src1[i] & ~src2[i] & umc_bitmap_mask(i, nbits))
			return false;
	return true;
}

static inline bool bitmap_empty(const unsigned long *src, unsigned int nbits)
{
	return find_first_bit(src, nbits) == nbits;
}

static inline bool bitmap_full(const unsigned long *src, unsigned int nbits)
{
	return find_first_zero_bit(src, nbits) == nbits;
}

static inline unsigned int bitmap_weight(const unsigned long *src, unsigned int nbits)
{
	unsigned int weight = 0;

	UMC_BITMAP_WORDS(i, nbits)
		weight += hweight_long(src[i] & umc_bitmap_mask(i, nbits));
	return weight;
}

static inline unsigned long bitmap_weight_and(const unsigned long *src1, const unsigned long *src2,
					      unsigned int nbits)
{
	unsigned long weight = 0;

	UMC_BITMAP_WORDS(i, nbits)
		weight += hweight_long(src1[i] & src2[i] & umc_bitmap_mask(i, nbits));
	return weight;
}

static inline void bitmap_set(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (; nbits && start % BITS_PER_LONG; start++, nbits--)
		__set_bit(start, map);
	for (; nbits >= BITS_PER_LONG; start += BITS_PER_LONG, nbits -= BITS_PER_LONG)
		map[start / BITS_PER_LONG] = ~0UL;
	for (; nbits; start++, nbits--)
		__set_bit(start, map);
}

static inline void bitmap_clear(unsigned long *map, unsigned int start, unsigned int nbits)
{
	for (; nbits && start % BITS_PER_LONG; start++, nbits--)
		__clear_bit(start, map);
	for (; nbits >= BITS_PER_LONG; start += BITS_PER_LONG, nbits -= BITS_PER_LONG)
		map[start / BITS_PER_LONG] = 0;
	for (; nbits; start++, nbits--)
		__clear_bit(start, map);
}

/* Regions of 2^order bits, each at a multiple of its size: the first free one, taken; -ENOMEM where there is none. */
static inline int bitmap_find_free_region(unsigned long *map, unsigned int bits, int order)
{
	unsigned int size = 1U << order;
	unsigned int at;

	for (at = 0; at + size <= bits; at += size) {
		if (find_next_bit(map, at + size, at) >= at + size) {
			bitmap_set(map, at, size);
			return at;
		}
	}
	return -ENOMEM;
}

static inline void bitmap_release_region(unsigned long *map, unsigned int pos, int order)
{
	bitmap_clear(map, pos, 1U << order);
}

static inline void bitmap_from_u64(unsigned long *dst, u64 mask)
{
	dst[0] = mask;
}

#define __bitmap_and bitmap_and
#define __bitmap_andnot bitmap_andnot
#define __bitmap_or bitmap_or
#define __bitmap_equal bitmap_equal
#define __bitmap_weight bitmap_weight

#endif
