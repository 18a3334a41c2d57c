/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time structs of system calls. API of Linux 6.12.
 */
#ifndef UMC_UAPI_LINUX_TIME_TYPES_H
#define UMC_UAPI_LINUX_TIME_TYPES_H

#include <linux/types.h>

/* umc: shared */
struct __kernel_timespec {
	long long tv_sec;
	long long tv_nsec;
};

/* umc: shared */
struct __kernel_old_timeval {
	long tv_sec;
	long tv_usec;
};

/* umc: shared */
struct __kernel_sock_timeval {
	__s64 tv_sec;
	__s64 tv_usec;
};

#endif
