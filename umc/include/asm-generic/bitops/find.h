/* SPDX-License-Identifier: GPL-2.0-only */
/* Searches in bit maps. */
#ifndef UMC_ASM_GENERIC_BITOPS_FIND_H
#define UMC_ASM_GENERIC_BITOPS_FIND_H

#include <linux/find.h>

#endif
