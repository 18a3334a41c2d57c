/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What drivers ask of a traced caller (API of Linux 6.12): nothing here looks like an error that is none.
 */
#ifndef UMC_LINUX_PTRACE_H
#define UMC_LINUX_PTRACE_H

#include <linux/compat.h>
#include <linux/sched/signal.h>

#define force_successful_syscall_return() do { } while (0)

#endif
