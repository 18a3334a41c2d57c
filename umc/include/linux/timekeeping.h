/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clocks. API of Linux 6.12. Rust owner: jiffies.rs.
 * Differs: monotonic, raw, boot and coarse clocks are one clock, that of the provider.
 */
#ifndef UMC_LINUX_TIMEKEEPING_H
#define UMC_LINUX_TIMEKEEPING_H

#include <linux/types.h>
#include <linux/time64.h>

extern ktime_t ktime_get(void);
extern ktime_t ktime_get_real(void);
extern time64_t ktime_get_seconds(void);
extern time64_t ktime_get_real_seconds(void);
extern void ktime_get_ts64(struct timespec64 *ts);
extern void ktime_get_real_ts64(struct timespec64 *ts);
extern ktime_t ktime_mono_to_real(ktime_t mono);

#define ktime_get_raw() ktime_get()
#define ktime_get_boottime() ktime_get()
#define ktime_get_coarse() ktime_get()
#define ktime_get_coarse_real() ktime_get_real()
#define ktime_get_ns() ((u64)ktime_get())
#define ktime_get_raw_ns() ((u64)ktime_get())
#define ktime_get_boottime_ns() ((u64)ktime_get())
#define ktime_get_coarse_ns() ((u64)ktime_get())
#define ktime_get_mono_fast_ns() ((u64)ktime_get())
#define ktime_get_real_ns() ((u64)ktime_get_real())
#define ktime_get_coarse_real_ns() ((u64)ktime_get_real())
#define ktime_get_boottime_seconds() ktime_get_seconds()
#define ktime_get_raw_ts64(ts) ktime_get_ts64(ts)
#define ktime_get_boottime_ts64(ts) ktime_get_ts64(ts)
#define ktime_get_coarse_ts64(ts) ktime_get_ts64(ts)
#define ktime_get_coarse_real_ts64(ts) ktime_get_real_ts64(ts)

#endif
