/* SPDX-License-Identifier: GPL-2.0-only */
/* Integer types that fit every supported architecture. */
#ifndef UMC_ASM_GENERIC_TYPES_H
#define UMC_ASM_GENERIC_TYPES_H

#include <asm-generic/int-ll64.h>

#endif
