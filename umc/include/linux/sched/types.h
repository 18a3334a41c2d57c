/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accounting types. API of Linux 6.12.
 * Differs: empty; CPU time of a task is the host's business.
 */
#ifndef UMC_LINUX_SCHED_TYPES_H
#define UMC_LINUX_SCHED_TYPES_H

#include <linux/types.h>

#endif
