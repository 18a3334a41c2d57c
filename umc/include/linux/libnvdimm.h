/* SPDX-License-Identifier: GPL-2.0-only */
/* Persistent memory: there is none here (linux/dax.h), and what writes caches back has nothing to do. API of 6.12. */
#ifndef UMC_LINUX_LIBNVDIMM_H
#define UMC_LINUX_LIBNVDIMM_H

#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/cpufeature.h>

#define pmem_wmb()	wmb()

/* 0: memory here has no faults that a copy could report. */
static inline unsigned long copy_mc_to_kernel(void *to, const void *from, unsigned int len)
{
	memcpy(to, from, len);
	return 0;
}

static inline void arch_wb_cache_pmem(void *addr, size_t size)
{
}

static inline void arch_invalidate_pmem(void *addr, size_t size)
{
}

#endif
