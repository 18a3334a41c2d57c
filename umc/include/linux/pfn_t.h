/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames of pages with flags. API of 6.12; what a device of memory would use, and there is none (linux/dax.h).
 * Differs: what is declared here is in linux/pfn.h alone, and does not come with this header, whose pfn_t DRBD 9 looks for:
 * headers that have it want DRBD 9 to be patched.
 */
#ifndef UMC_LINUX_PFN_T_H
#define UMC_LINUX_PFN_T_H

#endif
