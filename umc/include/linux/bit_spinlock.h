/* SPDX-License-Identifier: GPL-2.0-only */
/* A bit of a word as a spin lock. API of 6.12. Rust owner: umc/src/sync/bit_spinlock.rs. */
#ifndef UMC_LINUX_BIT_SPINLOCK_H
#define UMC_LINUX_BIT_SPINLOCK_H

#include <linux/bitops.h>
#include <linux/preempt.h>
#include <linux/types.h>

/* Waits for a bit that was found set, and sets it. */
extern void umc_bit_spin_wait(int bit, unsigned long *word);

/* Any context; atomic from here on. */
static inline void bit_spin_lock(int bit, unsigned long *word)
{
	preempt_disable();
	if (unlikely(test_and_set_bit_lock(bit, word)))
		umc_bit_spin_wait(bit, word);
}

static inline int bit_spin_trylock(int bit, unsigned long *word)
{
	preempt_disable();
	if (likely(!test_and_set_bit_lock(bit, word)))
		return 1;
	preempt_enable();
	return 0;
}

static inline void bit_spin_unlock(int bit, unsigned long *word)
{
	clear_bit_unlock(bit, word);
	preempt_enable();
}

#define __bit_spin_unlock(bit, word)	bit_spin_unlock(bit, word)

static inline int bit_spin_is_locked(int bit, unsigned long *word)
{
	return test_bit(bit, word);
}

#endif
