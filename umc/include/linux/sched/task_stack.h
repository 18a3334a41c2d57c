/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stacks of tasks. API of Linux 6.12.
 * Differs: nothing is told of them; a thread's stack is the host's.
 */
#ifndef UMC_LINUX_SCHED_TASK_STACK_H
#define UMC_LINUX_SCHED_TASK_STACK_H

#include <linux/sched.h>

#endif
