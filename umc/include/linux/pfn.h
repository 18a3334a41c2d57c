/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page frame numbers (API of Linux 6.12).
 * Owner: umc/src/mm.rs
 */
#ifndef UMC_LINUX_PFN_H
#define UMC_LINUX_PFN_H

#include <linux/types.h>
#include <asm/page.h>

/* A frame that may have flags in its top bits. */
typedef struct {
	u64 val;
} pfn_t;

#define PFN_ALIGN(x)	(((unsigned long)(x) + (PAGE_SIZE - 1)) & PAGE_MASK)
#define PFN_UP(x)	(((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(x)	((x) >> PAGE_SHIFT)
#define PFN_PHYS(x)	((phys_addr_t)(x) << PAGE_SHIFT)
#define PHYS_PFN(x)	((unsigned long)((x) >> PAGE_SHIFT))

#endif
