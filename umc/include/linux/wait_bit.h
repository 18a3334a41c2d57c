/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting for a bit to be cleared, or for a variable to change. API of 6.12, without actions of the caller's own: a wait
 * just sleeps. Rust owner: umc/src/sync/wait/bit.rs. */
#ifndef UMC_LINUX_WAIT_BIT_H
#define UMC_LINUX_WAIT_BIT_H

#include <linux/bitops.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/wait.h>

/* Any context. Two words, or two bits, may share a queue: who waits looks again after each wake-up. */
extern struct wait_queue_head *umc_bit_waitqueue(void *word, int bit);

#define bit_waitqueue(word, bit)	umc_bit_waitqueue(word, bit)
#define __var_waitqueue(var)		umc_bit_waitqueue(var, -1)

/* Any context, after the bit was cleared or the variable changed, and a barrier. */
static inline void wake_up_bit(void *word, int bit)
{
	wake_up_all(umc_bit_waitqueue(word, bit));
}

static inline void wake_up_var(void *var)
{
	wake_up_all(__var_waitqueue(var));
}

/* May sleep: until the bit is 0. 0, or -EINTR for a signal that `mode` allows. */
static inline int wait_on_bit(unsigned long *word, int bit, unsigned int mode)
{
	return wait_event_state(*umc_bit_waitqueue(word, bit), !test_bit_acquire(bit, word), mode) ? -EINTR : 0;
}

/* Until the bit was 0 and is set by this caller. */
static inline int wait_on_bit_lock(unsigned long *word, int bit, unsigned int mode)
{
	return wait_event_state(*umc_bit_waitqueue(word, bit), !test_and_set_bit_lock(bit, word), mode) ? -EINTR : 0;
}

/* -EAGAIN when it was still 1 after `timeout` jiffies. */
static inline int wait_on_bit_timeout(unsigned long *word, int bit, unsigned int mode, unsigned long timeout)
{
	long left = umc_wait_timeout(*umc_bit_waitqueue(word, bit), !test_bit_acquire(bit, word), mode, timeout,
				     umc_ret = schedule_timeout(umc_ret));

	return left > 0 ? 0 : left ? -EINTR : -EAGAIN;
}

/* The time of a wait for I/O is not accounted. */
#define wait_on_bit_io(word, bit, mode)		wait_on_bit(word, bit, mode)
#define wait_on_bit_lock_io(word, bit, mode)	wait_on_bit_lock(word, bit, mode)

static inline void clear_and_wake_up_bit(int bit, unsigned long *word)
{
	clear_bit_unlock(bit, word);
	smp_mb__after_atomic();
	wake_up_bit(word, bit);
}

#define wait_var_event(var, condition)			wait_event(*__var_waitqueue(var), condition)
#define wait_var_event_killable(var, condition)		wait_event_killable(*__var_waitqueue(var), condition)
#define wait_var_event_interruptible(var, condition)	wait_event_interruptible(*__var_waitqueue(var), condition)
#define wait_var_event_timeout(var, condition, timeout)	wait_event_timeout(*__var_waitqueue(var), condition, timeout)

#endif
