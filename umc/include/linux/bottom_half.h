/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Soft interrupts on and off. API of Linux 6.12. Rust owner: context.rs.
 * Differs: no soft interrupt runs on a driver's thread; timers run on a thread of their own.
 */
#ifndef UMC_LINUX_BOTTOM_HALF_H
#define UMC_LINUX_BOTTOM_HALF_H

#include <linux/preempt.h>

extern void local_bh_disable(void);
extern void local_bh_enable(void);

static inline bool local_bh_blocked(void)
{
	return false;
}

#endif
