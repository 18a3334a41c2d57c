/* SPDX-License-Identifier: GPL-2.0-only */
/* Layout of an ioctl number. */
#ifndef UMC_ASM_IOCTL_H
#define UMC_ASM_IOCTL_H

#include <uapi/asm-generic/ioctl.h>

#endif
