/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Process ids. API of Linux 6.12.
 * Differs: one namespace; struct pid is only named.
 */
#ifndef UMC_LINUX_PID_H
#define UMC_LINUX_PID_H

#include <linux/types.h>
#include <linux/sched.h>

struct pid;

#endif
