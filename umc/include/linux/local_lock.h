/* SPDX-License-Identifier: GPL-2.0-only */
/* Locks of per-CPU data. API of 6.12: preemption is off, and with that the data of the CPU are the caller's alone
 * (linux/percpu-defs.h). Not provided: the kinds that turn interrupts off. */
#ifndef UMC_LINUX_LOCAL_LOCK_H
#define UMC_LINUX_LOCAL_LOCK_H

#include <linux/percpu.h>
#include <linux/preempt.h>

typedef struct {
} local_lock_t;

#define INIT_LOCAL_LOCK(name)	{ }
#define local_lock_init(lock)	do { (void)(lock); } while (0)
#define local_lock(lock)	do { (void)(lock); preempt_disable(); } while (0)
#define local_unlock(lock)	do { (void)(lock); preempt_enable(); } while (0)

#endif
