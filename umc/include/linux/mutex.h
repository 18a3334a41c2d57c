/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mutexes. API of Linux 6.12. Rust owner: mutex.rs.
 * Differs: locking a mutex twice and unlocking another task's mutex are always reported.
 */
#ifndef UMC_LINUX_MUTEX_H
#define UMC_LINUX_MUTEX_H

#include <asm/current.h>
#include <linux/list.h>
#include <linux/spinlock_types.h>
#include <linux/lockdep.h>
#include <linux/atomic.h>
#include <linux/mutex_types.h>
#include <linux/compiler.h>
#include <linux/cleanup.h>

#define __MUTEX_INITIALIZER(lockname) { { 0, 0, 0, 0 }, #lockname }
#define DEFINE_MUTEX(mutexname) struct mutex mutexname = __MUTEX_INITIALIZER(mutexname)
#define mutex_init(mutex) __mutex_init((mutex), #mutex, (struct lock_class_key *)0)

extern void __mutex_init(struct mutex *lock, const char *name, struct lock_class_key *key);
extern void mutex_destroy(struct mutex *lock);
extern bool mutex_is_locked(struct mutex *lock);
extern void mutex_lock(struct mutex *lock); /* may sleep */
extern int __must_check mutex_lock_interruptible(struct mutex *lock); /* may sleep */
extern int __must_check mutex_lock_killable(struct mutex *lock); /* may sleep */
extern void mutex_lock_io(struct mutex *lock); /* may sleep */
extern int mutex_trylock(struct mutex *lock);
extern void mutex_unlock(struct mutex *lock);
extern int atomic_dec_and_mutex_lock(atomic_t *counter, struct mutex *lock); /* may sleep */

#define mutex_lock_nested(lock, subclass) mutex_lock(lock)
#define mutex_lock_interruptible_nested(lock, subclass) mutex_lock_interruptible(lock)
#define mutex_lock_killable_nested(lock, subclass) mutex_lock_killable(lock)
#define mutex_lock_nest_lock(lock, nest_lock) mutex_lock(lock)
#define mutex_lock_io_nested(lock, subclass) mutex_lock_io(lock)

DEFINE_GUARD(mutex, struct mutex *, mutex_lock(_T), mutex_unlock(_T))
DEFINE_FREE(mutex, struct mutex *, if (_T) mutex_unlock(_T))

#endif
