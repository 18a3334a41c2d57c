/* SPDX-License-Identifier: GPL-2.0-only */
/* Linkage of functions (API of 6.12). */
#ifndef UMC_LINUX_LINKAGE_H
#define UMC_LINUX_LINKAGE_H

#include <linux/compiler_types.h>
#include <linux/stringify.h>
#include <linux/export.h>

#define asmlinkage_protect(n, ret, ...) do { } while (0)
#define __page_aligned_data __aligned(4096)
#define __page_aligned_bss __aligned(4096)

#endif
