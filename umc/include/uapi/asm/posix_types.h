/* SPDX-License-Identifier: GPL-2.0-only */
/* Types of the system call interface. */
#ifndef UMC_UAPI_ASM_POSIX_TYPES_H
#define UMC_UAPI_ASM_POSIX_TYPES_H

#include <asm-generic/posix_types.h>

#endif
