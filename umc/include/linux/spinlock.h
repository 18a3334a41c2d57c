/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Spinlocks. API of Linux 6.12. Rust owner: spinlock.rs.
 * Differs: nothing runs in interrupt context here, so all variants take the same lock; _irq and _bh only keep the
 * task's flag for irqs_disabled() and in_softirq(). A thread that does not get the lock soon parks.
 */
#ifndef UMC_LINUX_SPINLOCK_H
#define UMC_LINUX_SPINLOCK_H

#include <linux/typecheck.h>
#include <linux/preempt.h>
#include <linux/compiler.h>
#include <linux/irqflags.h>
#include <linux/bottom_half.h>
#include <linux/lockdep.h>
#include <linux/spinlock_types.h>
#include <linux/atomic.h>
#include <asm/barrier.h>
#include <asm/processor.h>

extern void _raw_spin_lock(raw_spinlock_t *lock);
extern void _raw_spin_lock_irq(raw_spinlock_t *lock);
extern void _raw_spin_lock_bh(raw_spinlock_t *lock);
extern unsigned long _raw_spin_lock_irqsave(raw_spinlock_t *lock);
extern int _raw_spin_trylock(raw_spinlock_t *lock);
extern int _raw_spin_trylock_bh(raw_spinlock_t *lock);
extern int umc_raw_spin_trylock_irq(raw_spinlock_t *lock);
extern void _raw_spin_unlock(raw_spinlock_t *lock);
extern void _raw_spin_unlock_irq(raw_spinlock_t *lock);
extern void _raw_spin_unlock_bh(raw_spinlock_t *lock);
extern void _raw_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags);
extern bool umc_raw_spin_is_locked(raw_spinlock_t *lock);
extern bool umc_raw_spin_is_contended(raw_spinlock_t *lock);
extern void umc_assert_raw_spin_locked(raw_spinlock_t *lock);

#define raw_spin_lock_init(lock) do { *(lock) = __RAW_SPIN_LOCK_UNLOCKED(lock); } while (0)
#define raw_spin_lock(lock) _raw_spin_lock(lock)
#define raw_spin_lock_nested(lock, subclass) _raw_spin_lock(lock)
#define raw_spin_lock_irq(lock) _raw_spin_lock_irq(lock)
#define raw_spin_lock_bh(lock) _raw_spin_lock_bh(lock)
#define raw_spin_lock_irqsave(lock, flags)                 \
	do {                                               \
		typecheck(unsigned long, flags);           \
		(flags) = _raw_spin_lock_irqsave(lock);    \
	} while (0)
#define raw_spin_trylock(lock) _raw_spin_trylock(lock)
#define raw_spin_unlock(lock) _raw_spin_unlock(lock)
#define raw_spin_unlock_irq(lock) _raw_spin_unlock_irq(lock)
#define raw_spin_unlock_bh(lock) _raw_spin_unlock_bh(lock)
#define raw_spin_unlock_irqrestore(lock, flags) _raw_spin_unlock_irqrestore((lock), (flags))
#define raw_spin_is_locked(lock) umc_raw_spin_is_locked(lock)

static inline void umc_spin_lock_init(spinlock_t *lock)
{
	*lock = __SPIN_LOCK_UNLOCKED(lock);
}

#define spin_lock_init(lock) umc_spin_lock_init(lock)

static inline void spin_lock(spinlock_t *lock)
{
	_raw_spin_lock(&lock->rlock);
}

static inline void spin_lock_bh(spinlock_t *lock)
{
	_raw_spin_lock_bh(&lock->rlock);
}

static inline void spin_lock_irq(spinlock_t *lock)
{
	_raw_spin_lock_irq(&lock->rlock);
}

static inline unsigned long umc_spin_lock_irqsave(spinlock_t *lock)
{
	return _raw_spin_lock_irqsave(&lock->rlock);
}

static inline int spin_trylock(spinlock_t *lock)
{
	return _raw_spin_trylock(&lock->rlock);
}

static inline int spin_trylock_bh(spinlock_t *lock)
{
	return _raw_spin_trylock_bh(&lock->rlock);
}

static inline int spin_trylock_irq(spinlock_t *lock)
{
	return umc_raw_spin_trylock_irq(&lock->rlock);
}

static inline void spin_unlock(spinlock_t *lock)
{
	_raw_spin_unlock(&lock->rlock);
}

static inline void spin_unlock_bh(spinlock_t *lock)
{
	_raw_spin_unlock_bh(&lock->rlock);
}

static inline void spin_unlock_irq(spinlock_t *lock)
{
	_raw_spin_unlock_irq(&lock->rlock);
}

static inline void spin_unlock_irqrestore(spinlock_t *lock, unsigned long flags)
{
	_raw_spin_unlock_irqrestore(&lock->rlock, flags);
}

static inline int spin_is_locked(spinlock_t *lock)
{
	return umc_raw_spin_is_locked(&lock->rlock);
}

static inline int spin_is_contended(spinlock_t *lock)
{
	return umc_raw_spin_is_contended(&lock->rlock);
}

#define spin_lock_nested(lock, subclass) spin_lock(lock)
#define spin_lock_bh_nested(lock, subclass) spin_lock_bh(lock)
#define spin_lock_nest_lock(lock, nest_lock) spin_lock(lock)
#define spin_lock_irqsave(lock, flags)                     \
	do {                                               \
		typecheck(unsigned long, flags);           \
		(flags) = umc_spin_lock_irqsave(lock);     \
	} while (0)
#define spin_lock_irqsave_nested(lock, flags, subclass) spin_lock_irqsave(lock, flags)
#define spin_trylock_irqsave(lock, flags)                  \
	({                                                 \
		typecheck(unsigned long, flags);           \
		local_irq_save(flags);                     \
		spin_trylock(lock) ? 1 : ({ local_irq_restore(flags); 0; }); \
	})
#define assert_spin_locked(lock) umc_assert_raw_spin_locked(&(lock)->rlock)
#define spin_needbreak(lock) spin_is_contended(lock)

extern int _atomic_dec_and_lock(atomic_t *counter, spinlock_t *lock);
extern int _atomic_dec_and_lock_irqsave(atomic_t *counter, spinlock_t *lock, unsigned long *flags);
#define atomic_dec_and_lock(counter, lock) _atomic_dec_and_lock((counter), (lock))
#define atomic_dec_and_lock_irqsave(counter, lock, flags) \
	_atomic_dec_and_lock_irqsave((counter), (lock), &(flags))

#include <linux/rwlock.h>

#endif
