/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time: constants and structs. API of Linux 6.12.
 * Differs: no time zone; time64_to_tm is not provided.
 */
#ifndef UMC_LINUX_TIME_H
#define UMC_LINUX_TIME_H

#include <linux/time64.h>

#define time_after32(a, b) ((s32)((u32)(b) - (u32)(a)) < 0)
#define time_before32(b, a) time_after32(a, b)

#endif
