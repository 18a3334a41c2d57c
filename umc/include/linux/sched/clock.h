/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scheduler's clock. API of Linux 6.12. Rust owner: jiffies.rs.
 * Differs: one clock for all CPUs, the monotonic one.
 */
#ifndef UMC_LINUX_SCHED_CLOCK_H
#define UMC_LINUX_SCHED_CLOCK_H

#include <linux/types.h>

extern u64 sched_clock(void);
extern u64 local_clock(void);
extern u64 cpu_clock(int cpu);
extern u64 running_clock(void);

#endif
