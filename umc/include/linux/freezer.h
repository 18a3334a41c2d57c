/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Freezing of tasks. API of Linux 6.12.
 * Differs: there is no suspend, so no task is ever asked to freeze and these answer no.
 */
#ifndef UMC_LINUX_FREEZER_H
#define UMC_LINUX_FREEZER_H

#include <linux/sched.h>
#include <linux/wait.h>

static inline bool freezing(struct task_struct *task)
{
	return false;
}

static inline bool frozen(struct task_struct *task)
{
	return false;
}

static inline bool try_to_freeze(void)
{
	return false;
}

static inline bool set_freezable(void)
{
	current->flags &= ~PF_NOFREEZE;
	return false;
}

#endif
