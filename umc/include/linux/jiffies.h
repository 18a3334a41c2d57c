/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ticks. API of Linux 6.12. Rust owner: jiffies.rs.
 * Differs: no tick interrupt; jiffies is computed from the clock of the provider at each use. A driver that has a member of
 * this name is compiled with UMC_JIFFIES_VARIABLE: a node ticks while it is loaded.
 */
#ifndef UMC_LINUX_JIFFIES_H
#define UMC_LINUX_JIFFIES_H

#include <linux/types.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/time.h>
#include <linux/typecheck.h>
#include <asm/param.h>

extern unsigned long umc_jiffies(void);
extern u64 get_jiffies_64(void);

#ifdef UMC_JIFFIES_VARIABLE
extern unsigned long volatile jiffies;
#else
#define jiffies umc_jiffies()
#endif
#define jiffies_64 get_jiffies_64()

/* Five minutes before the low 32 bits wrap, as in Linux. */
#define INITIAL_JIFFIES ((unsigned long)(unsigned int)(-300 * HZ))
#define MAX_JIFFY_OFFSET ((LONG_MAX >> 1) - 1)
/* The power of two that is nearest to HZ. */
#define SHIFT_HZ 8
#define TICK_NSEC (1000000000L / HZ)
#define TICK_USEC (1000000UL / HZ)

#define time_after(a, b) \
	(typecheck(unsigned long, a) && typecheck(unsigned long, b) && (long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) \
	(typecheck(unsigned long, a) && typecheck(unsigned long, b) && (long)((a) - (b)) >= 0)
#define time_before_eq(a, b) time_after_eq(b, a)
#define time_in_range(a, b, c) (time_after_eq(a, b) && time_before_eq(a, c))
#define time_in_range_open(a, b, c) (time_after_eq(a, b) && time_before(a, c))
#define time_after64(a, b) (typecheck(__u64, a) && typecheck(__u64, b) && (__s64)((b) - (a)) < 0)
#define time_before64(a, b) time_after64(b, a)
#define time_after_eq64(a, b) (typecheck(__u64, a) && typecheck(__u64, b) && (__s64)((a) - (b)) >= 0)
#define time_before_eq64(a, b) time_after_eq64(b, a)
#define time_in_range64(a, b, c) (time_after_eq64(a, b) && time_before_eq64(a, c))
#define time_is_before_jiffies(a) time_after(jiffies, a)
#define time_is_after_jiffies(a) time_before(jiffies, a)
#define time_is_before_eq_jiffies(a) time_after_eq(jiffies, a)
#define time_is_after_eq_jiffies(a) time_before_eq(jiffies, a)
#define time_is_before_jiffies64(a) time_after64(get_jiffies_64(), a)
#define time_is_after_jiffies64(a) time_before64(get_jiffies_64(), a)

extern unsigned int jiffies_to_msecs(const unsigned long j);
extern unsigned int jiffies_to_usecs(const unsigned long j);
extern u64 jiffies64_to_nsecs(u64 j);
extern u64 jiffies64_to_msecs(u64 j);
extern unsigned long __msecs_to_jiffies(const unsigned int m);
extern unsigned long __usecs_to_jiffies(const unsigned int u);
extern u64 nsecs_to_jiffies64(u64 n);
extern unsigned long nsecs_to_jiffies(u64 n);
extern unsigned long timespec64_to_jiffies(const struct timespec64 *value);
extern void jiffies_to_timespec64(const unsigned long j, struct timespec64 *value);
extern clock_t jiffies_to_clock_t(unsigned long x);
extern unsigned long clock_t_to_jiffies(unsigned long x);

static inline unsigned long msecs_to_jiffies(const unsigned int m)
{
	return __msecs_to_jiffies(m);
}

static inline unsigned long usecs_to_jiffies(const unsigned int u)
{
	return __usecs_to_jiffies(u);
}

#define secs_to_jiffies(secs) ((unsigned long)((secs) * HZ))

static inline u64 jiffies_to_nsecs(const unsigned long j)
{
	return (u64)jiffies_to_usecs(j) * 1000;
}

static inline unsigned int jiffies_delta_to_msecs(long delta)
{
	return jiffies_to_msecs(delta > 0 ? delta : 0);
}

extern unsigned long round_jiffies(unsigned long j);
extern unsigned long round_jiffies_relative(unsigned long j);
extern unsigned long round_jiffies_up(unsigned long j);
extern unsigned long round_jiffies_up_relative(unsigned long j);

/* After all that it uses of this file. */
#include <linux/ktime.h>

#endif
