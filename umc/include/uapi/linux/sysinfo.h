/* SPDX-License-Identifier: GPL-2.0-only */
/* What sysinfo(2) fills. */
#ifndef UMC_UAPI_LINUX_SYSINFO_H
#define UMC_UAPI_LINUX_SYSINFO_H

#include <uapi/linux/kernel.h>

#endif
