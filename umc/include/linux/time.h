/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time: constants and structs. API of Linux 6.12.
 * Rust owner: jiffies.rs. Differs: the system's time zone is UTC, as in a kernel that nobody told another.
 */
#ifndef UMC_LINUX_TIME_H
#define UMC_LINUX_TIME_H

#include <linux/time64.h>
#include <uapi/linux/time.h>

/* umc: shared */
struct tm {
	int tm_sec;
	int tm_min;
	int tm_hour;
	int tm_mday;
	int tm_mon;
	long tm_year;
	int tm_wday;
	int tm_yday;
};

/* The calendar time `offset` seconds east of UTC; months and days of the year count from 0, years from 1900. */
extern void time64_to_tm(time64_t totalsecs, int offset, struct tm *result);

extern struct timezone sys_tz;

#define time_after32(a, b) ((s32)((u32)(b) - (u32)(a)) < 0)
#define time_before32(b, a) time_after32(a, b)

#endif
