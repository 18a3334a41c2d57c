/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * High-resolution timers. API of Linux 6.12. Rust owner: timer.rs.
 * Differs: callbacks run one at a time on the kernel thread ktimers; all clocks but CLOCK_REALTIME are one.
 */
#ifndef UMC_LINUX_HRTIMER_H
#define UMC_LINUX_HRTIMER_H

#include <linux/ktime.h>
#include <linux/types.h>

enum hrtimer_restart {
	HRTIMER_NORESTART,
	HRTIMER_RESTART,
};

enum hrtimer_mode {
	HRTIMER_MODE_ABS = 0x00,
	HRTIMER_MODE_REL = 0x01,
	HRTIMER_MODE_PINNED = 0x02,
	HRTIMER_MODE_SOFT = 0x04,
	HRTIMER_MODE_HARD = 0x08,
	HRTIMER_MODE_ABS_PINNED = HRTIMER_MODE_ABS | HRTIMER_MODE_PINNED,
	HRTIMER_MODE_REL_PINNED = HRTIMER_MODE_REL | HRTIMER_MODE_PINNED,
	HRTIMER_MODE_ABS_SOFT = HRTIMER_MODE_ABS | HRTIMER_MODE_SOFT,
	HRTIMER_MODE_REL_SOFT = HRTIMER_MODE_REL | HRTIMER_MODE_SOFT,
};

/* umc: shared */
struct hrtimer {
	enum hrtimer_restart (*function)(struct hrtimer *timer);
	ktime_t umc_expires;
	int umc_clock;
	u32 umc_pending;
	unsigned long umc_key[2];
};

extern void hrtimer_init(struct hrtimer *timer, int clock, enum hrtimer_mode mode);
extern void hrtimer_start_range_ns(struct hrtimer *timer, ktime_t time, u64 slack, enum hrtimer_mode mode);
extern int hrtimer_cancel(struct hrtimer *timer); /* may sleep */
extern int hrtimer_try_to_cancel(struct hrtimer *timer);
extern bool hrtimer_active(const struct hrtimer *timer);
extern u64 hrtimer_forward(struct hrtimer *timer, ktime_t now, ktime_t interval);
extern ktime_t hrtimer_cb_get_time(struct hrtimer *timer);

static inline void hrtimer_start(struct hrtimer *timer, ktime_t time, const enum hrtimer_mode mode)
{
	hrtimer_start_range_ns(timer, time, 0, mode);
}

static inline u64 hrtimer_forward_now(struct hrtimer *timer, ktime_t interval)
{
	return hrtimer_forward(timer, hrtimer_cb_get_time(timer), interval);
}

static inline ktime_t hrtimer_get_expires(const struct hrtimer *timer)
{
	return timer->umc_expires;
}

/* At the time that is set already. */
static inline void hrtimer_start_expires(struct hrtimer *timer, enum hrtimer_mode mode)
{
	hrtimer_start_range_ns(timer, timer->umc_expires, 0, mode & ~HRTIMER_MODE_REL);
}

static inline void hrtimer_restart(struct hrtimer *timer)
{
	hrtimer_start_expires(timer, HRTIMER_MODE_ABS);
}

static inline void hrtimer_set_expires(struct hrtimer *timer, ktime_t time)
{
	timer->umc_expires = time;
}

#endif
