/* SPDX-License-Identifier: GPL-2.0-only */
/* Width of a long. */
#ifndef UMC_ASM_BITSPERLONG_H
#define UMC_ASM_BITSPERLONG_H

#include <asm-generic/bitsperlong.h>

#endif
