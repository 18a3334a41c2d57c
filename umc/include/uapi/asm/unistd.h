/* SPDX-License-Identifier: GPL-2.0-only */
/* Drivers make no system calls: no numbers. */
#ifndef UMC_UAPI_ASM_UNISTD_H
#define UMC_UAPI_ASM_UNISTD_H

#include <linux/types.h>

#endif
