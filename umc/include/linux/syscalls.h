/* SPDX-License-Identifier: GPL-2.0-only */
/* System calls of a kernel: a node has none of its own. */
#ifndef UMC_LINUX_SYSCALLS_H
#define UMC_LINUX_SYSCALLS_H

#include <linux/types.h>
#include <linux/sched.h>

#endif
