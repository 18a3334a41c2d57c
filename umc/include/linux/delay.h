/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Delays. API of Linux 6.12. Rust owner: jiffies.rs.
 * Differs: a short delay yields instead of burning the CPU.
 */
#ifndef UMC_LINUX_DELAY_H
#define UMC_LINUX_DELAY_H

#include <linux/types.h>
#include <linux/math.h>
#include <linux/sched.h>

extern void msleep(unsigned int msecs); /* may sleep */
extern unsigned long msleep_interruptible(unsigned int msecs); /* may sleep */
extern void usleep_range_state(unsigned long min, unsigned long max, unsigned int state); /* may sleep */
extern void ndelay(unsigned long nsecs);

#define udelay(usecs) ndelay((usecs) * 1000UL)
#define mdelay(msecs) ndelay((msecs) * 1000000UL)

static inline void usleep_range(unsigned long min, unsigned long max)
{
	usleep_range_state(min, max, TASK_UNINTERRUPTIBLE);
}

static inline void ssleep(unsigned int seconds)
{
	msleep(seconds * 1000);
}

static inline void fsleep(unsigned long usecs)
{
	usleep_range(usecs, 2 * usecs);
}

#endif
