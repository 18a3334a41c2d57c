/* SPDX-License-Identifier: GPL-2.0-only */
/* Hashes of numbers and pointers: the high bits of a product. API of 6.12. Rust owner: none. */
#ifndef UMC_LINUX_HASH_H
#define UMC_LINUX_HASH_H

#include <linux/compiler.h>
#include <linux/types.h>

#define GOLDEN_RATIO_32	0x61c88647
#define GOLDEN_RATIO_64	0x61c8864680b583ebull

static inline u32 __hash_32(u32 value)
{
	return value * GOLDEN_RATIO_32;
}

/* In `bits` bits. */
static inline u32 hash_32(u32 value, unsigned int bits)
{
	return __hash_32(value) >> (32 - bits);
}

static inline u32 hash_64(u64 value, unsigned int bits)
{
	return value * GOLDEN_RATIO_64 >> (64 - bits);
}

#define hash_long(value, bits)	hash_64(value, bits)

static inline u32 hash_ptr(const void *ptr, unsigned int bits)
{
	return hash_long((unsigned long)ptr, bits);
}

static inline u32 hash32_ptr(const void *ptr)
{
	return (u32)((unsigned long)ptr ^ (unsigned long)ptr >> 32);
}

#endif
