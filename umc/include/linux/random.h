/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random numbers, from the provider of the kernel (API of 6.12). Always ready.
 * Rust owner: `random.rs`.
 */
#ifndef UMC_LINUX_RANDOM_H
#define UMC_LINUX_RANDOM_H

#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/types.h>

/* Any context. */
extern void get_random_bytes(void *buf, size_t len);
extern u8 get_random_u8(void);
extern u16 get_random_u16(void);
extern u32 get_random_u32(void);
extern u64 get_random_u64(void);
/* Below `ceil`, all values equally likely; any value when `ceil` is 0. */
extern u32 __get_random_u32_below(u32 ceil);

static inline unsigned long get_random_long(void)
{
	return get_random_u64();
}


static inline u32 get_random_u32_below(u32 ceil)
{
	return __get_random_u32_below(ceil);
}

/* Above `floor`, which must not be the largest value. */
static inline u32 get_random_u32_above(u32 floor)
{
	return floor + 1 + __get_random_u32_below(U32_MAX - floor);
}

static inline u32 get_random_u32_inclusive(u32 floor, u32 ceil)
{
	return floor + __get_random_u32_below(ceil - floor + 1);
}

/* A new kernel has all the entropy of its provider: there is nothing to wait for or to add. */
static inline bool rng_is_initialized(void)
{
	return true;
}

static inline int wait_for_random_bytes(void)
{
	return 0;
}

static inline int get_random_bytes_wait(void *buf, size_t len)
{
	get_random_bytes(buf, len);
	return 0;
}

static inline void add_device_randomness(const void *buf, size_t len)
{
	(void)buf;
	(void)len;
}

#include <linux/prandom.h>

#endif
