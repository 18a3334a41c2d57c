/* SPDX-License-Identifier: GPL-2.0-only */
/* Types of the system call interface. */
#ifndef UMC_ASM_GENERIC_POSIX_TYPES_H
#define UMC_ASM_GENERIC_POSIX_TYPES_H

#include <uapi/asm-generic/posix_types.h>

#endif
