/* SPDX-License-Identifier: GPL-2.0-only */
/* Integer types that fit every supported architecture. */
#ifndef UMC_UAPI_ASM_GENERIC_TYPES_H
#define UMC_UAPI_ASM_GENERIC_TYPES_H

#include <uapi/asm-generic/int-ll64.h>

#endif
