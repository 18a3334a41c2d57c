/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames of pages with flags. API of 6.12; what a device of memory would use, and there is none (linux/dax.h). */
#ifndef UMC_LINUX_PFN_T_H
#define UMC_LINUX_PFN_T_H

#include <linux/mm.h>
#include <linux/pfn.h>

#endif
