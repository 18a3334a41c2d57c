/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Priorities. API of Linux 6.12. Rust owner: sched.rs.
 * Differs: a priority is kept and shown; the host scheduler decides.
 */
#ifndef UMC_LINUX_SCHED_PRIO_H
#define UMC_LINUX_SCHED_PRIO_H

#define MAX_NICE 19
#define MIN_NICE -20
#define NICE_WIDTH 40
#define MAX_RT_PRIO 100
#define MAX_PRIO 140
#define DEFAULT_PRIO 120
#define NICE_TO_PRIO(nice) ((nice) + DEFAULT_PRIO)
#define PRIO_TO_NICE(prio) ((prio) - DEFAULT_PRIO)

#endif
