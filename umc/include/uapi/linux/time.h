/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clocks. API of Linux 6.12.
 */
#ifndef UMC_UAPI_LINUX_TIME_H
#define UMC_UAPI_LINUX_TIME_H

#include <linux/types.h>
#include <linux/time_types.h>

/* umc: shared */
struct timezone {
	int tz_minuteswest;
	int tz_dsttime;
};

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID 3
#define CLOCK_MONOTONIC_RAW 4
#define CLOCK_REALTIME_COARSE 5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME 7
#define CLOCK_REALTIME_ALARM 8
#define CLOCK_BOOTTIME_ALARM 9
#define CLOCK_TAI 11

#endif
