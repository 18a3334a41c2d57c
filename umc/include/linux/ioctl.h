/* SPDX-License-Identifier: GPL-2.0-only */
/* Layout of an ioctl number. */
#ifndef UMC_LINUX_IOCTL_H
#define UMC_LINUX_IOCTL_H

#include <uapi/linux/ioctl.h>

#endif
