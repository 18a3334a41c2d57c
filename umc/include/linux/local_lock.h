/* SPDX-License-Identifier: GPL-2.0-only */
/* Locks of per-CPU data. API of 6.12; each is a spin lock of its own. */
#ifndef UMC_LINUX_LOCAL_LOCK_H
#define UMC_LINUX_LOCAL_LOCK_H

#include <linux/percpu.h>
#include <linux/spinlock.h>

typedef struct {
	spinlock_t umc_lock;
} local_lock_t;

#define INIT_LOCAL_LOCK(name)	{ .umc_lock = __SPIN_LOCK_UNLOCKED((name).umc_lock) }
#define local_lock_init(lock)	spin_lock_init(&(lock)->umc_lock)
#define local_lock(lock)	spin_lock(&this_cpu_ptr(lock)->umc_lock)
#define local_unlock(lock)	spin_unlock(&this_cpu_ptr(lock)->umc_lock)

#endif
