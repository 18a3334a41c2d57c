/* SPDX-License-Identifier: GPL-2.0-only */
/* Error numbers. */
#ifndef UMC_UAPI_LINUX_ERRNO_H
#define UMC_UAPI_LINUX_ERRNO_H

#include <asm-generic/errno.h>

#endif
