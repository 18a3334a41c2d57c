/* SPDX-License-Identifier: GPL-2.0-only */
/* Device numbers; the kernel's own header has the macros. */
#ifndef UMC_UAPI_LINUX_KDEV_T_H
#define UMC_UAPI_LINUX_KDEV_T_H

#include <linux/types.h>

#endif
