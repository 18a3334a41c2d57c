/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Real-time tasks. API of Linux 6.12.
 */
#ifndef UMC_LINUX_SCHED_RT_H
#define UMC_LINUX_SCHED_RT_H

#include <linux/sched.h>

static inline int rt_prio(int prio)
{
	return prio < MAX_RT_PRIO;
}

static inline int rt_task(struct task_struct *task)
{
	return rt_prio(task->prio);
}

#endif
