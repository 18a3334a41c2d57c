/* SPDX-License-Identifier: GPL-2.0-only */
/* Layout of an ioctl number. */
#ifndef UMC_UAPI_LINUX_IOCTL_H
#define UMC_UAPI_LINUX_IOCTL_H

#include <asm/ioctl.h>

#endif
