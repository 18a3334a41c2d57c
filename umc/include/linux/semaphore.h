/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counting semaphores. API of Linux 6.12. Rust owner: semaphore.rs.
 */
#ifndef UMC_LINUX_SEMAPHORE_H
#define UMC_LINUX_SEMAPHORE_H

#include <linux/types.h>
#include <linux/compiler.h>

/* umc: opaque */
struct semaphore {
	unsigned int count;
	unsigned int umc_lock;
	void *umc_waiters[2];
};

#define __SEMAPHORE_INITIALIZER(name, n) { .count = (n) }
#define DEFINE_SEMAPHORE(name, n) struct semaphore name = __SEMAPHORE_INITIALIZER(name, n)

static inline void sema_init(struct semaphore *sem, int val)
{
	*sem = (struct semaphore)__SEMAPHORE_INITIALIZER(*sem, val);
}

extern void down(struct semaphore *sem); /* may sleep */
extern int __must_check down_interruptible(struct semaphore *sem); /* may sleep */
extern int __must_check down_killable(struct semaphore *sem); /* may sleep */
extern int __must_check down_trylock(struct semaphore *sem);
extern int __must_check down_timeout(struct semaphore *sem, long timeout); /* may sleep */
extern void up(struct semaphore *sem);

#endif
