/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reader-writer semaphores. API of Linux 6.12. Rust owner: rwsem.rs.
 * Differs: strictly first come, first served between readers and writers that have to wait.
 */
#ifndef UMC_LINUX_RWSEM_H
#define UMC_LINUX_RWSEM_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/compiler.h>
#include <linux/cleanup.h>

/* umc: opaque */
struct rw_semaphore {
	unsigned long umc_words[4];
	const char *umc_name;
};

#define __RWSEM_INITIALIZER(name) { { 0, 0, 0, 0 }, #name }
#define DECLARE_RWSEM(name) struct rw_semaphore name = __RWSEM_INITIALIZER(name)
#define init_rwsem(sem) __init_rwsem((sem), #sem, (struct lock_class_key *)0)

extern void __init_rwsem(struct rw_semaphore *sem, const char *name, struct lock_class_key *key);
extern int rwsem_is_locked(struct rw_semaphore *sem);
extern int rwsem_is_contended(struct rw_semaphore *sem);
extern void down_read(struct rw_semaphore *sem); /* may sleep */
extern int __must_check down_read_interruptible(struct rw_semaphore *sem); /* may sleep */
extern int __must_check down_read_killable(struct rw_semaphore *sem); /* may sleep */
extern int down_read_trylock(struct rw_semaphore *sem);
extern void down_write(struct rw_semaphore *sem); /* may sleep */
extern int __must_check down_write_killable(struct rw_semaphore *sem); /* may sleep */
extern int down_write_trylock(struct rw_semaphore *sem);
extern void up_read(struct rw_semaphore *sem);
extern void up_write(struct rw_semaphore *sem);
extern void downgrade_write(struct rw_semaphore *sem);

#define down_read_nested(sem, subclass) down_read(sem)
#define down_read_non_owner(sem) down_read(sem)
#define up_read_non_owner(sem) up_read(sem)
#define down_write_nested(sem, subclass) down_write(sem)
#define down_write_nest_lock(sem, nest_lock) down_write(sem)

DEFINE_GUARD(rwsem_read, struct rw_semaphore *, down_read(_T), up_read(_T))
DEFINE_GUARD(rwsem_write, struct rw_semaphore *, down_write(_T), up_write(_T))

#endif
