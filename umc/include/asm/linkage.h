/* SPDX-License-Identifier: GPL-2.0-only */
/* Linkage of functions. */
#ifndef UMC_ASM_LINKAGE_H
#define UMC_ASM_LINKAGE_H

#include <linux/linkage.h>

#endif
