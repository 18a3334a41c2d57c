/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pseudo-random numbers of a caller's own sequence (API of 6.12).
 * Rust owner: `random.rs`.
 */
#ifndef UMC_LINUX_PRANDOM_H
#define UMC_LINUX_PRANDOM_H

#include <linux/types.h>
#include <linux/once.h>
#include <linux/random.h>

/* umc: shared */
struct rnd_state {
	__u32 s1, s2, s3, s4;
};

extern u32 prandom_u32_state(struct rnd_state *state);
extern void prandom_bytes_state(struct rnd_state *state, void *buf, size_t nbytes);
extern void prandom_seed_state(struct rnd_state *state, u64 seed);

static inline u32 next_pseudo_random32(u32 seed)
{
	return seed * 1664525 + 1013904223;
}

#endif
