/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reader-writer spinlocks: types. API of Linux 6.12. Rust owner: rwlock.rs.
 */
#ifndef UMC_LINUX_RWLOCK_TYPES_H
#define UMC_LINUX_RWLOCK_TYPES_H

/* umc: opaque */
typedef struct umc_rwlock {
	unsigned int umc_words[2];
	/* Called before each writer leaves, if it is there: by who wants to know what was written. */
	void (*umc_written)(struct umc_rwlock *lock);
} rwlock_t;

#define __RW_LOCK_UNLOCKED(name) (rwlock_t){ { 0, 0 }, 0 }
#define DEFINE_RWLOCK(name) rwlock_t name = { { 0, 0 }, 0 }

#endif
