/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the processor can. API of 6.12, x86-64. Asked of it each time, for there is no boot: not for a hot path.
 * Differs: of the features that Linux knows there are those that drivers known here ask for. Vector registers are for code
 * that is compiled without them otherwise, between kernel_fpu_begin() and kernel_fpu_end(). Of AVX-512 and of instructions that
 * write caches back nobody is told.
 */
#ifndef UMC_ASM_CPUFEATURE_H
#define UMC_ASM_CPUFEATURE_H

#include <linux/cache.h>
#include <linux/types.h>

/* Leaf, register (0 is eax), bit. */
#define UMC_CPUID(leaf, reg, bit)	((u64)(leaf) << 16 | (reg) << 8 | (bit))

#define X86_FEATURE_MMX		UMC_CPUID(1, 3, 23)
#define X86_FEATURE_FXSR	UMC_CPUID(1, 3, 24)
#define X86_FEATURE_XMM		UMC_CPUID(1, 3, 25)
#define X86_FEATURE_XMM2	UMC_CPUID(1, 3, 26)
#define X86_FEATURE_SSSE3	UMC_CPUID(1, 2, 9)
#define X86_FEATURE_OSXSAVE	UMC_CPUID(1, 2, 27)
#define X86_FEATURE_AVX		UMC_CPUID(1, 2, 28)
#define X86_FEATURE_AVX2	UMC_CPUID(7, 1, 5)
#define X86_FEATURE_MMXEXT	UMC_CPUID(0x80000001U, 3, 22)
#define X86_FEATURE_CLFLUSHOPT	0
#define X86_FEATURE_CLWB	0

struct cpuinfo_x86 {
	u16 x86_clflush_size;
};

static inline bool umc_cpu_has(u64 feature)
{
	u32 regs[4], leaf = feature >> 16, low, high;

	if (!feature)
		return false;
	/* Registers that the host does not keep for a thread are not to be used, whatever the processor can. */
	if (feature == X86_FEATURE_AVX || feature == X86_FEATURE_AVX2) {
		if (!umc_cpu_has(X86_FEATURE_OSXSAVE))
			return false;
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
		if ((low & 6) != 6)
			return false;
	}
	__asm__ volatile("cpuid" : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3]) : "a"(leaf & 0x80000000U), "c"(0));
	if (regs[0] < leaf)
		return false;
	__asm__ volatile("cpuid" : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3]) : "a"(leaf), "c"(0));
	return regs[feature >> 8 & 3] >> (feature & 0xff) & 1;
}

#define boot_cpu_data	((struct cpuinfo_x86){ .x86_clflush_size = L1_CACHE_BYTES })
#define boot_cpu_has(feature)	umc_cpu_has(feature)
#define static_cpu_has(feature)	umc_cpu_has(feature)

static inline void clflushopt(volatile void *address)
{
	__asm__ volatile("clflush %0" : "+m"(*(volatile char *)address));
}

#endif
