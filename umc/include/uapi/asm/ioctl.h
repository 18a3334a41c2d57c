/* SPDX-License-Identifier: GPL-2.0-only */
/* Layout of an ioctl number. */
#ifndef UMC_UAPI_ASM_IOCTL_H
#define UMC_UAPI_ASM_IOCTL_H

#include <asm-generic/ioctl.h>

#endif
