/* SPDX-License-Identifier: GPL-2.0-only */
/* Integer types of the architecture. */
#ifndef UMC_UAPI_ASM_TYPES_H
#define UMC_UAPI_ASM_TYPES_H

#include <asm-generic/types.h>

#endif
