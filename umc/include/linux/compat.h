/* SPDX-License-Identifier: GPL-2.0-only */
/* Callers of 32 bits: switched off, as where a kernel has no CONFIG_COMPAT. API of 6.12. */
#ifndef UMC_LINUX_COMPAT_H
#define UMC_LINUX_COMPAT_H

#include <linux/types.h>

typedef u32 compat_uptr_t;

static inline bool in_compat_syscall(void)
{
	return false;
}

#endif
