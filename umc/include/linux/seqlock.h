/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequence locks. API of Linux 6.12.
 * Differs: the seqcount_LOCKNAME types are plain counters, without the check of their lock.
 */
#ifndef UMC_LINUX_SEQLOCK_H
#define UMC_LINUX_SEQLOCK_H

#include <linux/seqlock_types.h>
#include <linux/spinlock.h>
#include <linux/preempt.h>

#define SEQCNT_ZERO(name) { 0 }
#define seqcount_init(s) do { (s)->sequence = 0; } while (0)
#define seqcount_spinlock_init(s, lock) do { (void)(lock); (s)->sequence = 0; } while (0)
#define seqcount_mutex_init(s, lock) do { (void)(lock); (s)->sequence = 0; } while (0)

static inline unsigned int raw_seqcount_begin_umc(const seqcount_t *s)
{
	unsigned int seq;

	while ((seq = __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE)) & 1)
		cpu_relax();
	return seq;
}

static inline int read_seqcount_retry(const seqcount_t *s, unsigned int start)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->sequence, __ATOMIC_RELAXED) != start;
}

#define read_seqcount_begin(s) raw_seqcount_begin_umc(s)
#define raw_read_seqcount_begin(s) raw_seqcount_begin_umc(s)

static inline void raw_write_seqcount_begin(seqcount_t *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void raw_write_seqcount_end(seqcount_t *s)
{
	__atomic_store_n(&s->sequence, s->sequence + 1, __ATOMIC_RELEASE);
}

#define write_seqcount_begin(s) raw_write_seqcount_begin(s)
#define write_seqcount_end(s) raw_write_seqcount_end(s)

#define __SEQLOCK_UNLOCKED(name) { { 0 }, __SPIN_LOCK_INITIALIZER(name) }
#define DEFINE_SEQLOCK(name) seqlock_t name = __SEQLOCK_UNLOCKED(name)

static inline void seqlock_init(seqlock_t *sl)
{
	seqcount_init(&sl->seqcount);
	spin_lock_init(&sl->lock);
}

static inline unsigned int read_seqbegin(const seqlock_t *sl)
{
	return raw_seqcount_begin_umc(&sl->seqcount);
}

static inline unsigned int read_seqretry(const seqlock_t *sl, unsigned int start)
{
	return read_seqcount_retry(&sl->seqcount, start);
}

static inline void write_seqlock(seqlock_t *sl)
{
	spin_lock(&sl->lock);
	raw_write_seqcount_begin(&sl->seqcount);
}

static inline void write_sequnlock(seqlock_t *sl)
{
	raw_write_seqcount_end(&sl->seqcount);
	spin_unlock(&sl->lock);
}

static inline void write_seqlock_irq(seqlock_t *sl)
{
	spin_lock_irq(&sl->lock);
	raw_write_seqcount_begin(&sl->seqcount);
}

static inline void write_sequnlock_irq(seqlock_t *sl)
{
	raw_write_seqcount_end(&sl->seqcount);
	spin_unlock_irq(&sl->lock);
}

#define write_seqlock_irqsave(sl, flags)                        \
	do {                                                    \
		spin_lock_irqsave(&(sl)->lock, flags);          \
		raw_write_seqcount_begin(&(sl)->seqcount);      \
	} while (0)

static inline void write_sequnlock_irqrestore(seqlock_t *sl, unsigned long flags)
{
	raw_write_seqcount_end(&sl->seqcount);
	spin_unlock_irqrestore(&sl->lock, flags);
}

#endif
