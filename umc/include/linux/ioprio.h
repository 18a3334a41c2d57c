/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * I/O priorities of tasks (6.12). Tasks have none here: all I/O is served alike.
 */
#ifndef UMC_LINUX_IOPRIO_H
#define UMC_LINUX_IOPRIO_H

#include <linux/sched.h>
#include <uapi/linux/ioprio.h>

#define IOPRIO_DEFAULT IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0)

static inline bool ioprio_valid(unsigned short ioprio)
{
	unsigned short io_class = IOPRIO_PRIO_CLASS(ioprio);

	return io_class == IOPRIO_CLASS_RT || io_class == IOPRIO_CLASS_BE ||
	       io_class == IOPRIO_CLASS_IDLE;
}

static inline int get_current_ioprio(void)
{
	return IOPRIO_DEFAULT;
}

#endif
