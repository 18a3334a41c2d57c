/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CPU a task runs on. API of Linux 6.12. Rust owner: cpumask.rs.
 * Differs: get_cpu() does not pin the thread; the number is a hint.
 */
#ifndef UMC_LINUX_SMP_H
#define UMC_LINUX_SMP_H

#include <linux/cpumask.h>
#include <linux/preempt.h>

extern int umc_processor_id(void);

#define raw_smp_processor_id() umc_processor_id()
#define smp_processor_id() umc_processor_id()
#define get_cpu() ({ preempt_disable(); umc_processor_id(); })
#define put_cpu() preempt_enable()

#endif
