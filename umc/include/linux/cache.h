/* SPDX-License-Identifier: GPL-2.0-only */
/* Cache lines: alignment that keeps hot members apart (API of 6.12). */
#ifndef UMC_LINUX_CACHE_H
#define UMC_LINUX_CACHE_H

#include <uapi/linux/kernel.h>

#define L1_CACHE_SHIFT 6
#define L1_CACHE_BYTES (1 << L1_CACHE_SHIFT)
#define SMP_CACHE_BYTES L1_CACHE_BYTES
#define INTERNODE_CACHE_SHIFT L1_CACHE_SHIFT
#define L1_CACHE_ALIGN(x) __ALIGN_KERNEL(x, L1_CACHE_BYTES)
#define cache_line_size() L1_CACHE_BYTES

#define ____cacheline_aligned __attribute__((__aligned__(SMP_CACHE_BYTES)))
#define ____cacheline_aligned_in_smp ____cacheline_aligned
#define __cacheline_aligned ____cacheline_aligned
#define __cacheline_aligned_in_smp ____cacheline_aligned
#define ____cacheline_internodealigned_in_smp ____cacheline_aligned
#define __cacheline_group_begin(group) __u8 __cacheline_group_begin__##group[0]
#define __cacheline_group_end(group) __u8 __cacheline_group_end__##group[0]

/* Placement only; module data is one writable segment here. */
#define __read_mostly
#define __ro_after_init

#endif
