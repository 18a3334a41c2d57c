/* SPDX-License-Identifier: GPL-2.0-only */
/* Little-endian bit maps. */
#ifndef UMC_ASM_GENERIC_BITOPS_LE_H
#define UMC_ASM_GENERIC_BITOPS_LE_H

#include <linux/bitops.h>

#endif
