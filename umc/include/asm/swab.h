/* SPDX-License-Identifier: GPL-2.0-only */
/* Reversing the bytes of a word. */
#ifndef UMC_ASM_SWAB_H
#define UMC_ASM_SWAB_H

#include <linux/swab.h>

#endif
