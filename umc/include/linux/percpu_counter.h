/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters that many change and few read. API of 6.12. Differs: one number for all CPUs, so each reading is exact. */
#ifndef UMC_LINUX_PERCPU_COUNTER_H
#define UMC_LINUX_PERCPU_COUNTER_H

#include <linux/atomic.h>
#include <linux/gfp.h>

struct percpu_counter {
	atomic64_t umc_count;
};

/* any context; never fails */
static inline int percpu_counter_init(struct percpu_counter *fbc, s64 amount, gfp_t gfp)
{
	atomic64_set(&fbc->umc_count, amount);
	return 0;
}

static inline void percpu_counter_destroy(struct percpu_counter *fbc)
{
}

static inline void percpu_counter_set(struct percpu_counter *fbc, s64 amount)
{
	atomic64_set(&fbc->umc_count, amount);
}

static inline void percpu_counter_add(struct percpu_counter *fbc, s64 amount)
{
	atomic64_add(amount, &fbc->umc_count);
}

static inline void percpu_counter_sub(struct percpu_counter *fbc, s64 amount)
{
	atomic64_sub(amount, &fbc->umc_count);
}

static inline void percpu_counter_inc(struct percpu_counter *fbc)
{
	percpu_counter_add(fbc, 1);
}

static inline void percpu_counter_dec(struct percpu_counter *fbc)
{
	percpu_counter_sub(fbc, 1);
}

static inline s64 percpu_counter_sum(struct percpu_counter *fbc)
{
	return atomic64_read(&fbc->umc_count);
}

static inline s64 percpu_counter_read(struct percpu_counter *fbc)
{
	return percpu_counter_sum(fbc);
}

static inline s64 percpu_counter_sum_positive(struct percpu_counter *fbc)
{
	s64 count = percpu_counter_sum(fbc);

	return count < 0 ? 0 : count;
}

static inline s64 percpu_counter_read_positive(struct percpu_counter *fbc)
{
	return percpu_counter_sum_positive(fbc);
}

static inline int percpu_counter_compare(struct percpu_counter *fbc, s64 rhs)
{
	s64 count = percpu_counter_sum(fbc);

	return count < rhs ? -1 : count > rhs;
}

#endif
