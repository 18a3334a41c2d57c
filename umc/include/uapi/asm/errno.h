/* SPDX-License-Identifier: GPL-2.0-only */
/* Error numbers of the architecture. */
#ifndef UMC_UAPI_ASM_ERRNO_H
#define UMC_UAPI_ASM_ERRNO_H

#include <asm-generic/errno.h>

#endif
