/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Showing tasks. API of Linux 6.12. Rust owner: sched.rs.
 */
#ifndef UMC_LINUX_SCHED_DEBUG_H
#define UMC_LINUX_SCHED_DEBUG_H

struct task_struct;

#define __sched __attribute__((__section__(".sched.text")))

/* A line of the kernel log: name, pid, state and what the task waits for. */
extern void sched_show_task(struct task_struct *task);

#endif
