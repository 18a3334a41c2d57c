/* SPDX-License-Identifier: GPL-2.0-only */
/* Error numbers. */
#ifndef UMC_ASM_GENERIC_ERRNO_H
#define UMC_ASM_GENERIC_ERRNO_H

#include <uapi/asm-generic/errno.h>

#endif
