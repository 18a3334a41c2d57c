/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CPU a task runs on. API of Linux 6.12. Rust owner: cpumask.rs.
 * Differs: no thread is held on a CPU. With preemption, interrupts or soft interrupts off (get_cpu(), a spin lock) the
 * number is that of a CPU, online or only possible, which no other task has until the outermost such section ends.
 * Elsewhere it is a hint.
 */
#ifndef UMC_LINUX_SMP_H
#define UMC_LINUX_SMP_H

#include <linux/cpumask.h>
#include <linux/llist.h>
#include <linux/preempt.h>

extern int umc_processor_id(void);

#define raw_smp_processor_id() umc_processor_id()
#define smp_processor_id() umc_processor_id()
#define get_cpu() ({ preempt_disable(); umc_processor_id(); })
#define put_cpu() preempt_enable()

#endif
