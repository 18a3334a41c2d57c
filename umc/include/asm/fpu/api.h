/* SPDX-License-Identifier: GPL-2.0-only */
/* Vector registers. API of 6.12, x86-64. In a process they are the thread's own, and free for whoever is compiled without
 * them; between the two calls the task is not preempted, as in Linux. */
#ifndef UMC_ASM_FPU_API_H
#define UMC_ASM_FPU_API_H

#include <asm/cpufeature.h>
#include <linux/preempt.h>

static inline void kernel_fpu_begin(void)
{
	preempt_disable();
}

static inline void kernel_fpu_end(void)
{
	preempt_enable();
}

static inline bool irq_fpu_usable(void)
{
	return true;
}

#endif
