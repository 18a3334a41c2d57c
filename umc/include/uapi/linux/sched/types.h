/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scheduling attributes. API of Linux 6.12. Rust owner: sched.rs.
 */
#ifndef UMC_UAPI_LINUX_SCHED_TYPES_H
#define UMC_UAPI_LINUX_SCHED_TYPES_H

#include <linux/types.h>

#define SCHED_ATTR_SIZE_VER0 48
#define SCHED_ATTR_SIZE_VER1 56

/* umc: shared */
struct sched_attr {
	__u32 size;
	__u32 sched_policy;
	__u64 sched_flags;
	__s32 sched_nice;
	__u32 sched_priority;
	__u64 sched_runtime;
	__u64 sched_deadline;
	__u64 sched_period;
	__u32 sched_util_min;
	__u32 sched_util_max;
};

#endif
