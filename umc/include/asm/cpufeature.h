/* SPDX-License-Identifier: GPL-2.0-only */
/* What the processor can: no driver is told of any instruction that it would use by itself. API of 6.12, x86-64. */
#ifndef UMC_ASM_CPUFEATURE_H
#define UMC_ASM_CPUFEATURE_H

#include <linux/cache.h>
#include <linux/types.h>

enum umc_x86_feature {
	X86_FEATURE_CLFLUSHOPT,
	X86_FEATURE_CLWB,
};

struct cpuinfo_x86 {
	u16 x86_clflush_size;
};

#define boot_cpu_data	((struct cpuinfo_x86){ .x86_clflush_size = L1_CACHE_BYTES })
#define boot_cpu_has(feature)	((void)(feature), false)
#define static_cpu_has(feature)	((void)(feature), false)

static inline void clflushopt(volatile void *address)
{
	__asm__ volatile("clflush %0" : "+m"(*(volatile char *)address));
}

#endif
