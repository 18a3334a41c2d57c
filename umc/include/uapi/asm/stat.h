/* SPDX-License-Identifier: GPL-2.0-only */
/* The struct of stat(2) is not part of the interface to drivers: file metadata has its own header. */
#ifndef UMC_UAPI_ASM_STAT_H
#define UMC_UAPI_ASM_STAT_H

#include <linux/types.h>

#endif
