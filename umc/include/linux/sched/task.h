/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lifetime of tasks. API of Linux 6.12. Rust owner: sched.rs.
 */
#ifndef UMC_LINUX_SCHED_TASK_H
#define UMC_LINUX_SCHED_TASK_H

#include <linux/sched.h>

extern struct task_struct *get_task_struct(struct task_struct *task);
extern void put_task_struct(struct task_struct *task);

/* A task that never runs: only its address is of use. */
extern struct task_struct *umc_init_task(void);
#define init_task (*umc_init_task())

#endif
