/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Spinlocks: types. API of Linux 6.12. Rust owner: spinlock.rs.
 * Two words: the state, which is also what waiters park on, and the pid of the owner for the reports.
 */
#ifndef UMC_LINUX_SPINLOCK_TYPES_H
#define UMC_LINUX_SPINLOCK_TYPES_H

#include <linux/lockdep_types.h>

/* umc: opaque */
typedef struct raw_spinlock {
	unsigned int umc_words[2];
} raw_spinlock_t;

/* umc: shared */
typedef struct spinlock {
	struct raw_spinlock rlock;
} spinlock_t;

#define __RAW_SPIN_LOCK_UNLOCKED(name) (raw_spinlock_t){ { 0, 0 } }
#define DEFINE_RAW_SPINLOCK(name) raw_spinlock_t name = { { 0, 0 } }
#define __SPIN_LOCK_INITIALIZER(name) { { { 0, 0 } } }
#define __SPIN_LOCK_UNLOCKED(name) (spinlock_t) __SPIN_LOCK_INITIALIZER(name)
#define DEFINE_SPINLOCK(name) spinlock_t name = __SPIN_LOCK_INITIALIZER(name)

#include <linux/rwlock_types.h>

#endif
