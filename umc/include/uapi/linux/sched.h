/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scheduling policies. API of Linux 6.12. Rust owner: sched.rs.
 */
#ifndef UMC_UAPI_LINUX_SCHED_H
#define UMC_UAPI_LINUX_SCHED_H

#define SCHED_NORMAL 0
#define SCHED_FIFO 1
#define SCHED_RR 2
#define SCHED_BATCH 3
#define SCHED_IDLE 5
#define SCHED_DEADLINE 6

#endif
