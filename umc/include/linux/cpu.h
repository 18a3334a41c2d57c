/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPU hotplug. API of Linux 6.12. Rust owner: cpumask.rs.
 * Differs: the set of CPUs never changes, so the read lock has nothing to hold off.
 */
#ifndef UMC_LINUX_CPU_H
#define UMC_LINUX_CPU_H

#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/smp.h>

static inline void cpus_read_lock(void)
{
}

static inline void cpus_read_unlock(void)
{
}

#endif
