/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Statistics of a disk (6.12).
 * Differs: instead of one set per CPU there are UMC_STAT_SHARDS sets, chosen by thread; all updates are atomic.
 * Rust: part_stat.rs.
 */
#ifndef UMC_LINUX_PART_STAT_H
#define UMC_LINUX_PART_STAT_H

#include <linux/blkdev.h>

#define UMC_STAT_SHARDS 8

/* umc: shared */
struct disk_stats {
	u64 nsecs[NR_STAT_GROUPS];
	unsigned long sectors[NR_STAT_GROUPS];
	unsigned long ios[NR_STAT_GROUPS];
	unsigned long merges[NR_STAT_GROUPS];
	unsigned long io_ticks;
	unsigned long in_flight[2];
	unsigned long umc_pad[5]; /* fills the cache line: see the assertion in part_stat.rs */
};

#define part_stat_lock() do { } while (0)
#define part_stat_unlock() do { } while (0)

#define part_stat_read(part, field)                                                        \
	({                                                                                 \
		typeof((part)->bd_stats->field) __sum = 0;                                 \
		unsigned int __shard;                                                      \
		for (__shard = 0; __shard < UMC_STAT_SHARDS; __shard++)                    \
			__sum += __atomic_load_n(&(part)->bd_stats[__shard].field,         \
						 __ATOMIC_RELAXED);                        \
		__sum;                                                                     \
	})

#define part_stat_read_accum(part, field)                                                  \
	(part_stat_read(part, field[STAT_READ]) + part_stat_read(part, field[STAT_WRITE]) + \
	 part_stat_read(part, field[STAT_DISCARD]))

#define part_stat_add(part, field, addnd) \
	((void)__atomic_fetch_add(&(part)->bd_stats->field, (addnd), __ATOMIC_RELAXED))
#define part_stat_sub(part, field, subnd) \
	((void)__atomic_fetch_sub(&(part)->bd_stats->field, (subnd), __ATOMIC_RELAXED))
#define part_stat_inc(part, field) part_stat_add(part, field, 1)
#define part_stat_dec(part, field) part_stat_sub(part, field, 1)
#define part_stat_local_inc(part, field) part_stat_inc(part, field)
#define part_stat_local_dec(part, field) part_stat_dec(part, field)
#define part_stat_local_read(part, field) part_stat_read(part, field)

#endif
